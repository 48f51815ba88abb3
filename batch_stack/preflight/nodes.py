"""Multi-node parallel jobs whose nodes could never all have an instance."""

from __future__ import annotations

from collections.abc import Iterator

from batch_stack.preflight.finding import Finding, error, warning
from batch_stack.preflight.instances import Request, known_types
from batch_stack.settings.ec2_compute import OnDemandSettings
from batch_stack.settings.jobs import JobSettings
from batch_stack.settings.nodes import NodeGroupSettings
from batch_stack.settings.root import Settings


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
        vcpus = sum(job.node_vcpus)
        # Those that are too small for the nodes' own vCPUs are found elsewhere: see check_use.
        limits = {
            one: getattr(compute, "max_vcpus", None)
            for one, compute in settings.compute.items()
            if one in used and vcpus <= (getattr(compute, "max_vcpus", None) or vcpus)
        }
        started = {
            (one, limit): _started_before_the_last(settings, one, job) if limit is not None else None
            for one, limit in limits.items()
        }
        over = [
            (count - limit, one, limit, count)
            for (one, limit), count in started.items()
            if count is not None and limit is not None and count >= limit
        ]
        if not over or len(over) < len(started):
            continue
        _, best, most, count = min(over)
        yield error(
            "nodesInstances",
            f"jobs.{name}.nodes must need instances of less than {most} vCPUs besides the largest, the "
            f"max_vcpus of compute.{best}, for each node has an instance to itself, got {count}",
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


def _started_before_the_last(settings: Settings, compute: str, job: JobSettings) -> int | None:
    """The vCPUs of all nodes' instances but the largest; None where that of a node cannot be told."""
    if job.nodes is None:
        return None
    types = [
        item
        for item in known_types(settings.compute[compute]) or []
        if job.nodes.instance_type in (None, item.name)
    ]
    sizes: list[int] = []
    for node, vcpus in enumerate(job.node_vcpus):
        group = job.nodes.group_of(node) or NodeGroupSettings(nodes=str(node))
        request = Request(
            vcpus,
            job.memory_mib if group.memory_mib is None else group.memory_mib,
            job.gpus if group.gpus is None else group.gpus,
        )
        fitting = [item.vcpus for item in types if request.fits(item)]
        if not fitting:
            return None
        sizes.append(min(fitting))
    return sum(sizes) - max(sizes)
