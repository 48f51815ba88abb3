"""Which waiting job runs next, and where.

https://docs.aws.amazon.com/batch/latest/userguide/job_scheduling.html
"""

from batch_engine.core.actions import StartAttempt
from batch_engine.core.capacity import Capacity, HostLimits, Refusal
from batch_engine.core.ids import Arns, IdFactory
from batch_engine.core.journal import Journal
from batch_engine.core.model import (
    Attempt,
    ComputeEnvironment,
    Job,
    JobQueue,
    JobStatus,
    Platform,
    WaitReason,
)
from batch_engine.core.waiting_lines import WaitingLines

_CLUSTER = "cluster/"


class Dispatcher:
    """Holds the lines of RUNNABLE jobs and counts what placed jobs use.

    Args:
        journal: takes the decisions.
        arns: names things.
        ids: gives fresh ids to instances and tasks.
        host: what the machine underneath can run at once.
    """

    def __init__(self, journal: Journal, arns: Arns, ids: IdFactory, host: HostLimits) -> None:
        self.lines = WaitingLines()
        self.capacity = Capacity(host)
        self._journal = journal
        self._registry = journal.registry
        self._arns = arns
        self._ids = ids
        self._by_priority: list[JobQueue] | None = None

    def enqueue(self, job: Job) -> None:
        """Put a job that has just become RUNNABLE in its queue's line."""
        self.lines.join(job)

    def take_over(self, job: Job) -> None:
        """Count in a placed job that was read back from the store."""
        self.capacity.take(job, job.attempt.compute_environment)

    def release(self, job: Job) -> None:
        """Free what a job's latest attempt held."""
        self.capacity.release(job, job.attempt.compute_environment)

    def resources_changed(self) -> None:
        """A queue or a compute environment came, went or changed."""
        self._by_priority = None

    def drop_queue(self, name: str) -> None:
        """Forget a queue that is gone."""
        self.lines.drop(name)
        self._by_priority = None

    def run_cycle(self) -> None:
        """One cycle: queues by falling priority, each places what fits at this moment."""
        if self._by_priority is None:
            queues = [queue for queue in self._registry.job_queues.values() if queue.status == "VALID"]
            self._by_priority = sorted(queues, key=lambda queue: (-queue.priority, queue.created_order))
        for queue in self._by_priority:
            while (job := self.lines.head(queue.name)) is not None:
                placed = self._place(job, queue)
                if isinstance(placed, Refusal):
                    self._wait(job, placed)
                    break
                self._start(job, placed)

    def _place(self, job: Job, queue: JobQueue) -> ComputeEnvironment | Refusal:
        """The first compute environment, in the queue's order, that takes the job."""
        first: Refusal | None = None
        for name in queue.compute_environments:
            environment = self._registry.compute_environments[name]
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
        if job.wait_reason is not refusal.reason:
            job.wait_reason, job.status_reason = refusal.reason, f"{refusal.reason} - {refusal.sentence}"
            self._registry.touch(job)

    def _start(self, job: Job, environment: ComputeEnvironment) -> None:
        self.capacity.take(job, environment.name)
        job.attempts.append(self._new_attempt(job, environment))
        self._journal.move(job, JobStatus.STARTING)
        self._journal.act(StartAttempt(job.id, job.attempt.number))

    def _new_attempt(self, job: Job, environment: ComputeEnvironment) -> Attempt:
        cluster = environment.ecs_cluster_arn.partition(_CLUSTER)[2]
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
