"""What must hold after every event, whatever happened."""

from collections import Counter
from itertools import pairwise

from batch_engine.core import arrays
from batch_engine.core.capacity_invariants import capacity_violations
from batch_engine.core.model import Job, JobStatus
from batch_engine.core.registry import Registry
from batch_engine.core.scaling import has_fleet
from batch_engine.core.scheduler import Scheduler
from batch_engine.core.transitions import legal_moves


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
        if limit is not None and used[name] > limit and not has_fleet(environment):
            found.append(f"{name} has {used[name]} milli-vCPUs in use, more than its {limit}")
    host = capacity.host
    if host.milli_vcpus is not None and capacity.host_milli_vcpus > host.milli_vcpus:
        found.append(f"the machine has {capacity.host_milli_vcpus} of {host.milli_vcpus} milli-vCPUs in use")
    if host.memory_mib is not None and capacity.host_memory_mib > host.memory_mib:
        found.append(f"the machine has {capacity.host_memory_mib} of {host.memory_mib} MiB in use")
    found.extend(capacity_violations(scheduler))
    found.extend(_of_lines(scheduler))
    found.extend(_of_index(registry))
    return found


def _of_job(job: Job) -> list[str]:
    found: list[str] = []
    path = [status for _, status in job.history]
    for before, after in pairwise(path):
        if after not in legal_moves(job)[before]:
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
    if job.status is JobStatus.SUCCEEDED and not job.is_array and job.attempt.exit_code != 0:
        found.append(f"job {job.id} SUCCEEDED with exit code {job.attempt.exit_code}")
    return found


def _of_index(registry: Registry) -> list[str]:
    found: list[str] = []
    use: dict[str, Counter[str]] = {}
    listed: Counter[str] = Counter()
    for job in registry.jobs.values():
        if not registry.index.holds(job):
            found.append(f"job {job.id} is {job.status} and is listed elsewhere")
        listed[job.queue] += job.parent_id is None
        if job.status.is_placed and not job.is_array and not job.is_gang:
            use.setdefault(job.queue, Counter())[job.share_identifier or ""] += job.milli_vcpus
    for queue, number in listed.items():
        if sum(registry.index.count(queue).values()) != number:
            found.append(f"queue {queue} lists {registry.index.count(queue)}, it has {number} jobs")
        if (counted := registry.index.milli_vcpus_by_share(queue)) != (used := dict(use.get(queue, {}))):
            found.append(f"queue {queue} counts {counted} milli-vCPUs in use, its jobs hold {used}")
    return found


def _of_lines(scheduler: Scheduler) -> list[str]:
    found: list[str] = []
    waiting = Counter(
        job.id for queue in scheduler.registry.job_queues for job in scheduler.dispatcher.lines.waiting(queue)
    )
    waiting.update(
        job.id for queue in scheduler.registry.job_queues for job in scheduler.dispatcher.held(queue)
    )
    for job in scheduler.registry.jobs.values():
        expected = 1 if job.status is JobStatus.RUNNABLE and job.node_index is None else 0
        if waiting[job.id] != expected:
            found.append(f"job {job.id} is {job.status} and stands {waiting[job.id]} times in a line")
    return found


def _of_arrays(scheduler: Scheduler) -> list[str]:
    """Parents agree with their children."""
    found: list[str] = []
    registry = scheduler.registry
    for parent in registry.jobs.values():
        if not parent.is_array:
            continue
        run = registry.arrays[parent.id]
        children = arrays.views(registry, parent)
        counted = Counter(child.status for child in children)
        if {status: counted[status] for status in JobStatus} != run.counts:
            found.append(f"array {parent.id} counts {run.counts}, its children stand {dict(counted)}")
        over = all(child.status.is_terminal for child in children)
        if over != parent.status.is_terminal:
            found.append(f"array {parent.id} is {parent.status}, its children stand {dict(counted)}")
        if parent.status is JobStatus.SUCCEEDED and counted[JobStatus.FAILED]:
            found.append(f"array {parent.id} SUCCEEDED though {counted[JobStatus.FAILED]} children FAILED")
    return found
