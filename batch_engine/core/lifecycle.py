"""What happens to one job, from its submission to its end.

https://docs.aws.amazon.com/batch/latest/userguide/job_states.html
"""

from batch_engine.core.actions import SetTimer, StopAttempt
from batch_engine.core.dispatch import Dispatcher
from batch_engine.core.events import AttemptFinished, AttemptStarted, HostLost, TimerFired
from batch_engine.core.journal import Journal
from batch_engine.core.logs import log_destination
from batch_engine.core.model import Attempt, Job, JobStatus, StopCause
from batch_engine.core.retry import decide

TIMEOUT_REASON = "Job attempt duration exceeded timeout"
FARGATE_LOST_REASON = "Your Spot Task was interrupted."
QUEUE_DELETED_REASON = "Job queue deleted"


class Lifecycle:
    """Moves jobs, by the rules for retries, timeouts, cancelling and terminating.

    Args:
        journal: takes the decisions.
        dispatcher: places jobs and frees what they held.
    """

    def __init__(self, journal: Journal, dispatcher: Dispatcher) -> None:
        self._journal = journal
        self._registry = journal.registry
        self._dispatcher = dispatcher

    def take_over(self, job: Job) -> None:
        """Count in a job that was read back from the store."""
        if job.status is JobStatus.RUNNABLE:
            self._dispatcher.enqueue(job)
        elif job.status.is_placed:
            self._dispatcher.take_over(job)

    def submitted(self, job: Job) -> None:
        """A job is new."""
        self._registry.add(job)
        self._registry.touch(job)
        job.history.append((self._journal.now_ms, job.status))
        self._journal.move(job, JobStatus.RUNNABLE)
        self._dispatcher.enqueue(job)

    def cancelled(self, job: Job, reason: str) -> None:
        """CancelJob: a job that is placed already is left alone."""
        if job.status.is_terminal or job.status.is_placed:
            return
        job.is_cancelled = True
        self._end(job, JobStatus.FAILED, reason)

    def terminated(self, job: Job, reason: str) -> None:
        """TerminateJob: stops a placed job, ends any other at once."""
        if job.status.is_terminal:
            return
        job.is_terminated = True
        if job.status.is_placed:
            self._stop(job, StopCause.TERMINATED, reason)
        else:
            self._end(job, JobStatus.FAILED, reason)

    def _stop(self, job: Job, cause: StopCause, reason: str) -> None:
        """The first cause decides how the job ends; stopping it twice changes nothing."""
        if job.stop_cause is None:
            job.stop_cause, job.stop_reason = cause, reason
            self._journal.act(StopAttempt(job.id, job.attempt.number, cause))
        self._registry.touch(job)

    def _current(self, job_id: str, attempt: int) -> Job | None:
        """The job, if this is the attempt that it has under way."""
        job = self._registry.jobs.get(job_id)
        if job is None or not job.status.is_placed or job.attempt.number != attempt:
            return None
        return job

    def attempt_started(self, event: AttemptStarted) -> None:
        """A container is up: the timeout's clock starts."""
        job = self._current(event.job_id, event.attempt)
        if job is None or job.status is JobStatus.RUNNING:
            return
        now_ms = self._journal.now_ms
        job.attempt.started_at_ms = now_ms
        destination = log_destination(job)
        job.attempt.log_stream = destination.stream if destination else None
        self._journal.move(job, JobStatus.RUNNING)
        if job.timeout_s is not None:
            self._journal.act(SetTimer(job.id, event.attempt, now_ms + job.timeout_s * 1000))

    def timer_fired(self, event: TimerFired) -> None:
        """An attempt has run for as long as it may."""
        job = self._current(event.job_id, event.attempt)
        if job is not None:
            self._stop(job, StopCause.TIMED_OUT, TIMEOUT_REASON)

    def host_lost(self, event: HostLost) -> None:
        """The host of an attempt is gone."""
        job = self._current(event.job_id, event.attempt)
        if job is not None:
            instance_id = job.attempt.instance_id
            reason = f"Host EC2 (instance {instance_id}) terminated." if instance_id else FARGATE_LOST_REASON
            self.attempt_finished(AttemptFinished(job.id, event.attempt, None, None, reason))

    def attempt_finished(self, event: AttemptFinished) -> None:
        """An attempt is over: the job succeeds, fails or is tried again."""
        job = self._current(event.job_id, event.attempt)
        if job is None:
            return
        attempt = job.attempt
        attempt.stopped_at_ms = self._journal.now_ms
        attempt.exit_code, attempt.reason = event.exit_code, event.reason
        attempt.status_reason = event.status_reason
        self._dispatcher.release(job)
        if job.stop_cause is not None:
            attempt.status_reason = job.stop_reason
            self._end(job, JobStatus.FAILED, job.stop_reason)
        elif event.exit_code == 0 and job.status is JobStatus.RUNNING:
            self._end(job, JobStatus.SUCCEEDED, event.status_reason)
        else:
            self._failed(job, attempt)

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
        self._finish_deleted_queue(job.queue)

    def queue_deleted(self, name: str) -> None:
        """DeleteJobQueue: its jobs are terminated, and then it is gone."""
        self._dispatcher.resources_changed()
        for job in [job for job in self._registry.jobs.values() if job.queue == name]:
            self.terminated(job, QUEUE_DELETED_REASON)
        self._finish_deleted_queue(name)

    def _finish_deleted_queue(self, name: str) -> None:
        queue = self._registry.job_queues.get(name)
        if queue is None or queue.status != "DELETING":
            return
        if any(job.queue == name and not job.status.is_terminal for job in self._registry.jobs.values()):
            return
        self._registry.forget(queue)
        self._dispatcher.drop_queue(name)
