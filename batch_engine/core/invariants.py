"""What must hold after every event, whatever happened."""

from collections import Counter
from itertools import pairwise

from batch_engine.core.model import Job, JobStatus
from batch_engine.core.scheduler import Scheduler
from batch_engine.core.transitions import LEGAL


def violations(scheduler: Scheduler) -> list[str]:
    """Every invariant that does not hold, in words; an empty list is what one wants to see."""
    registry, capacity = scheduler.registry, scheduler.dispatcher.capacity
    found: list[str] = []
    used: Counter[str] = Counter()
    for job in registry.jobs.values():
        found.extend(_of_job(job))
        if job.status.is_placed:
            used[job.attempt.compute_environment] += job.milli_vcpus
    for name, environment in registry.compute_environments.items():
        counted = capacity.in_use_milli_vcpus.get(name, 0)
        limit = environment.max_milli_vcpus
        if counted != used[name]:
            found.append(f"{name} counts {counted} milli-vCPUs in use, its jobs hold {used[name]}")
        if limit is not None and used[name] > limit:
            found.append(f"{name} has {used[name]} milli-vCPUs in use, more than its {limit}")
    host = capacity.host
    if host.milli_vcpus is not None and capacity.host_milli_vcpus > host.milli_vcpus:
        found.append(f"the machine has {capacity.host_milli_vcpus} of {host.milli_vcpus} milli-vCPUs in use")
    if host.memory_mib is not None and capacity.host_memory_mib > host.memory_mib:
        found.append(f"the machine has {capacity.host_memory_mib} of {host.memory_mib} MiB in use")
    found.extend(_of_lines(scheduler))
    return found


def _of_job(job: Job) -> list[str]:
    found: list[str] = []
    path = [status for _, status in job.history]
    for before, after in pairwise(path):
        if after not in LEGAL[before]:
            found.append(f"job {job.id} went from {before} to {after}")
    if path and path[-1] is not job.status:
        found.append(f"job {job.id} is {job.status} but its history ends in {path[-1]}")
    running = [attempt.number for attempt in job.attempts if attempt.stopped_at_ms is None]
    if running != ([job.attempt.number] if job.status.is_placed else []):
        found.append(f"job {job.id} is {job.status} with attempts {running} under way")
    if len(job.attempts) > job.retry.attempts:
        found.append(f"job {job.id} had {len(job.attempts)} attempts of {job.retry.attempts}")
    if job.status.is_terminal and job.stopped_at_ms is None:
        found.append(f"job {job.id} is {job.status} and has no stoppedAt")
    if job.status is JobStatus.SUCCEEDED and job.attempt.exit_code != 0:
        found.append(f"job {job.id} SUCCEEDED with exit code {job.attempt.exit_code}")
    return found


def _of_lines(scheduler: Scheduler) -> list[str]:
    found: list[str] = []
    waiting = Counter(
        job.id for queue in scheduler.registry.job_queues for job in scheduler.dispatcher.lines.waiting(queue)
    )
    for job in scheduler.registry.jobs.values():
        expected = 1 if job.status is JobStatus.RUNNABLE else 0
        if waiting[job.id] != expected:
            found.append(f"job {job.id} is {job.status} and stands {waiting[job.id]} times in a line")
    return found
