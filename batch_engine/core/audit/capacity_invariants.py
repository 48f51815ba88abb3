"""The invariants of compute environments, of their instances and of the machine underneath."""

from collections.abc import Iterator, Mapping

from batch_engine.core.capacity.autoscaler import has_fleet
from batch_engine.core.capacity.fleet import InstanceState
from batch_engine.core.model.resources import ComputeEnvironment
from batch_engine.core.scheduling.scheduler import Scheduler


def capacity_violations(scheduler: Scheduler, before: Mapping[str, int]) -> Iterator[str]:
    """Yields every invariant that does not hold, in words; costs as much as there are instances.

    Args:
        scheduler: the scheduler to check.
        before: ``lasting_milli_vcpus`` of each compute environment at the last check. An environment above
            its limit, because the limit was lowered, must not grow.
    """
    registry, scaling = scheduler.registry, scheduler.dispatcher.scaling
    for name, environment in registry.compute_environments.items():
        if has_fleet(environment):
            yield from _check_fleet(scheduler, environment, before.get(name, 0))
        elif scaling.fleet(name).instances:
            yield f"{name} is {environment.resources.get('type')} and has instances"
    known = {item.id for fleet in scaling.fleets.values() for item in fleet.instances.values()}
    if known != set(scaling.instances):
        yield f"fleets hold instances {known}, all in all there are {set(scaling.instances)}"


def limit_violations(scheduler: Scheduler) -> Iterator[str]:
    """Yields every limit on vCPUs and memory that is exceeded; costs as much as there are environments."""
    registry, capacity = scheduler.registry, scheduler.dispatcher.capacity
    for name, environment in registry.compute_environments.items():
        used, limit = capacity.in_use_milli_vcpus.get(name, 0), environment.max_milli_vcpus
        if limit is not None and used > limit and not has_fleet(environment):
            yield f"{name} has {used} milli-vCPUs in use, more than its {limit}"
    host, milli_vcpus, memory_mib = capacity.host, capacity.host_milli_vcpus, capacity.host_memory_mib
    if not 0 <= milli_vcpus <= (milli_vcpus if host.milli_vcpus is None else host.milli_vcpus):
        yield f"the machine has {milli_vcpus} of {host.milli_vcpus} milli-vCPUs in use"
    if not 0 <= memory_mib <= (memory_mib if host.memory_mib is None else host.memory_mib):
        yield f"the machine has {memory_mib} of {host.memory_mib} MiB in use"
    if not capacity.jobs_on_host and (milli_vcpus or memory_mib):
        yield f"the machine has {milli_vcpus} milli-vCPUs and {memory_mib} MiB in use without jobs"


def lasting_milli_vcpus(scheduler: Scheduler, environment: str) -> int:
    """Returns the milli-vCPUs of an environment's instances that will not be terminated soon."""
    instances = scheduler.dispatcher.scaling.fleet(environment).instances.values()
    return sum(item.total.milli_vcpus for item in instances if item.state is not InstanceState.DRAINING)


def _check_fleet(scheduler: Scheduler, environment: ComputeEnvironment, before: int) -> Iterator[str]:
    fleet = scheduler.dispatcher.scaling.fleet(environment.name)
    for what in fleet.miscounted():
        yield f"{environment.name} {what}"
    for instance in fleet.instances.values():
        if instance.compute_environment != environment.name:
            yield f"instance {instance.id} of {instance.compute_environment} is in {environment.name}"
        if instance.state is InstanceState.DRAINING and not instance.jobs:
            yield f"instance {instance.id} drains and has no jobs: it should be gone"
    largest = max((item.total.milli_vcpus for item in fleet.instances.values()), default=0)
    limit, lasting = environment.max_milli_vcpus or 0, lasting_milli_vcpus(scheduler, environment.name)
    if lasting > max(limit, before) and lasting - largest >= limit:
        yield f"{environment.name} has {lasting} milli-vCPUs of instances, its limit is {limit}"
