"""The time for which ended jobs are kept.

https://docs.aws.amazon.com/batch/latest/userguide/job_states.html
"""

from collections import deque
from collections.abc import Callable, Iterable

from batch_engine.core.model.jobs import Job
from batch_engine.core.state import arrays
from batch_engine.core.state.decisions import Journal, nodes_of
from batch_engine.core.state.wakeups import JobsExpire, Wakeups

DAY_MS = 24 * 60 * 60 * 1000
KEEP_ENDED_MS = 7 * DAY_MS
"""AWS Batch keeps SUCCEEDED and FAILED jobs for at least seven days."""
_MAX_GRAIN_MS = 60_000


class Retention:
    """Forgets ended jobs, each with its children or nodes, after ``keep_ms``.

    An array whose children are still awaited (``N_TO_N``) is kept until the waiting arrays have ended: the
    end of its children still decides about theirs.

    Args:
        journal: takes the decisions.
        wakeups: holds the time at which the next job is forgotten.
        is_awaited: returns whether another job still waits for the children of a job.
        keep_ms: how long an ended job is kept, in milliseconds; None keeps all jobs.
        forgotten: receives each job before it is forgotten: the whole job, not its children and nodes.
    """

    def __init__(
        self,
        journal: Journal,
        wakeups: Wakeups,
        is_awaited: Callable[[Job], bool],
        *,
        keep_ms: int | None,
        forgotten: Callable[[Job], None] | None = None,
    ) -> None:
        self._journal = journal
        self._registry = journal.registry
        self._wakeups = wakeups
        self._is_awaited = is_awaited
        self._keep_ms = keep_ms
        self._forgotten = forgotten
        self._ended: deque[tuple[int, str]] = deque()
        self._awaited: dict[str, Job] = {}

    def take_over(self, jobs: Iterable[Job]) -> None:
        """Notes the ends of the jobs that were read back from the store."""
        if self._keep_ms is None:
            return
        ended = [(job.last_moved_ms, job.id) for job in jobs if _is_whole(job) and job.status.is_terminal]
        self._ended.extend(sorted(ended))
        self._wake_for_next()

    def ended(self, job: Job) -> None:
        """Notes a job that has just ended."""
        if self._keep_ms is None or not _is_whole(job):
            return
        self._ended.append((self._journal.now_ms, job.id))
        if len(self._ended) == 1:
            self._wake_for_next()
        if self._awaited:
            for awaited in [each for each in self._awaited.values() if not self._is_awaited(each)]:
                del self._awaited[awaited.id]
                self._forget(awaited)

    def forget_due(self) -> None:
        """Forgets the jobs that have been kept for long enough."""
        if self._keep_ms is None:
            return
        while self._ended and self._ended[0][0] + self._keep_ms <= self._journal.now_ms:
            job = self._registry.jobs[self._ended.popleft()[1]]
            if self._is_awaited(job):
                self._awaited[job.id] = job
            else:
                self._forget(job)
        self._wake_for_next()

    def _wake_for_next(self) -> None:
        """Sets a wake-up a little late, so that jobs that ended together are forgotten together."""
        if self._ended and self._keep_ms is not None:
            grain_ms = min(self._keep_ms // 100, _MAX_GRAIN_MS)
            self._wakeups.at(self._ended[0][0] + self._keep_ms + grain_ms, JobsExpire())

    def _forget(self, job: Job) -> None:
        if self._forgotten is not None:
            self._forgotten(job)
        nodes = nodes_of(self._registry, job)
        # The whole job comes first: after a fault, recovery finds the others by their missing parent.
        self._registry.forget_job(job.id)
        if job.is_array:
            for index in range(job.array_size or 0):
                self._registry.forget_job(arrays.child_id(job, index))
        for node in nodes:
            self._registry.forget_job(node.id)


def _is_whole(job: Job) -> bool:
    return job.parent_id is None
