"""The RUNNABLE jobs of each queue, in the order in which they are tried."""

import heapq
from collections.abc import Iterator

from batch_engine.core.model.jobs import Job, JobStatus
from batch_engine.core.state import arrays
from batch_engine.core.state.decisions import Journal

_Place = tuple[int, int, int, str]
# A retried job goes to the front of the queue, before any schedulingPriority (at most 9999).
_BEFORE_EVERY_PRIORITY = -10_000


class WaitingLines:
    """One line a share of a queue; a queue without fair share has the one share "".

    In a line, a higher ``schedulingPriority`` goes first where the queue is fair-share, then whoever came
    first. Jobs that left (cancelled, placed) are dropped when they come to the head, and an array stands in
    line as one entry that makes its next child when it gets there: every call costs the same however many
    wait.

    Args:
        journal: told of the children that come to the head.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._lines: dict[str, dict[str, list[tuple[_Place, Job]]]] = {}
        self._arrays: set[str] = set()

    @staticmethod
    def _place(job: Job, index: int) -> _Place:
        if job.order < 0:
            return _BEFORE_EVERY_PRIORITY, job.order, index, job.id
        priority = (job.scheduling_priority or 0) if job.share_identifier else 0
        return -priority, job.order, index, job.id

    def join(self, job: Job) -> None:
        """Put a job, or an array with released children, in its line at the place that is its own."""
        index = -1
        if job.is_array:
            first = self._journal.registry.arrays[job.id].peek()
            if first is None or job.id in self._arrays:
                return
            self._arrays.add(job.id)
            index = first
        elif job.array_index is not None:
            index = job.array_index
        line = self._lines.setdefault(job.queue, {}).setdefault(job.share_identifier or "", [])
        heapq.heappush(line, (self._place(job, index), job))

    def shares(self, queue: str) -> list[str]:
        """The shares of a queue in which somebody waits."""
        return [share for share in list(self._lines.get(queue, ())) if self.head(queue, share) is not None]

    def head(self, queue: str, share: str = "") -> Job | None:
        """The job that is next, or None where nobody waits."""
        line = self._lines.get(queue, {}).get(share, [])
        while line:
            place, job = line[0]
            if job.is_array:
                heapq.heappop(line)
                self._arrays.discard(job.id)
                # An array that has ended may be forgotten by now, and with it the record of its children.
                child = None if job.status.is_terminal else arrays.next_child(self._journal, job)
                if child is not None:
                    self.join(child)
                    self.join(job)
            elif job.status is JobStatus.RUNNABLE and job.order == place[1]:
                return job
            else:
                heapq.heappop(line)
        return None

    def leave(self, job: Job) -> None:
        """Take the head of a line out of it although it stays RUNNABLE."""
        line = self._lines.get(job.queue, {}).get(job.share_identifier or "", [])
        if line and line[0][1] is job:
            heapq.heappop(line)

    def waiting(self, queue: str) -> Iterator[Job]:
        """Every job in the lines of a queue, in order; for display and checks, not for decisions.

        Children of arrays that nobody has touched are views, which no change reaches.
        """
        registry = self._journal.registry
        for line in self._lines.get(queue, {}).values():
            for place, job in sorted(line, key=lambda entry: entry[0]):
                if job.is_array:
                    if job.status.is_terminal:
                        continue
                    for index in registry.arrays[job.id].untouched_released():
                        yield arrays.view(registry, job, index)
                elif job.status is JobStatus.RUNNABLE and job.order == place[1]:
                    yield job

    def standing(self, queue: str) -> Iterator[Job]:
        """Every job in the lines of a queue, an array's parent for its untouched children; for checks."""
        for line in self._lines.get(queue, {}).values():
            for place, job in line:
                if job.is_array and job.status.is_terminal:
                    waits = False
                elif job.is_array:
                    waits = self._journal.registry.arrays[job.id].peek() is not None
                else:
                    waits = job.status is JobStatus.RUNNABLE and job.order == place[1]
                if waits:
                    yield job

    def drop(self, queue: str) -> None:
        """Forget the lines of a queue that is gone."""
        self._lines.pop(queue, None)
