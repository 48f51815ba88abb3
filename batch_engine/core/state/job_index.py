"""The jobs of each queue by status: the cost of a listing depends only on the number of listed jobs.

Jobs are sorted by their ``serial``, which never changes: a page that starts behind a serial neither skips nor
repeats a job that has moved in the meantime.
"""

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field

from batch_engine.core.model.jobs import Job, JobStatus

_SUBMITTED, _RUNNABLE = JobStatus.SUBMITTED, JobStatus.RUNNABLE


@dataclass(slots=True)
class _Shelf:
    """The jobs of one queue in one status.

    ``put`` and ``take`` cost the same for any number of jobs; sorting and the removal of jobs that left are
    done when a list is read.
    """

    jobs: dict[int, Job] = field(default_factory=dict)
    serials: list[int] = field(default_factory=list)
    unsorted: bool = False

    def put(self, job: Job) -> None:
        serial, serials = job.serial, self.serials
        if serials and serial <= serials[-1]:
            self.unsorted = True
        self.jobs[serial] = job
        serials.append(serial)

    def take(self, job: Job) -> None:
        del self.jobs[job.serial]
        if len(self.serials) > 2 * len(self.jobs) + 64:
            self.serials, self.unsorted = list(self.jobs), True

    def _sort(self) -> None:
        if self.unsorted:
            self.serials, self.unsorted = sorted(self.jobs), False

    def rising(self, after: int) -> Iterator[Job]:
        self._sort()
        for position in range(bisect_left(self.serials, after + 1), len(self.serials)):
            if (job := self.jobs.get(self.serials[position])) is not None:
                yield job

    def falling(self, before: int | None) -> Iterator[Job]:
        self._sort()
        start = len(self.serials) if before is None else bisect_left(self.serials, before)
        for position in range(start - 1, -1, -1):
            if (job := self.jobs.get(self.serials[position])) is not None:
                yield job


@dataclass(slots=True)
class _QueueIndex:
    """The figures of one queue.

    ``use`` counts the milli-vCPUs in use by share, ``waiting`` those that RUNNABLE jobs need. ``placed_ms``
    is when a job was placed last; ``left_ms`` and ``left_order`` name the last job that left otherwise.
    """

    shelves: dict[JobStatus, _Shelf] = field(default_factory=lambda: {each: _Shelf() for each in JobStatus})
    use: dict[str, int] = field(default_factory=dict)
    waiting: int = 0
    placed_ms: int | None = None
    left_ms: int | None = None
    left_order: int = 0


class JobIndex:
    """The status of the jobs of each queue, and their use. Children and nodes count only as use."""

    def __init__(self) -> None:
        self._queues: dict[str, _QueueIndex] = {}
        self._provided: set[str] = set()

    def _of(self, queue: str) -> _QueueIndex:
        found = self._queues.get(queue)
        if found is None:
            found = self._queues[queue] = _QueueIndex()
        return found

    def add(self, job: Job) -> None:
        """Adds a job, new or read from the store.

        A SUBMITTED job is listed from its first move on, which is part of the same event.
        """
        status = job.status
        if job.parent_id is None and status is not _SUBMITTED:
            self._of(job.queue).shelves[status].put(job)
        if status.is_placed:
            self._count(job, self._of(job.queue), 1)
        elif status is _RUNNABLE:
            self.count_waiting(job, 1)

    def remove(self, job: Job) -> None:
        """Takes out a job that has ended and is forgotten."""
        if job.parent_id is None:
            self._of(job.queue).shelves[job.status].take(job)

    def moved(self, job: Job, before: JobStatus, now_ms: int) -> None:
        """Follows a job from ``before`` to the status that it has now."""
        status = job.status
        if status is before:
            return
        queue = self._queues.get(job.queue) or self._of(job.queue)
        if job.parent_id is None:
            if before is not _SUBMITTED:
                queue.shelves[before].take(job)
            queue.shelves[status].put(job)
        if before.is_placed is not status.is_placed:
            self._count(job, queue, 1 if status.is_placed else -1)
        if status is _RUNNABLE:
            if job.num_nodes is None:
                queue.waiting += job.milli_vcpus
        elif before is _RUNNABLE:
            if job.id in self._provided:
                self._provided.discard(job.id)
            elif job.num_nodes is None:
                queue.waiting -= job.milli_vcpus
            if status.is_placed:
                queue.placed_ms = now_ms
            else:
                queue.left_ms, queue.left_order = now_ms, job.order

    @staticmethod
    def _count(job: Job, queue: _QueueIndex, sign: int) -> None:
        if job.num_nodes is not None and job.node_index is None:
            return
        use, share = queue.use, job.share_identifier or ""
        use[share] = used = use.get(share, 0) + sign * job.milli_vcpus
        if not used:
            del use[share]

    def count_waiting(self, job: Job, count: int) -> None:
        """Adds jobs like this one to the demand, or subtracts them; also for children without a ``Job``.

        Nodes have instances of their own, so they do not count as demand.
        """
        if job.num_nodes is None:
            self._of(job.queue).waiting += count * job.milli_vcpus

    def provided(self, job: Job) -> None:
        """Notes that an instance is being launched for a RUNNABLE job: no other is launched for it."""
        self.count_waiting(job, -1)
        self._provided.add(job.id)

    def clear_provided(self, job: Job) -> None:
        """Notes that a job has to be placed again, if it is still RUNNABLE."""
        if job.id in self._provided:
            self._provided.discard(job.id)
            self.count_waiting(job, 1)

    def waiting_milli_vcpus(self, queue: str) -> int:
        """Returns the milli-vCPUs of a queue's RUNNABLE jobs for which nothing is being launched."""
        return self._of(queue).waiting

    def is_provided(self, job: Job) -> bool:
        """Returns whether an instance is being launched for a job; for checks."""
        return job.id in self._provided

    def oldest_first(self, queue: str, status: JobStatus, after: int = 0) -> Iterator[Job]:
        """Yields the jobs of a queue in a status, from the serial that follows ``after``."""
        return self._of(queue).shelves[status].rising(after)

    def newest_first(self, queue: str, status: JobStatus, before: int | None = None) -> Iterator[Job]:
        """Yields the jobs of a queue in a status, from the serial that comes before ``before``."""
        return self._of(queue).shelves[status].falling(before)

    def milli_vcpus_by_share(self, queue: str) -> dict[str, int]:
        """Returns the milli-vCPUs of a queue's placed jobs by share identifier; "" for jobs without one."""
        return dict(self._of(queue).use)

    def at_position_since(self, job: Job, runnable_since_ms: int) -> int:
        """Returns when a RUNNABLE job came to its present place in its queue, in epoch milliseconds."""
        queue, moments = self._of(job.queue), [runnable_since_ms]
        if queue.placed_ms is not None:
            moments.append(queue.placed_ms)
        if queue.left_ms is not None and queue.left_order < job.order:
            moments.append(queue.left_ms)
        return max(moments)

    def drop_queue(self, queue: str) -> None:
        """Forgets the times of a deleted queue's line; its jobs stay listed by id."""
        found = self._of(queue)
        found.placed_ms = found.left_ms = None

    def count(self, queue: str) -> dict[JobStatus, int]:
        """Returns how many jobs of a queue have each status."""
        return {status: len(shelf.jobs) for status, shelf in self._of(queue).shelves.items()}

    def holds(self, job: Job) -> bool:
        """Returns whether a job is listed under its own status, and under no other."""
        found = [
            status
            for status, shelf in self._of(job.queue).shelves.items()
            if shelf.jobs.get(job.serial) is job
        ]
        return found == ([job.status] if job.parent_id is None else [])
