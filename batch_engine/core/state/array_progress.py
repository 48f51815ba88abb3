"""The status of the children of one array: counters, and ranges of children without a ``Job``."""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field

from batch_engine.core.model.jobs import JobStatus


@dataclass(slots=True)
class ArrayRun:
    """The counters of an array. They are built from the children after a restart.

    Args:
        size: the number of children.
        updated_at_ms: when a counter changed last, in epoch milliseconds.
    """

    size: int
    updated_at_ms: int
    counts: dict[JobStatus, int] = field(default_factory=lambda: dict.fromkeys(JobStatus, 0))
    made: bytearray = field(default_factory=bytearray)
    released: bytearray = field(default_factory=bytearray)
    waiting: set[int] = field(default_factory=set)
    _ranges: list[tuple[int, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.made, self.released = bytearray(self.size), bytearray(self.size)
        self.counts[JobStatus.PENDING] = self.size

    def moved(self, index: int, before: JobStatus, after: JobStatus, now_ms: int) -> None:
        """Counts the move of a child that has a ``Job`` of its own."""
        self.counts[before] -= 1
        self.counts[after] += 1
        self.updated_at_ms = now_ms
        if after is not JobStatus.PENDING:
            self.waiting.discard(index)

    def adopt(self, index: int, status: JobStatus) -> None:
        """Counts a child that has a ``Job`` of its own."""
        self.made[index] = 1
        untouched = self.untouched_status(index)
        self.counts[untouched] -= 1
        self.counts[status] += 1
        if status is JobStatus.PENDING:
            self.waiting.add(index)

    def untouched_status(self, index: int) -> JobStatus:
        """Returns the status of a child that has no ``Job``."""
        return JobStatus.RUNNABLE if self.released[index] else JobStatus.PENDING

    def release(self, start: int, stop: int, now_ms: int) -> int:
        """Releases the children from ``start`` up to ``stop``: they wait for no other job.

        Returns:
            The number of children without a ``Job`` that this makes RUNNABLE.
        """
        fresh = (stop - start) - self.released.count(1, start, stop)
        touched = self.made.count(1, start, stop) if fresh else 0
        if touched:
            fresh -= sum(self.made[index] and not self.released[index] for index in range(start, stop))
        self.released[start:stop] = b"\1" * (stop - start)
        self.counts[JobStatus.PENDING] -= fresh
        self.counts[JobStatus.RUNNABLE] += fresh
        self.updated_at_ms = now_ms
        if fresh:
            heapq.heappush(self._ranges, (start, stop))
        return fresh

    def peek(self) -> int | None:
        """Returns the first released child that has no ``Job`` yet."""
        while self._ranges:
            start, stop = self._ranges[0]
            index = self.made.find(0, start, stop)
            if index >= 0:
                if index > start:
                    heapq.heapreplace(self._ranges, (index, stop))
                return index
            heapq.heappop(self._ranges)
        return None

    @property
    def is_over(self) -> bool:
        """Returns whether every child has ended."""
        return self.counts[JobStatus.SUCCEEDED] + self.counts[JobStatus.FAILED] == self.size

    def untouched(self, status: JobStatus) -> int:
        """Returns the number of children without a ``Job`` in a status."""
        made, released = int.from_bytes(self.made), int.from_bytes(self.released)
        if status is JobStatus.RUNNABLE:
            return (released & ~made).bit_count()
        return self.size - (released | made).bit_count() if status is JobStatus.PENDING else 0

    def untouched_released(self) -> Iterator[int]:
        """Yields the released children that have no ``Job``, by index."""
        index = self.released.find(1)
        while index >= 0:
            if not self.made[index]:
                yield index
            index = self.released.find(1, index + 1)
