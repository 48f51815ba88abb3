"""Multi-node parallel jobs whose nodes could never all have an instance."""

from __future__ import annotations

import math
from collections.abc import Iterator

from batch_stack.preflight.finding import Finding, error, warning
from batch_stack.preflight.instances import Request, known_types
from batch_stack.settings import JobSettings, OnDemandSettings, Settings


def check_nodes(settings: Settings) -> Iterator[Finding]:
    """Compare the instances of all nodes with the vCPUs of a compute environment: each has one to itself.

    AWS Batch may go over the limit by one instance, so the last one does not count.
    https://docs.aws.amazon.com/batch/latest/userguide/multi-node-parallel-jobs.html
    """
    yield from _check_warm(settings)
    for name, job in settings.jobs.items():
        if job.nodes is None:
            continue
        used = {one for tier in settings.tiers_of(name) for one in settings.tiers[tier].compute}
        vcpus = job.nodes.count * job.vcpu
        # Those that are too small for the nodes' own vCPUs are found elsewhere: see check_use.
        most = {
            one: _most_nodes(settings, one, job)
            for one, compute in settings.compute.items()
            if one in used and vcpus <= (getattr(compute, "max_vcpus", None) or vcpus)
        }
        if not most or any(count is None or count >= job.nodes.count for count in most.values()):
            continue
        best, count = max(most.items(), key=lambda item: item[1] or 0)
        yield error(
            "nodesInstances",
            f"jobs.{name}.nodes.count must be at most {count} with the max_vcpus of compute.{best}, for each "
            f"node has an instance to itself, got {job.nodes.count}",
        )


def _check_warm(settings: Settings) -> Iterator[Finding]:
    """https://docs.aws.amazon.com/batch/latest/userguide/mnp-ce.html."""
    for name, compute in settings.compute.items():
        if isinstance(compute, OnDemandSettings) and compute.placement_group and compute.min_vcpus:
            yield warning(
                "warmNodes",
                f"compute.{name}.min_vcpus should be 0 with placement_group, for multi-node parallel jobs do "
                f"not run on instances that are kept warm, got {compute.min_vcpus}",
            )


def _most_nodes(settings: Settings, compute: str, job: JobSettings) -> int | None:
    """How many nodes may run at once; None where that cannot be told, or no instance is large enough."""
    one = settings.compute[compute]
    limit = getattr(one, "max_vcpus", None)
    wanted = job.nodes.instance_type if job.nodes is not None else None
    request = Request(job.vcpu, job.memory_mib, job.gpus)
    sizes = [
        item.vcpus
        for item in known_types(one) or []
        if request.fits(item) and (wanted is None or item.name == wanted)
    ]
    return math.ceil(limit / min(sizes)) if sizes and limit is not None else None
