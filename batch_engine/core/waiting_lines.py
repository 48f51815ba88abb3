"""The RUNNABLE jobs of each queue, first come first served."""

import heapq
from collections.abc import Iterator

from batch_engine.core.model import Job, JobStatus


class WaitingLines:
    """One line a queue. Jobs that left (cancelled, placed) are dropped when they come to its head, so that
    every call costs the same however many wait."""

    def __init__(self) -> None:
        self._lines: dict[str, list[tuple[int, str, Job]]] = {}

    def join(self, job: Job) -> None:
        """Put a job in its queue's line, at the place that its ``order`` gives."""
        heapq.heappush(self._lines.setdefault(job.queue, []), (job.order, job.id, job))

    def head(self, queue: str) -> Job | None:
        """The job that is next, or None where nobody waits."""
        line = self._lines.get(queue, [])
        while line:
            order, _, job = line[0]
            if job.status is JobStatus.RUNNABLE and job.order == order:
                return job
            heapq.heappop(line)
        return None

    def waiting(self, queue: str) -> Iterator[Job]:
        """Every job in a line, in order; for display and checks, not for decisions."""
        for order, _, job in sorted(self._lines.get(queue, []), key=lambda entry: entry[:2]):
            if job.status is JobStatus.RUNNABLE and job.order == order:
                yield job

    def drop(self, queue: str) -> None:
        """Forget the line of a queue that is gone."""
        self._lines.pop(queue, None)
