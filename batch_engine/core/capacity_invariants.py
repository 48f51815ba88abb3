"""What must hold of instances, shares and consumable resources after every event."""

from collections import Counter

from batch_engine.core.instances import InstanceState
from batch_engine.core.model import ComputeEnvironment
from batch_engine.core.scaling import has_fleet
from batch_engine.core.scheduler import Scheduler


def capacity_violations(scheduler: Scheduler) -> list[str]:
    """Every invariant that does not hold, in words."""
    registry, scaling = scheduler.registry, scheduler.dispatcher.scaling
    found: list[str] = []
    for name, environment in registry.compute_environments.items():
        if has_fleet(environment):
            found.extend(_of_fleet(scheduler, environment))
        elif scaling.fleet(name).instances:
            found.append(f"{name} is {environment.resources.get('type')} and has instances")
    found.extend(_of_placements(scheduler))
    found.extend(_of_shares(scheduler))
    found.extend(_of_consumables(scheduler))
    return found


def _of_fleet(scheduler: Scheduler, environment: ComputeEnvironment) -> list[str]:
    fleet = scheduler.dispatcher.scaling.fleet(environment.name)
    found = [f"{environment.name} {what}" for what in fleet.miscounted()]
    for instance in fleet.instances.values():
        if instance.compute_environment != environment.name:
            found.append(f"instance {instance.id} of {instance.compute_environment} is in {environment.name}")
        if instance.state is InstanceState.DRAINING and not instance.jobs:
            found.append(f"instance {instance.id} drains and has no jobs: it should be gone")
    largest = max((item.total.milli_vcpus for item in fleet.instances.values()), default=0)
    limit = environment.max_milli_vcpus or 0
    lasting = fleet.milli_vcpus - sum(
        item.total.milli_vcpus for item in fleet.instances.values() if item.state is InstanceState.DRAINING
    )
    if lasting > limit and lasting - largest >= limit:
        found.append(f"{environment.name} has {lasting} milli-vCPUs of instances, its limit is {limit}")
    return found


def _of_placements(scheduler: Scheduler) -> list[str]:
    """Every placed job is on the one instance that its attempt names, and nobody else is."""
    registry, scaling = scheduler.registry, scheduler.dispatcher.scaling
    expected: dict[str, str] = {}
    for job in registry.jobs.values():
        if job.status.is_placed and not job.is_gang:
            environment = registry.compute_environments.get(job.attempt.compute_environment)
            if environment is not None and has_fleet(environment):
                expected[job.id] = job.attempt.instance_id
    actual = {
        job_id: instance.id
        for instance in scaling.instances.values()
        if instance.state is not InstanceState.LAUNCHING
        for job_id in instance.jobs
    }
    return [] if actual == expected else [f"instances hold {actual}, attempts name {expected}"]


def _of_shares(scheduler: Scheduler) -> list[str]:
    use: Counter[tuple[str, str]] = Counter()
    for job in scheduler.registry.jobs.values():
        if job.share_identifier is not None:
            use[job.queue, job.share_identifier] += job.milli_vcpus if job.status.is_placed else 0
    counted = scheduler.dispatcher.shares.use
    return [
        f"share {share} of {queue} counts {counted.running_milli(queue, share)}, its jobs use {milli}"
        for (queue, share), milli in use.items()
        if queue in scheduler.registry.job_queues and counted.running_milli(queue, share) != milli
    ]


def _of_consumables(scheduler: Scheduler) -> list[str]:
    locked: Counter[str] = Counter()
    for job in scheduler.registry.jobs.values():
        if job.holds_consumables:
            locked.update(job.consumables)
            if job.status.is_terminal:
                locked[f"{job.id} is over and holds some"] += 1
    return [
        f"consumable resource {name} counts {resource.in_use} in use, jobs hold {locked[name]}"
        for name, resource in scheduler.registry.consumable_resources.items()
        if resource.in_use != locked[name]
    ]
