"""The life of a job, from its submission to its end.

https://docs.aws.amazon.com/batch/latest/userguide/job_states.html
"""

import math
from collections import Counter

from batch_engine.core.model.actions import StopAttempt, stop_grace_s
from batch_engine.core.model.events import AttemptFinished, AttemptStarted, HostLost, JobSubmitted
from batch_engine.core.model.jobs import Attempt, Job, JobStatus, StopCause, move_of
from batch_engine.core.rules.retry import decide
from batch_engine.core.scheduling.dependencies import Dependencies
from batch_engine.core.scheduling.dispatcher import Dispatcher
from batch_engine.core.scheduling.multinode import Nodes
from batch_engine.core.scheduling.release import Pending
from batch_engine.core.scheduling.retention import Retention
from batch_engine.core.state import arrays
from batch_engine.core.state.decisions import Journal
from batch_engine.core.state.wakeups import AttemptTimeout, Wakeups

TIMEOUT_REASON = "Job attempt duration exceeded timeout"
FARGATE_LOST_REASON = "Your Spot Task was interrupted."
QUEUE_DELETED_REASON = "Job queue deleted"
KILLED_EXIT_CODE = 137


class Lifecycle:
    """Moves jobs by the rules for retries, timeouts, cancelling and terminating.

    Args:
        journal: takes the decisions.
        dispatcher: places jobs and frees their capacity.
        wakeups: holds the times at which attempts time out.
        dependencies: the index from a job to the jobs that depend on it.
        retention: forgets jobs that ended long ago.
    """

    def __init__(
        self,
        journal: Journal,
        dispatcher: Dispatcher,
        wakeups: Wakeups,
        dependencies: Dependencies,
        retention: Retention,
    ) -> None:
        self._journal = journal
        self._registry = journal.registry
        self._dispatcher = dispatcher
        self._wakeups = wakeups
        self._retention = retention
        self.pending = Pending(journal, dispatcher, dependencies)
        self._nodes = Nodes(journal, dispatcher.release)
        self._live: Counter[str] = Counter()

    def take_over(self, job: Job) -> None:
        """Takes in a job that was read back from the store."""
        if job.parent_id is None and not job.status.is_terminal:
            self._live[job.queue] += 1
        self._dispatcher.known(job)
        self.pending.take_over(job)
        if job.status is JobStatus.RUNNABLE and job.node_index is None:
            self._dispatcher.enqueue(job)
        elif job.status.is_placed and not job.is_gang:
            self._dispatcher.take_over(job)

    def submitted(self, event: JobSubmitted) -> None:
        """Takes in a new job, with its nodes if it has any."""
        job = event.job
        job.order = self._registry.next_order()
        self._known(job)
        for node in event.nodes:
            node.order = job.order
            self._known(node)
        self._live[job.queue] += 1
        if job.share_identifier is not None:
            self._dispatcher.known(job)
        self.pending.submitted(job)

    def _known(self, job: Job) -> None:
        self._registry.add(job)
        self._registry.touch(job)
        job.moves.append(move_of(self._journal.now_ms, job.status))

    def settle(self) -> None:
        """Follows up on each job that has ended, and on those that end with it.

        It uses a list in place of recursion: a chain of dependencies may be ten thousand jobs long.
        """
        ended = self._journal.ended
        while ended:
            job = ended.popleft()
            self._dispatcher.ended(job)
            self.pending.ended(job)
            if job.parent_id is None:
                self._live[job.queue] -= 1
                self._retention.ended(job)
                self.finish_deleted_queue(job.queue)

    def cancelled(self, job_id: str, reason: str) -> None:
        """CancelJob: ends a job that is not placed yet; has no effect on a placed job."""
        job = arrays.touch_child(self._journal, job_id)
        if job is None or job.status.is_terminal or job.status.is_placed:
            return
        self._journal.at_hand = job
        if job.status is JobStatus.PENDING:
            self.pending.cancelled(job, reason)
            return
        job.is_cancelled = True
        self._end(job, JobStatus.FAILED, reason)

    def terminated(self, job_id: str, reason: str) -> None:
        """TerminateJob: stops a placed job and ends any other at once; an array with all its children."""
        job = arrays.touch_child(self._journal, job_id)
        if job is None or job.status.is_terminal:
            return
        job.is_terminated = True
        if job.is_array:
            job.stop_reason = reason
            for index in range(job.array_size or 0):
                self.terminated(arrays.child_id(job, index), reason)
            self._registry.touch(job)
        elif job.status.is_placed:
            self._stop(job, StopCause.TERMINATED, reason)
        else:
            self._end(job, JobStatus.FAILED, reason)

    def _stop(self, job: Job, cause: StopCause, reason: str, notice_s: float = math.inf) -> None:
        """Stops a job. The first cause decides how it ends."""
        if job.stop_cause in (None, StopCause.HOST_LOST) and job.stop_cause is not cause:
            job.stop_cause, job.stop_reason = cause, reason
            if job.is_gang:
                self._nodes.stop(job, cause, notice_s)
                self._registry.touch(job)
                return
            grace_s = stop_grace_s(job, notice_s)
            self._journal.act(StopAttempt(job.id, job.attempt.number, cause, grace_s))
        self._registry.touch(job)

    def current(self, job_id: str, attempt: int) -> Job | None:
        """Returns the job, if this is the attempt that it has under way."""
        job = self._registry.jobs.get(job_id)
        if job is None or not job.status.is_placed or job.attempts[-1].number != attempt:
            return None
        self._journal.at_hand = job
        return job

    def attempt_started(self, event: AttemptStarted) -> None:
        """Moves a job to RUNNING, and starts the clock of its timeout."""
        job = self.current(event.job_id, event.attempt)
        if job is None or job.is_gang or job.status is JobStatus.RUNNING:
            return
        now_ms = self._journal.now_ms
        job.attempts[-1].started_at_ms = now_ms
        self._journal.move(job, JobStatus.RUNNING)
        if job.node_index is not None and self._nodes.started(job):
            job = self._nodes.parent_of(job)
        if job.timeout_s is not None:
            self._wakeups.at(now_ms + job.timeout_s * 1000, AttemptTimeout(job.id, job.attempt.number))

    def timed_out(self, job_id: str, attempt: int) -> None:
        """Stops an attempt whose timeout is over."""
        job = self.current(job_id, attempt)
        if job is not None:
            self._stop(job, StopCause.TIMED_OUT, TIMEOUT_REASON)

    @staticmethod
    def _lost_reason(job: Job) -> str:
        instance_id = job.attempt.instance_id
        return f"Host EC2 (instance {instance_id}) terminated." if instance_id else FARGATE_LOST_REASON

    def host_interrupted(self, job: Job, notice_s: float) -> None:
        """Stops a job whose host will be gone soon."""
        self._stop(job, StopCause.HOST_LOST, self._lost_reason(job), notice_s)

    def host_lost(self, event: HostLost) -> None:
        """Ends an attempt whose host is gone."""
        job = self.current(event.job_id, event.attempt)
        if job is not None and not job.is_gang:
            reason = self._lost_reason(job)
            self.attempt_finished(AttemptFinished(job.id, event.attempt, None, None, reason))

    def attempt_finished(self, event: AttemptFinished) -> None:
        """Ends an attempt: the job succeeds, fails or is retried."""
        job = self.current(event.job_id, event.attempt)
        if job is None or job.is_gang:
            return
        attempt = job.attempts[-1]
        attempt.stopped_at_ms = self._journal.now_ms
        attempt.exit_code, attempt.reason = event.exit_code, event.reason
        attempt.status_reason = event.status_reason
        self._dispatcher.release(job)
        if job.timeout_s is not None:
            self._drop_timeout(job)
        if job.stop_cause is StopCause.HOST_LOST:
            if event.exit_code != 0:
                attempt.status_reason = job.stop_reason
            # A container that was killed with its host has no exit code.
            attempt.exit_code = None if event.exit_code == KILLED_EXIT_CODE else event.exit_code
            job.stop_cause = job.stop_reason = None
        if job.node_index is not None:
            self._node_finished(job)
        elif job.stop_cause is not None:
            attempt.status_reason = job.stop_reason
            self._end(job, JobStatus.FAILED, job.stop_reason)
        elif event.exit_code == 0 and job.status is JobStatus.RUNNING:
            self._journal.move(job, JobStatus.SUCCEEDED, event.status_reason)
        else:
            self._failed(job, attempt)

    def _drop_timeout(self, job: Job) -> None:
        if job.timeout_s is not None:
            self._wakeups.drop(AttemptTimeout(job.id, job.attempt.number))

    def _node_finished(self, node: Job) -> None:
        parent = self._nodes.finished(node)
        if parent is None:
            return
        self._drop_timeout(parent)
        if parent.stop_cause is not None:
            parent.attempt.status_reason = parent.stop_reason
            self._end(parent, JobStatus.FAILED, parent.stop_reason)
        elif parent.attempt.exit_code == 0 and parent.status is JobStatus.RUNNING:
            self._end(parent, JobStatus.SUCCEEDED, parent.attempt.status_reason)
        else:
            self._failed(parent, parent.attempt)

    def _failed(self, job: Job, attempt: Attempt) -> None:
        decision = decide(
            job.retry,
            attempt.number,
            exit_code=attempt.exit_code,
            reason=attempt.reason,
            status_reason=attempt.status_reason,
        )
        if not decision.retry:
            self._end(job, JobStatus.FAILED, attempt.status_reason)
            return
        job.order = self._registry.front_order()
        self._journal.move(job, JobStatus.RUNNABLE, attempt.status_reason)
        self._dispatcher.enqueue(job)

    def _end(self, job: Job, status: JobStatus, reason: str | None) -> None:
        self._journal.move(job, status, reason)

    def queue_deleted(self, name: str) -> None:
        """DeleteJobQueue: terminates the jobs of a queue, and removes the queue when all have ended."""
        queue = self._registry.job_queues[name]
        queue.status, queue.status_reason = "DELETING", "JobQueue is being deleted"
        self._registry.touch(queue)
        waiting = [job for job in self._registry.jobs.values() if job.queue == name and job.parent_id is None]
        for job in waiting:
            self.terminated(job.id, QUEUE_DELETED_REASON)

    def finish_deleted_queue(self, name: str) -> None:
        """Removes a queue in DELETING once all of its jobs have ended."""
        queue = self._registry.job_queues.get(name)
        if queue is None or queue.status != "DELETING":
            return
        if self._live[name]:
            return
        self._registry.forget(queue)
        self._dispatcher.drop_queue(name)
