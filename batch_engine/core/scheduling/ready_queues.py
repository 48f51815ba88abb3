"""The RUNNABLE jobs of each queue, in the order in which they are tried."""

import heapq
from collections import deque
from collections.abc import Iterator

from batch_engine.core.model.jobs import Job, JobStatus
from batch_engine.core.state import arrays
from batch_engine.core.state.decisions import Journal

Entry = tuple[int, int, int, str, Job]
"""A place (rank, order, index in an array, id) and the job that has it."""
# A retried job goes to the front of the queue, before any schedulingPriority (at most 9999).
_BEFORE_EVERY_PRIORITY = -10_000


def _entry(job: Job, index: int) -> Entry:
    if job.order < 0:
        return _BEFORE_EVERY_PRIORITY, job.order, index, job.id, job
    priority = (job.scheduling_priority or 0) if job.share_identifier else 0
    return -priority, job.order, index, job.id, job


class _Line:
    """The line of one share: a plain queue of the jobs that came at either end, and a heap of the others."""

    __slots__ = ("heap", "run")

    def __init__(self) -> None:
        self.run: deque[Entry] = deque()
        self.heap: list[Entry] = []

    def put(self, entry: Entry) -> None:
        run = self.run
        if not run or entry > run[-1]:
            run.append(entry)
        elif entry < run[0]:
            run.appendleft(entry)
        else:
            heapq.heappush(self.heap, entry)

    def first(self) -> Entry:
        """Returns the first entry of a line."""
        run, heap = self.run, self.heap
        if not heap:
            return run[0]
        return run[0] if run and run[0] < heap[0] else heap[0]

    def __bool__(self) -> bool:
        return bool(self.run or self.heap)

    def pop(self) -> None:
        """Removes the first entry."""
        if self.heap and (not self.run or self.heap[0] < self.run[0]):
            heapq.heappop(self.heap)
        else:
            self.run.popleft()

    def __iter__(self) -> Iterator[Entry]:
        yield from self.run
        yield from self.heap


class WaitingLines:
    """The lines of all queues, one for each share; a queue without fair share has the one share "".

    In a line of a fair-share queue, jobs are sorted by falling ``schedulingPriority``, then by arrival; in
    other queues by arrival only. Jobs that left (cancelled, placed) are dropped when they come to the head.
    An array is one entry that makes its next child at the head. So every call costs the same for any number
    of jobs.

    Args:
        journal: takes the decisions about children that come to the head.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._lines: dict[str, dict[str, _Line]] = {}
        self._arrays: set[str] = set()

    def join(self, job: Job) -> None:
        """Adds a job, or an array with released children, to its line at its own place."""
        index = -1
        if job.array_index is not None:
            index = job.array_index
        elif job.array_size is not None:
            first = self._journal.registry.arrays[job.id].peek()
            if first is None or job.id in self._arrays:
                return
            self._arrays.add(job.id)
            index = first
        share = job.share_identifier or ""
        try:
            line = self._lines[job.queue][share]
        except KeyError:
            line = self._lines.setdefault(job.queue, {})[share] = _Line()
        line.put(_entry(job, index))

    def shares(self, queue: str) -> list[str]:
        """Returns the shares of a queue that have a line, in which a job may wait."""
        return list(self._lines.get(queue, ()))

    def first_order(self, queue: str, share: str) -> int | None:
        """Returns the order of the first job or array in a line; None if none waits."""
        lines = self._lines.get(queue)
        line = None if lines is None else lines.get(share)
        while line:
            entry = line.first()
            if self._waits(entry):
                return entry[1]
            if entry[4].is_array:
                self._arrays.discard(entry[4].id)
            line.pop()
        return None

    def _waits(self, entry: Entry) -> bool:
        """Returns whether an entry still waits: a RUNNABLE job, or an array with released children."""
        job = entry[4]
        if not job.is_array:
            return job.status is JobStatus.RUNNABLE and job.order == entry[1]
        # An array that has ended may be forgotten by now, and with it the record of its children.
        return not job.status.is_terminal and self._journal.registry.arrays[job.id].peek() is not None

    def head(self, queue: str, share: str = "") -> Job | None:
        """Returns the job that is next, or None if none waits."""
        lines = self._lines.get(queue)
        line = None if lines is None else lines.get(share)
        if line is None:
            return None
        while (run := line.run) or line.heap:
            entry = line.first() if line.heap else run[0]
            job = entry[4]
            if job.array_size is not None and job.array_index is None:
                self._next_child(line, job)
            elif job.status is JobStatus.RUNNABLE and job.order == entry[1]:
                return job
            else:
                line.pop()
        return None

    def _next_child(self, line: _Line, parent: Job) -> None:
        """Puts the next child of the array at the head of a line before the array."""
        line.pop()
        self._arrays.discard(parent.id)
        # An array that has ended may be forgotten by now, and with it the record of its children.
        child = None if parent.status.is_terminal else arrays.next_child(self._journal, parent)
        if child is not None:
            self.join(parent)
            self.join(child)

    def leave(self, job: Job) -> None:
        """Removes the head of a line, which stays RUNNABLE."""
        line = self._lines.get(job.queue, {}).get(job.share_identifier or "")
        if line and line.first()[4] is job:
            line.pop()

    def waiting(self, queue: str) -> Iterator[Job]:
        """Yields every job in the lines of a queue, in order; for display and checks, not for decisions.

        Children of arrays without a ``Job`` of their own are copies: a change to them has no effect.
        """
        registry = self._journal.registry
        for line in self._lines.get(queue, {}).values():
            for _, order, _, _, job in sorted(line, key=lambda entry: entry[:4]):
                if job.is_array:
                    if job.status.is_terminal:
                        continue
                    for index in registry.arrays[job.id].untouched_released():
                        yield arrays.view(registry, job, index)
                elif job.status is JobStatus.RUNNABLE and job.order == order:
                    yield job

    def standing(self, queue: str) -> Iterator[Job]:
        """Yields every job in the lines of a queue, and arrays for their untouched children; for checks."""
        for line in self._lines.get(queue, {}).values():
            yield from (entry[4] for entry in line if self._waits(entry))

    def drop(self, queue: str) -> None:
        """Forgets the lines of a deleted queue."""
        self._lines.pop(queue, None)
