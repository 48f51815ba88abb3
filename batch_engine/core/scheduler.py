"""The state machine: it is told what happened, and answers what is to be done.

``Scheduler.handle`` is the only code that changes a job. It reads no clock and starts nothing: real time and
real processes, or virtual time and prices, are its callers' business.
"""

from batch_engine.core.actions import Action, PublishJobState, SetTimer, StartAttempt, StopAttempt
from batch_engine.core.capacity import Capacity, HostLimits, Refusal
from batch_engine.core.describe import job_detail
from batch_engine.core.events import (
    AttemptFinished,
    AttemptStarted,
    Event,
    HostLost,
    JobCancelled,
    JobSubmitted,
    JobTerminated,
    QueueDeleted,
    ResourcesChanged,
    TimerFired,
)
from batch_engine.core.ids import Arns, IdFactory
from batch_engine.core.logs import log_destination
from batch_engine.core.model import (
    Attempt,
    ComputeEnvironment,
    Job,
    JobQueue,
    JobStatus,
    Platform,
    StopCause,
    WaitReason,
)
from batch_engine.core.registry import Registry
from batch_engine.core.retry import decide
from batch_engine.core.transitions import move
from batch_engine.core.waiting_lines import WaitingLines

TIMEOUT_REASON = "Job attempt duration exceeded timeout"
FARGATE_LOST_REASON = "Your Spot Task was interrupted."
QUEUE_DELETED_REASON = "Job queue deleted"
ECS_CLUSTER_PART = "cluster/"


