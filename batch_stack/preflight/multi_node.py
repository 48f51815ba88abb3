"""Checks that all nodes of multi-node parallel jobs can start and reach each other."""

from __future__ import annotations

from collections.abc import Iterator

from batch_stack.preflight.finding import Finding, error, warning
from batch_stack.preflight.instances import known_types, request_of, types_of_tier
from batch_stack.settings.jobs import JobSettings
from batch_stack.settings.workload import Workload


def check_multi_node(workload: Workload) -> Iterator[Finding]:
    """Compares the nodes of jobs with the compute environments that they may run on."""
    yield from _check_warm(workload)
    for name, job in workload.jobs.items():
        if job.nodes is not None:
            yield from _check_type(workload, name, job.nodes.instance_type)
            yield from _check_vcpus(workload, name, job)
            yield from _check_instances(workload, name, job)
            yield from _check_nodes_meet(workload, name)
            yield from _check_efa(workload, name)


def _check_warm(workload: Workload) -> Iterator[Finding]:
    """Finds instances that are kept warm although multi-node parallel jobs do not use them.

    https://docs.aws.amazon.com/batch/latest/userguide/mnp-ce.html
    """
    for name, compute in workload.compute.items():
        if compute.required_zone is not None and compute.idle_vcpus:
            yield warning(
                "warmNodes",
                f"compute.{name}.min_vcpus",
                "should be 0 with placement_group, because multi-node parallel jobs do "
                f"not run on instances that are kept warm, got {compute.idle_vcpus}",
            )


def _check_type(workload: Workload, name: str, wanted: str | None) -> Iterator[Finding]:
    """Checks that a compute environment may launch the instance type of the nodes."""
    if wanted is None:
        return
    offered = {tier: types_of_tier(workload, tier) for tier in workload.tiers_of(name)}
    if all(types and wanted not in {item.name for item in types} for types in offered.values()):
        environments = sorted({f"compute.{one}" for tier in offered for one in workload.tiers[tier].compute})
        yield error(
            "nodesType",
            f"jobs.{name}.nodes.instance_type",
            f"must be an instance type of {' or '.join(environments)}, no "
            f"larger than its max_vcpus, got {wanted!r}",
        )


def _check_vcpus(workload: Workload, name: str, job: JobSettings) -> Iterator[Finding]:
    vcpus = sum(job.node_vcpus)
    most = {tier: max(workload.max_vcpus(tier).values(), default=None) for tier in workload.tiers_of(name)}
    if all(limit is not None and vcpus > limit for limit in most.values()):
        limit = max(limit for limit in most.values() if limit is not None)
        yield error(
            "multiNode",
            f"jobs.{name}.nodes",
            f"must ask for at most {limit} vCPUs in all, because all nodes run at once on "
            f"one compute environment of {', '.join(most)}, got {vcpus:g}",
        )


def _check_instances(workload: Workload, name: str, job: JobSettings) -> Iterator[Finding]:
    """Compares the instances of all nodes, one for each, with the vCPUs of a compute environment.

    AWS Batch may go over the limit by one instance, so the last one does not count.
    https://docs.aws.amazon.com/batch/latest/userguide/multi-node-parallel-jobs.html
    """
    used = {one for tier in workload.tiers_of(name) for one in workload.tiers[tier].compute}
    vcpus = sum(job.node_vcpus)
    # Those that are too small for the nodes' own vCPUs are found elsewhere: see _check_vcpus.
    limits = {
        one: compute.max_vcpus
        for one, compute in workload.compute.items()
        if one in used and vcpus <= (compute.max_vcpus or vcpus)
    }
    started = {
        (one, limit): _started_before_the_last(workload, one, job) if limit is not None else None
        for one, limit in limits.items()
    }
    over = [
        (count - limit, one, limit, count)
        for (one, limit), count in started.items()
        if count is not None and limit is not None and count >= limit
    ]
    if not over or len(over) < len(started):
        return
    _, best, most, count = min(over)
    yield error(
        "nodesInstances",
        f"jobs.{name}.nodes",
        f"must need instances of less than {most} vCPUs besides the largest, the "
        f"max_vcpus of compute.{best}, because each node has an instance to itself, got {count}",
    )


def _started_before_the_last(workload: Workload, compute: str, job: JobSettings) -> int | None:
    """Returns the vCPUs of all nodes' instances but the largest, or None if an instance is not known."""
    wanted = job.nodes.instance_type if job.nodes is not None else None
    types = [item for item in known_types(workload.compute[compute]) or [] if wanted in (None, item.name)]
    sizes: list[int] = []
    for node in job.for_nodes():
        request = request_of(node)
        fitting = [item.vcpus for item in types if request.fits(item)]
        if not fitting:
            return None
        sizes.append(min(fitting))
    return sum(sizes) - max(sizes)


def _check_nodes_meet(workload: Workload, name: str) -> Iterator[Finding]:
    """Checks that nodes can connect to each other: the security group for that comes with a placement
    group."""
    apart = {
        tier: [one for one in workload.tiers[tier].compute if not workload.compute[one].connects_nodes]
        for tier in workload.tiers_of(name)
    }
    named = workload.jobs[name].tiers is not None
    if any(apart.values()) if named else all(apart.values()):
        first = next(one for environments in apart.values() for one in environments)
        yield warning(
            "nodesApart",
            f"jobs.{name}.nodes",
            f"cannot connect to each other on compute.{first}, whose instances admit no "
            f"connection: set compute.{first}.placement_group to true, or name tiers that have such compute "
            f"in jobs.{name}.tiers",
        )


def _check_efa(workload: Workload, name: str) -> Iterator[Finding]:
    """Compares the numbers of EFA interfaces of the compute environments that the nodes may be on.

    A container does not start without a device that its definition names. So a job gets the number of
    interfaces that all compute environments have.
    """
    counts = {
        one: workload.compute[one].efa_interfaces
        for tier in workload.tiers_of(name)
        for one in workload.tiers[tier].compute
    }
    most, fewest = max(counts, key=lambda one: counts[one]), min(counts, key=lambda one: counts[one])
    if counts[most] > counts[fewest]:
        yield warning(
            "efaUnused",
            f"jobs.{name}.tiers",
            "should lead to the same number of EFA interfaces on each compute environment, because a "
            f"node uses only as many as all have, got {counts[most]} on compute.{most} and "
            f"{counts[fewest]} on compute.{fewest}",
        )
