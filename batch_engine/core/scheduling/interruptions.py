"""Lost hosts: Spot interruptions, lost machines and infrastructure updates.

https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/spot-instance-termination-notices.html
"""

from batch_engine.core.capacity.fleet import Instance
from batch_engine.core.model.actions import STOP_GRACE_S, StopAttempt
from batch_engine.core.model.jobs import StopCause
from batch_engine.core.scheduling.dispatcher import Dispatcher
from batch_engine.core.scheduling.lifecycle import Lifecycle
from batch_engine.core.state.decisions import Journal
from batch_engine.core.state.wakeups import AttemptEnds, InstanceEnds, Wakeups

_DEFAULT_UPDATE_MINUTES = 30


class Interruptions:
    """Takes instances away from the jobs on them.

    Args:
        journal: takes the decisions.
        dispatcher: drains the instances.
        lifecycle: ends the attempts.
        wakeups: holds the times at which hosts will be gone.
    """

    def __init__(
        self, journal: Journal, dispatcher: Dispatcher, lifecycle: Lifecycle, wakeups: Wakeups
    ) -> None:
        self._journal = journal
        self._dispatcher = dispatcher
        self._lifecycle = lifecycle
        self._wakeups = wakeups

    def interrupted(self, instance_id: str, notice_s: float) -> None:
        """Drains an instance that EC2 takes back in ``notice_s`` seconds, and stops its jobs."""
        self._journal.instance_at_hand = instance_id
        for job in self._dispatcher.instance_gone(instance_id):
            self._lifecycle.host_interrupted(job, notice_s)
        if instance_id in self._dispatcher.scaling.instances:
            self._wakeups.no_later(self._after(notice_s), InstanceEnds(instance_id))
        self._journal.instance_at_hand = None

    def attempt_interrupted(self, job_id: str, attempt: int, notice_s: float) -> None:
        """Stops an attempt whose host is taken back in ``notice_s`` seconds."""
        job = self._lifecycle.current(job_id, attempt)
        if job is None:
            return
        if job.attempt.instance_id in self._dispatcher.scaling.instances:
            self.interrupted(job.attempt.instance_id, notice_s)
            return
        self._lifecycle.host_interrupted(job, notice_s)
        self._wakeups.no_later(self._after(notice_s), AttemptEnds(job_id, attempt))

    def _after(self, seconds: float) -> int:
        return self._journal.now_ms + round(seconds * 1000)

    def lost(self, instance_id: str) -> None:
        """Ends the attempts on an instance that is gone."""
        self._journal.instance_at_hand = instance_id
        for job in self._dispatcher.instance_gone(instance_id):
            # On one machine no host dies with these attempts: their processes must be killed.
            self._journal.act(StopAttempt(job.id, job.attempt.number, StopCause.HOST_LOST, 0))
            # Each attempt ends in its own step: a fault with one leaves the others in place.
            self._wakeups.soon(AttemptEnds(job.id, job.attempt.number))
        self._dispatcher.scaling.keep_minimum()
        self._journal.instance_at_hand = None

    def resources_changed(self) -> None:
        """Drains the instances that an update replaces; jobs may run on until the timeout of the update."""
        for instance in self._dispatcher.resources_changed():
            environment = self._journal.registry.compute_environments.get(instance.compute_environment)
            policy = (environment.update_policy if environment is not None else None) or {}
            if policy.get("terminateJobsOnUpdate"):
                self.interrupted(instance.id, STOP_GRACE_S)
            else:
                self._let_jobs_end(instance, policy.get("jobExecutionTimeoutMinutes"))

    def _let_jobs_end(self, instance: Instance, minutes: int | None = None) -> None:
        self._wakeups.no_later(
            self._after((minutes or _DEFAULT_UPDATE_MINUTES) * 60), InstanceEnds(instance.id)
        )

    def resume(self) -> None:
        """Sets the end of each draining instance with jobs again, after a fault."""
        for instance in self._dispatcher.scaling.instances.values():
            if instance.is_replaced and instance.jobs:
                self._let_jobs_end(instance)
