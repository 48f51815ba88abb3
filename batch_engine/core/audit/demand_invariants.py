"""The invariants of the demand of queues, and of the instances that an update replaces."""

from collections import Counter
from collections.abc import Iterator

from batch_engine.core.capacity.fleet import InstanceState
from batch_engine.core.model.jobs import JobStatus
from batch_engine.core.scheduling.scheduler import Scheduler


def demand_violations(scheduler: Scheduler) -> Iterator[str]:
    """Yields every invariant that does not hold, in words; costs as much as there are jobs."""
    registry, waiting = scheduler.registry, Counter[str]()
    for job in registry.jobs.values():
        if job.is_array:
            untouched = registry.arrays[job.id].untouched(JobStatus.RUNNABLE)
            waiting[job.queue] += untouched * job.milli_vcpus
        elif job.status is JobStatus.RUNNABLE and not job.is_gang and job.node_index is None:
            waiting[job.queue] += 0 if registry.index.is_provided(job) else job.milli_vcpus
    for queue in registry.job_queues:
        counted = registry.index.waiting_milli_vcpus(queue)
        if counted != waiting[queue]:
            yield f"queue {queue} counts {counted} milli-vCPUs of demand, its jobs need {waiting[queue]}"
    yield from _check_held(scheduler)
    yield from _check_replaced(scheduler)


def _check_held(scheduler: Scheduler) -> Iterator[str]:
    """Checks that a job that waits for an instance has its room on one that is launching."""
    dispatcher = scheduler.dispatcher
    launching = {
        job_id.partition("#")[0]
        for instance in dispatcher.scaling.instances.values()
        if instance.state is InstanceState.LAUNCHING
        for job_id in instance.jobs
    }
    for queue in scheduler.registry.job_queues:
        for job in dispatcher.held(queue):
            if job.id not in launching:
                yield f"job {job.id} waits for an instance and none is launching for it"


def _check_replaced(scheduler: Scheduler) -> Iterator[str]:
    """Checks the count of instances that an update replaces: at zero, the update is complete."""
    for name, fleet in scheduler.dispatcher.scaling.fleets.items():
        replaced = sum(item.is_replaced for item in fleet.instances.values())
        if fleet.replaced != replaced:
            yield f"{name} counts {fleet.replaced} instances to be replaced, {replaced} are"
