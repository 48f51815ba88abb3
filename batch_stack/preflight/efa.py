"""Elastic Fabric Adapters that a job's nodes would not use."""

from __future__ import annotations

from collections.abc import Iterator

from batch_stack.preflight.finding import Finding, warning
from batch_stack.settings.ec2_compute import OnDemandSettings
from batch_stack.settings.root import Settings


def check_efa(settings: Settings) -> Iterator[Finding]:
    """Compare the compute environments that the nodes of a job may be on.

    A container does not start without a device that its definition names, so that a job has as many as there
    are on all of them.
    """
    for name, job in settings.jobs.items():
        if job.nodes is None:
            continue
        counts = {
            one: compute.efa_interfaces if isinstance(compute, OnDemandSettings) else 0
            for tier in settings.tiers_of(name)
            for one in settings.tiers[tier].compute
            for compute in [settings.compute[one]]
        }
        most, fewest = max(counts, key=lambda one: counts[one]), min(counts, key=lambda one: counts[one])
        if counts[most] > counts[fewest]:
            yield warning(
                "efaUnused",
                f"jobs.{name}.tiers should lead to as many EFA interfaces on each compute environment, for a "
                f"node uses no more than there are on all, got {counts[most]} on compute.{most} and "
                f"{counts[fewest]} on compute.{fewest}",
            )
