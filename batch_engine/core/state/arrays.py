"""Array jobs: a child gets a ``Job`` of its own only when an event or its placement needs one.

https://docs.aws.amazon.com/batch/latest/userguide/array_jobs.html
"""

from collections.abc import Iterator
from dataclasses import fields
from operator import attrgetter

from batch_engine.core.model.errors import ClientError
from batch_engine.core.model.jobs import Job, JobStatus, move_of
from batch_engine.core.model.wire import Wire
from batch_engine.core.state.array_progress import ArrayRun
from batch_engine.core.state.decisions import Journal
from batch_engine.core.state.registry import Registry

MIN_SIZE, MAX_SIZE = 2, 10_000
SHARED_WITH_CHILDREN = ("container", "parameters", "retry", "consumables")
CHILD_FAILED_REASON = "Array Child Job failed"
# ``dataclasses.replace`` takes five times as long, and ten thousand children are made one by one.
_ALL_OF = attrgetter(*(field.name for field in fields(Job)))


def parse_size(wire: Wire | None) -> int | None:
    """Returns ``arrayProperties.size`` of a request, or None for a job that is no array.

    Raises:
        ClientError: the size is not between 2 and 10,000.
    """
    size = (wire or {}).get("size")
    if size is None:
        return None
    if not MIN_SIZE <= size <= MAX_SIZE:
        raise ClientError(f"Array size must be between {MIN_SIZE} and {MAX_SIZE}, got {size}.")
    return int(size)


def open_run(registry: Registry, parent: Job, now_ms: int) -> ArrayRun:
    """Begins to count the children of an array."""
    run = registry.arrays[parent.id] = ArrayRun(parent.array_size or 0, now_ms)
    return run


def take_over(registry: Registry) -> None:
    """Rebuilds every array's counters from the children that were saved, after a restart."""
    for job in registry.jobs.values():
        if job.is_array:
            open_run(registry, job, job.last_moved_ms)
    for job in registry.jobs.values():
        if job.parent_id is None or job.array_index is None:
            continue
        share_with(job, registry.jobs[job.parent_id])
        run = registry.arrays[job.parent_id]
        run.adopt(job.array_index, job.status)
        run.updated_at_ms = max(run.updated_at_ms, job.last_moved_ms)


def share_with(child: Job, parent: Job) -> None:
    """Makes a child share its parent's objects in place of copies."""
    for member in SHARED_WITH_CHILDREN:
        setattr(child, member, getattr(parent, member))


def find(registry: Registry, job_id: str) -> Job | None:
    """Returns a job by its id; for a child without a ``Job`` of its own, a copy, not to be changed."""
    job = registry.jobs.get(job_id)
    if job is not None:
        return job
    parent, index = _parent_and_index(registry, job_id)
    return None if parent is None else view(registry, parent, index)


def _parent_and_index(registry: Registry, job_id: str) -> tuple[Job | None, int]:
    parent_id, colon, text = job_id.rpartition(":")
    parent = registry.jobs.get(parent_id)
    if not colon or parent is None or not parent.is_array or not (text.isascii() and text.isdigit()):
        return None, 0
    if str(int(text)) != text or int(text) >= (parent.array_size or 0):
        return None, 0
    return parent, int(text)


def view(registry: Registry, parent: Job, index: int) -> Job:
    """Returns one child of an array in its present state."""
    made = registry.jobs.get(child_id(parent, index))
    return made or _new(registry, parent, index)


def children_in(registry: Registry, parent: Job, status: JobStatus, after: int = -1) -> Iterator[Job]:
    """Yields the children of an array in one status, from the index that follows ``after``; for ListJobs."""
    run = registry.arrays[parent.id]
    for index in range(after + 1, run.size):
        made = registry.jobs.get(child_id(parent, index))
        if made is not None and made.status is status:
            yield made
        elif made is None and run.untouched_status(index) is status:
            yield _new(registry, parent, index)


def views(registry: Registry, parent: Job) -> list[Job]:
    """Returns every child of an array, by index; for checks."""
    return [view(registry, parent, index) for index in range(parent.array_size or 0)]


def child_id(parent: Job, index: int) -> str:
    """Returns ``<parent>:<index>``."""
    return f"{parent.id}:{index}"


def _new(registry: Registry, parent: Job, index: int) -> Job:
    status = registry.arrays[parent.id].untouched_status(index)
    child = child_of(parent, index)
    child.status, child.status_reason, child.is_terminated = status, None, False
    child.tags, child.attempts, child.moves = {}, [], [move_of(parent.created_at_ms, JobStatus.PENDING)]
    if status is JobStatus.RUNNABLE:
        child.moves.append(move_of(parent.last_moved_ms, status))
    return child


def child_of(parent: Job, index: int) -> Job:
    """Returns a child with the request of its parent; its state is still the parent's."""
    child = Job(*_ALL_OF(parent))
    child.id = child_id(parent, index)
    child.parent_id, child.array_index, child.depends_on = parent.id, index, ()
    return child


def touch_child(journal: Journal, job_id: str) -> Job | None:
    """Returns a job by its id; a child of an array gets a ``Job`` of its own."""
    registry = journal.registry
    job = registry.jobs.get(job_id)
    if job is not None:
        return job
    parent, index = _parent_and_index(registry, job_id)
    return None if parent is None else make(journal, parent, index)


def make(journal: Journal, parent: Job, index: int) -> Job:
    """Makes the ``Job`` of a child that has none yet."""
    registry = journal.registry
    child = _new(registry, parent, index)
    registry.arrays[parent.id].adopt(index, child.status)
    if child.status is JobStatus.RUNNABLE:
        # It is announced before the registry has it: after a fault it is made and announced again.
        journal.announce(child, JobStatus.PENDING)
    # Its demand was counted when its range was released, and children are not listed.
    registry.jobs[child.id] = registry.changed[child.id] = child
    return child


def next_child(journal: Journal, parent: Job) -> Job | None:
    """Makes the ``Job`` of the next released child of an array."""
    index = journal.registry.arrays[parent.id].peek()
    return None if index is None else make(journal, parent, index)
