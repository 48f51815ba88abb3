"""The jobs of each queue by status, so that listing them costs what is shown and not what is known.

Jobs stand by their ``serial``, which never changes: a page that starts behind a serial neither skips nor
repeats a job, whatever moved in the meantime.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from batch_engine.core.model.jobs import Job, JobStatus


@dataclass(slots=True)
class _Shelf:
    """The jobs of one queue in one status. Coming and going costs the same however many stand here; what
    that leaves to be done (sorting in, dropping the gone) is done when somebody looks."""

    jobs: dict[int, Job] = field(default_factory=dict)
    serials: list[int] = field(default_factory=list)
    unsorted: bool = False

    def put(self, job: Job) -> None:
        if self.serials and job.serial <= self.serials[-1]:
            self.unsorted = True
        self.jobs[job.serial] = job
        self.serials.append(job.serial)

    def take(self, job: Job) -> None:
        self.jobs.pop(job.serial, None)
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
class Departure:
    """When the line of a queue last moved up, and the order of the job that made room."""

    at_ms: int
    order: int


class JobIndex:
    """Where the jobs of each queue stand, and what they use. Children and nodes count only as use."""

    def __init__(self) -> None:
        self._shelves: dict[str, dict[JobStatus, _Shelf]] = {}
        self._use: dict[str, Counter[str]] = {}
        self._left: dict[str, Departure] = {}
        self._placed: dict[str, Departure] = {}
        self._waiting: Counter[str] = Counter()
        self._provided: set[str] = set()

    def add(self, job: Job) -> None:
        """Take in a job, new or read back from the store."""
        if job.parent_id is None:
            self._shelf(job.queue, job.status).put(job)
        if job.status.is_placed:
            self._count(job, 1)
        elif job.status is JobStatus.RUNNABLE:
            self.count_waiting(job, 1)

    def moved(self, job: Job, before: JobStatus, now_ms: int) -> None:
        """A job has left ``before`` for the status that it has now."""
        if job.status is before:
            return
        if job.parent_id is None:
            self._shelf(job.queue, before).take(job)
            self._shelf(job.queue, job.status).put(job)
        if before.is_placed != job.status.is_placed:
            self._count(job, 1 if job.status.is_placed else -1)
        if job.status is JobStatus.RUNNABLE:
            self.count_waiting(job, 1)
        if before is JobStatus.RUNNABLE:
            self._no_longer_waits(job)
            left = self._placed if job.status.is_placed else self._left
            left[job.queue] = Departure(now_ms, job.order)

    def _shelf(self, queue: str, status: JobStatus) -> _Shelf:
        shelves = self._shelves.get(queue)
        if shelves is None:
            # All of them at once: this is asked several times a job, and seldom for the first time.
            shelves = self._shelves[queue] = {each: _Shelf() for each in JobStatus}
        return shelves[status]

    def _count(self, job: Job, sign: int) -> None:
        if not job.is_array and not job.is_gang:
            use = self._use.get(job.queue)
            if use is None:
                use = self._use[job.queue] = Counter()
            share = job.share_identifier or ""
            use[share] += sign * job.milli_vcpus
            if not use[share]:
                del use[share]

    def count_waiting(self, job: Job, count: int) -> None:
        """So many jobs like this one have become RUNNABLE, or are so no more; for children without a ``Job``.

        Nodes have instances of their own, and so no part in what others share.
        """
        if not job.is_gang and job.node_index is None:
            self._waiting[job.queue] += count * job.milli_vcpus

    def provided(self, job: Job) -> None:
        """A RUNNABLE job has its instance, which is being launched: nothing more is to be launched for it."""
        self.count_waiting(job, -1)
        self._provided.add(job.id)

    def provided_no_more(self, job: Job) -> None:
        """It has to be placed anew, if it is RUNNABLE still."""
        if job.id in self._provided:
            self._provided.discard(job.id)
            self.count_waiting(job, 1)

    def _no_longer_waits(self, job: Job) -> None:
        if job.id in self._provided:
            self._provided.discard(job.id)
        else:
            self.count_waiting(job, -1)

    def waiting_milli_vcpus(self, queue: str) -> int:
        """What the RUNNABLE jobs of a queue need for which nothing is being launched."""
        return self._waiting[queue]

    def is_provided(self, job: Job) -> bool:
        """Whether an instance is being launched for a job; for checks."""
        return job.id in self._provided

    def oldest_first(self, queue: str, status: JobStatus, after: int = 0) -> Iterator[Job]:
        """The jobs of a queue in a status, from the serial that follows ``after``."""
        return self._shelf(queue, status).rising(after)

    def newest_first(self, queue: str, status: JobStatus, before: int | None = None) -> Iterator[Job]:
        """The jobs of a queue in a status, from the serial that comes before ``before``."""
        return self._shelf(queue, status).falling(before)

    def milli_vcpus_by_share(self, queue: str) -> dict[str, int]:
        """What the placed jobs of a queue use, by share identifier; an empty text stands for none."""
        return dict(self._use.get(queue, {}))

    def at_position_since(self, job: Job, runnable_since_ms: int) -> int:
        """When a RUNNABLE job came to the place in its queue that it has now, in epoch milliseconds."""
        moments = [runnable_since_ms]
        if (placed := self._placed.get(job.queue)) is not None:
            moments.append(placed.at_ms)
        if (left := self._left.get(job.queue)) is not None and left.order < job.order:
            moments.append(left.at_ms)
        return max(moments)

    def drop_queue(self, queue: str) -> None:
        """Forget when the line of a queue that is gone moved up; its jobs stay listed by id."""
        self._left.pop(queue, None)
        self._placed.pop(queue, None)

    def count(self, queue: str) -> dict[JobStatus, int]:
        """How many jobs of a queue stand in each status."""
        return {status: len(shelf.jobs) for status, shelf in self._shelves.get(queue, {}).items()}

    def holds(self, job: Job) -> bool:
        """Whether a job stands where its status says, and nowhere else."""
        found = [
            status
            for status, shelf in self._shelves.get(job.queue, {}).items()
            if shelf.jobs.get(job.serial) is job
        ]
        return found == ([job.status] if job.parent_id is None else [])
