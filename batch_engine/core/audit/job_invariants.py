"""The invariants of one job, and of the jobs that it belongs to or depends on."""

from collections.abc import Iterator
from itertools import pairwise

from batch_engine.core.capacity.autoscaler import has_fleet
from batch_engine.core.model.jobs import Dependency, Job, JobStatus
from batch_engine.core.model.transitions import legal_moves
from batch_engine.core.scheduling.dependencies import N_TO_N, SEQUENTIAL
from batch_engine.core.scheduling.scheduler import Scheduler
from batch_engine.core.state import arrays
from batch_engine.core.state.decisions import nodes_of
from batch_engine.core.state.registry import Registry


def job_violations(scheduler: Scheduler, job: Job) -> Iterator[str]:
    """Yields every invariant of one job that does not hold, in words."""
    registry = scheduler.registry
    yield from _check_history(job)
    yield from _check_attempts(job)
    if not registry.index.holds(job):
        yield f"job {job.id} is {job.status} and is listed elsewhere"
    if job.status.is_terminal and job.holds_consumables:
        yield f"job {job.id} is over and holds consumable resources"
    if job.status.is_placed and not job.is_gang:
        yield from _check_place(scheduler, job)
    yield from _check_dependencies(registry, job)
    if job.is_array:
        yield from _check_array(registry, job)
    if job.is_gang:
        yield from _check_gang(registry, job)


def _check_history(job: Job) -> Iterator[str]:
    path = [status for _, status in job.history]
    for before, after in pairwise(path):
        if after not in legal_moves(job)[before]:
            yield f"job {job.id} went from {before} to {after}"
    if path and path[-1] is not job.status:
        yield f"job {job.id} is {job.status} but its history ends in {path[-1]}"
    if job.status.is_terminal and job.stopped_at_ms is None:
        yield f"job {job.id} is {job.status} and has no stoppedAt"


def _check_attempts(job: Job) -> Iterator[str]:
    if [attempt.number for attempt in job.attempts] != list(range(1, len(job.attempts) + 1)):
        yield f"job {job.id} has attempts {[attempt.number for attempt in job.attempts]}"
    running = [attempt.number for attempt in job.attempts if attempt.stopped_at_ms is None]
    if running != ([job.attempt.number] if job.status.is_placed else []):
        yield f"job {job.id} is {job.status} with attempts {running} under way"
    if len(job.attempts) > job.retry.attempts:
        yield f"job {job.id} had {len(job.attempts)} attempts of {job.retry.attempts}"
    if job.status is JobStatus.SUCCEEDED and not job.is_array and job.attempt.exit_code != 0:
        yield f"job {job.id} SUCCEEDED with exit code {job.attempt.exit_code}"
    if job.status is JobStatus.RUNNING and job.attempt.started_at_ms is None:
        yield f"job {job.id} is RUNNING and its attempt has no startedAt"


def _check_place(scheduler: Scheduler, job: Job) -> Iterator[str]:
    """Checks that a placed job is on the instance that its attempt names."""
    environment = scheduler.registry.compute_environments.get(job.attempt.compute_environment)
    if environment is None:
        yield f"job {job.id} runs in {job.attempt.compute_environment}, which is gone"
    elif has_fleet(environment):
        instance = scheduler.dispatcher.scaling.instances.get(job.attempt.instance_id)
        if instance is None or job.id not in instance.jobs:
            yield f"job {job.id} is not on instance {job.attempt.instance_id} of its attempt"


def _awaited(registry: Registry, job: Job) -> Iterator[Job]:
    """Yields the jobs that must have SUCCEEDED before this one may wait for capacity."""
    entries: tuple[Dependency, ...] = job.depends_on
    if job.array_index is not None and job.parent_id is not None:
        parent = registry.jobs[job.parent_id]
        entries = parent.depends_on
    for entry in entries:
        if job.is_array and entry.type is not None:
            continue
        job_id = entry.job_id
        if entry.type == N_TO_N:
            job_id = f"{entry.job_id}:{job.array_index}"
        elif entry.type == SEQUENTIAL:
            job_id = f"{job.parent_id}:{job.array_index - 1}" if job.array_index else None
        found = arrays.find(registry, job_id) if job_id else None
        if found is not None:
            yield found


def _check_dependencies(registry: Registry, job: Job) -> Iterator[str]:
    if job.node_index is not None:
        return
    if job.status not in (JobStatus.SUBMITTED, JobStatus.PENDING, JobStatus.FAILED):
        for awaited in _awaited(registry, job):
            if awaited.status is not JobStatus.SUCCEEDED:
                yield f"job {job.id} is {job.status} though it waits for {awaited.id}, {awaited.status}"
    elif job.status is JobStatus.PENDING and not job.is_array:
        standing = [awaited.status for awaited in _awaited(registry, job)]
        failed = job.array_index is None and JobStatus.FAILED in standing
        if failed or all(status.is_terminal for status in standing):
            yield f"job {job.id} is PENDING though its dependencies are over: {standing}"


def _check_array(registry: Registry, parent: Job) -> Iterator[str]:
    """Checks that an array's parent agrees with its children."""
    run = registry.arrays[parent.id]
    if sum(run.counts.values()) != run.size or min(run.counts.values()) < 0:
        yield f"array {parent.id} of {run.size} counts {run.counts}"
    if run.is_over != parent.status.is_terminal:
        yield f"array {parent.id} is {parent.status}, its children are counted as {run.counts}"
    if parent.status is JobStatus.SUCCEEDED and run.counts[JobStatus.FAILED]:
        yield f"array {parent.id} SUCCEEDED though {run.counts[JobStatus.FAILED]} children FAILED"


def _check_gang(registry: Registry, job: Job) -> Iterator[str]:
    """Checks that nodes run only with their job, and that their main node decides."""
    nodes = nodes_of(registry, job)
    placed = [node.id for node in nodes if node.status.is_placed]
    if bool(placed) != job.status.is_placed:
        yield f"job {job.id} is {job.status}, of its nodes {placed} are placed"
    if any(len(node.attempts) != len(job.attempts) for node in nodes):
        yield f"job {job.id} had {len(job.attempts)} attempts, its nodes {[len(n.attempts) for n in nodes]}"
    if job.status is JobStatus.SUCCEEDED and nodes[job.main_node or 0].status is not JobStatus.SUCCEEDED:
        yield f"job {job.id} SUCCEEDED, its main node {nodes[job.main_node or 0].status}"
    if job.status.is_terminal and not all(node.status.is_terminal for node in nodes):
        yield f"job {job.id} is {job.status}, its nodes {[str(node.status) for node in nodes]}"
    if job.status.is_placed:
        homes = {(node.attempt.compute_environment, node.attempt.instance_id) for node in nodes}
        if len(homes) != len(nodes) or len({environment for environment, _ in homes}) != 1:
            yield f"the nodes of job {job.id} share instances or compute environments: {homes}"
