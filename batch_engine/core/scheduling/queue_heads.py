"""Heads of queues that cannot run: their events, and their time limits.

https://docs.aws.amazon.com/batch/latest/userguide/job_stuck_in_runnable.html
"""

from batch_engine.core.capacity.wait_reasons import Refusal
from batch_engine.core.model.jobs import Job
from batch_engine.core.model.resources import JobQueue
from batch_engine.core.state.decisions import Journal
from batch_engine.core.state.wakeups import TimeLimit, Wakeups

CANCELLED_REASON = "Canceled by JobStateTimeLimit action due to reason: "


class Blocked:
    """The heads of all queues, and the time since which they wait.

    Args:
        journal: takes the decisions.
        wakeups: holds the times at which time limits are over.
    """

    def __init__(self, journal: Journal, wakeups: Wakeups) -> None:
        self._journal = journal
        self._wakeups = wakeups
        self._armed: dict[str, tuple[str, int]] = {}

    def waits(self, job: Job, queue: JobQueue, refusal: Refusal) -> None:
        """Notes why the head of a queue is refused.

        The time limit starts when the job comes to the head with this reason, and again with each new reason.
        """
        if job.wait_reason is not refusal.reason:
            job.wait_reason, job.waits_since_ms = refusal.reason, self._journal.now_ms
            job.status_reason = refusal.status_reason
            self._journal.registry.touch(job)
            if refusal.reason.is_blocked:
                self._journal.announce_blocked(job, queue)
        if refusal.reason.limited_as is not None and queue.time_limit_actions:
            self._arm(job, queue)

    def _limit_ms(self, job: Job, queue: JobQueue) -> int | None:
        """Returns when a job is cancelled, given its present reason to wait; None without a limit."""
        reason = None if job.wait_reason is None else job.wait_reason.limited_as
        for entry in queue.time_limit_actions:
            if entry["reason"] == reason and job.waits_since_ms is not None:
                return job.waits_since_ms + int(entry["maxTimeSeconds"]) * 1000
        return None

    def _arm(self, job: Job, queue: JobQueue) -> None:
        due_ms = self._limit_ms(job, queue)
        if due_ms is not None and self._armed.get(queue.name) != (job.id, due_ms):
            self._armed[queue.name] = (job.id, due_ms)
            self._wakeups.at(due_ms, TimeLimit(queue.name))

    def overdue(self, queue: JobQueue, head: Job) -> str | None:
        """Returns the reason for which the head of a queue is cancelled now, or None."""
        due_ms = self._limit_ms(head, queue)
        if due_ms is None or due_ms > self._journal.now_ms:
            return None
        self._armed.pop(queue.name, None)
        reason = None if head.wait_reason is None else head.wait_reason.limited_as
        return f"{CANCELLED_REASON}{reason}"