class Scheduler:
    """Decides, for every job, what AWS Batch would decide.

    Args:
        registry: the resources and jobs; the scheduler changes its jobs and nothing else in it.
        arns: names things.
        ids: gives fresh ids to instances and tasks.
        host: what the machine underneath can run at once.
    """

    def __init__(
        self, registry: Registry, arns: Arns, ids: IdFactory, host: HostLimits | None = None
    ) -> None:
        self.registry = registry
        self.capacity = Capacity(host or HostLimits())
        self.lines = WaitingLines()
        self._arns = arns
        self._ids = ids
        self._actions: list[Action] = []
        self._by_priority: list[JobQueue] | None = None
        for job in registry.jobs.values():
            self._take_over(job)

    def _take_over(self, job: Job) -> None:
        """Count in a job that was read back from the store."""
        if job.status is JobStatus.RUNNABLE:
            self.lines.join(job)
        elif job.status.is_placed:
            self.capacity.take(job, job.attempt.compute_environment)

    def handle(self, event: Event, now_ms: int) -> list[Action]:
        """Take in one event.

        Events about an attempt that is over already are ignored: the world is told late, and twice.

        Args:
            event: what happened.
            now_ms: when, in epoch milliseconds.

        Returns:
            What is to be done, in order.
        """
        self._actions = []
        match event:
            case JobSubmitted(job):
                self._submitted(job, now_ms)
            case JobCancelled(job_id, reason):
                self._cancelled(self.registry.jobs[job_id], reason, now_ms)
            case JobTerminated(job_id, reason):
                self._terminated(self.registry.jobs[job_id], reason, now_ms)
            case AttemptStarted():
                self._attempt_started(event, now_ms)
            case AttemptFinished():
                self._attempt_finished(event, now_ms)
            case HostLost():
                self._host_lost(event, now_ms)
            case TimerFired():
                self._timer_fired(event)
            case QueueDeleted(queue):
                self._queue_deleted(queue, now_ms)
            case ResourcesChanged():
                self._by_priority = None
        self._dispatch(now_ms)
        return self._actions

    # --- what happens to one job ---

    def _move(self, job: Job, status: JobStatus, now_ms: int, reason: str | None = None) -> None:
        move(job, status, now_ms, reason)
        job.wait_reason = None
        self._actions.append(PublishJobState(job.id, job_detail(job, self.registry)))
        self.registry.touch(job)
        if status.is_terminal:
            self._finish_deleted_queue(job.queue)

    def _submitted(self, job: Job, now_ms: int) -> None:
        self.registry.add(job)
        self.registry.touch(job)
        job.history.append((now_ms, job.status))
        self._move(job, JobStatus.RUNNABLE, now_ms)
        self.lines.join(job)

    def _cancelled(self, job: Job, reason: str, now_ms: int) -> None:
        if job.status.is_terminal or job.status.is_placed:
            return
        job.is_cancelled = True
        self._move(job, JobStatus.FAILED, now_ms, reason)

    def _terminated(self, job: Job, reason: str, now_ms: int) -> None:
        if job.status.is_terminal:
            return
        job.is_terminated = True
        if job.status.is_placed:
            self._stop(job, StopCause.TERMINATED, reason)
        else:
            self._move(job, JobStatus.FAILED, now_ms, reason)

    def _stop(self, job: Job, cause: StopCause, reason: str) -> None:
        """The first cause decides how the job ends; stopping it twice changes nothing."""
        if job.stop_cause is None:
            job.stop_cause, job.stop_reason = cause, reason
            self._actions.append(StopAttempt(job.id, job.attempt.number, cause))
        self.registry.touch(job)

    def _current(self, job_id: str, attempt: int) -> Job | None:
        job = self.registry.jobs.get(job_id)
        if job is None or not job.status.is_placed or job.attempt.number != attempt:
            return None
        return job

    def _attempt_started(self, event: AttemptStarted, now_ms: int) -> None:
        job = self._current(event.job_id, event.attempt)
        if job is None or job.status is JobStatus.RUNNING:
            return
        job.attempt.started_at_ms = now_ms
        destination = log_destination(job)
        job.attempt.log_stream = destination.stream if destination else None
        self._move(job, JobStatus.RUNNING, now_ms)
        if job.timeout_s is not None:
            self._actions.append(SetTimer(job.id, event.attempt, now_ms + job.timeout_s * 1000))

    def _timer_fired(self, event: TimerFired) -> None:
        job = self._current(event.job_id, event.attempt)
        if job is not None:
            self._stop(job, StopCause.TIMED_OUT, TIMEOUT_REASON)

    def _host_lost(self, event: HostLost, now_ms: int) -> None:
        job = self._current(event.job_id, event.attempt)
        if job is not None:
            instance_id = job.attempt.instance_id
            reason = f"Host EC2 (instance {instance_id}) terminated." if instance_id else FARGATE_LOST_REASON
            self._attempt_finished(AttemptFinished(job.id, event.attempt, None, None, reason), now_ms)

    def _attempt_finished(self, event: AttemptFinished, now_ms: int) -> None:
        job = self._current(event.job_id, event.attempt)
        if job is None:
            return
        attempt = job.attempt
        attempt.stopped_at_ms = now_ms
        attempt.exit_code, attempt.reason = event.exit_code, event.reason
        attempt.status_reason = event.status_reason
        self.capacity.release(job, attempt.compute_environment)
        if job.stop_cause is not None:
            attempt.status_reason = job.stop_reason
            self._move(job, JobStatus.FAILED, now_ms, job.stop_reason)
        elif event.exit_code == 0 and job.status is JobStatus.RUNNING:
            self._move(job, JobStatus.SUCCEEDED, now_ms, event.status_reason)
        else:
            self._failed(job, attempt, now_ms)

    def _failed(self, job: Job, attempt: Attempt, now_ms: int) -> None:
        decision = decide(
            job.retry,
            attempt.number,
            exit_code=attempt.exit_code,
            reason=attempt.reason,
            status_reason=attempt.status_reason,
        )
        if not decision.retry:
            self._move(job, JobStatus.FAILED, now_ms, attempt.status_reason)
            return
        job.order = self.registry.front_order()
        self._move(job, JobStatus.RUNNABLE, now_ms, attempt.status_reason)
        self.lines.join(job)

    # --- queues ---

    def _queue_deleted(self, name: str, now_ms: int) -> None:
        self._by_priority = None
        for job in [job for job in self.registry.jobs.values() if job.queue == name]:
            self._terminated(job, QUEUE_DELETED_REASON, now_ms)
        self._finish_deleted_queue(name)

    def _finish_deleted_queue(self, name: str) -> None:
        queue = self.registry.job_queues.get(name)
        if queue is None or queue.status != "DELETING":
            return
        if any(job.queue == name and not job.status.is_terminal for job in self.registry.jobs.values()):
            return
        self.registry.forget(queue)
        self.lines.drop(name)
        self._by_priority = None

    def _dispatch(self, now_ms: int) -> None:
        """One cycle: queues by falling priority, each places what fits at this moment."""
        if self._by_priority is None:
            queues = [queue for queue in self.registry.job_queues.values() if queue.status == "VALID"]
            self._by_priority = sorted(queues, key=lambda queue: (-queue.priority, queue.created_order))
        for queue in self._by_priority:
            while (job := self.lines.head(queue.name)) is not None:
                placed = self._place(job, queue)
                if isinstance(placed, Refusal):
                    self._wait(job, placed)
                    break
                self._start(job, placed, now_ms)

    def _place(self, job: Job, queue: JobQueue) -> ComputeEnvironment | Refusal:
        """The first compute environment, in the queue's order, that takes the job."""
        first: Refusal | None = None
        for name in queue.compute_environments:
            environment = self.registry.compute_environments[name]
            refusal = self.capacity.refusal(job, environment)
            if refusal is None:
                return environment
            # A wait that will end says more than a limit that will not.
            if first is None or first.reason is WaitReason.COMPUTE_ENVIRONMENT_MAX_RESOURCE:
                first = refusal
        return first or Refusal(
            WaitReason.QUEUE_WITHOUT_COMPUTE, "CE(s) associated with the job queue are invalid."
        )

    def _wait(self, job: Job, refusal: Refusal) -> None:
        reason = f"{refusal.reason} - {refusal.sentence}"
        if job.wait_reason is not refusal.reason:
            job.wait_reason, job.status_reason = refusal.reason, reason
            self.registry.touch(job)

    def _start(self, job: Job, environment: ComputeEnvironment, now_ms: int) -> None:
        self.capacity.take(job, environment.name)
        job.attempts.append(self._new_attempt(job, environment))
        self._move(job, JobStatus.STARTING, now_ms)
        self._actions.append(StartAttempt(job.id, job.attempt.number))

    def _new_attempt(self, job: Job, environment: ComputeEnvironment) -> Attempt:
        cluster = environment.ecs_cluster_arn.partition(ECS_CLUSTER_PART)[2]
        on_ec2 = environment.platform is Platform.EC2
        return Attempt(
            number=len(job.attempts) + 1,
            compute_environment=environment.name,
            instance_id=f"i-{self._ids.hex(17)}" if on_ec2 else "",
            container_instance_arn=(
                self._arns.ecs(f"container-instance/{cluster}/{self._ids.hex(32)}") if on_ec2 else None
            ),
            task_arn=self._arns.ecs(f"task/{cluster}/{self._ids.hex(32)}"),
        )
