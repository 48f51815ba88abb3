"""Hosts that are taken away: Spot reclaims, infrastructure updates, and what else is due later.

https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/spot-instance-termination-notices.html
"""

from batch_engine.core.capacity.autoscaler import IDLE
from batch_engine.core.model.actions import STOP_GRACE_S, StopAttempt
from batch_engine.core.model.events import HostLost
from batch_engine.core.model.jobs import Job, StopCause
from batch_engine.core.scheduling.dispatcher import Dispatcher
from batch_engine.core.scheduling.lifecycle import Lifecycle
from batch_engine.core.scheduling.queue_heads import LIMIT
from batch_engine.core.scheduling.retention import FORGET
from batch_engine.core.state.decisions import Journal

_INSTANCE_LOST = "instance lost"
_ATTEMPT_LOST = "attempt lost"
_DEFAULT_UPDATE_MINUTES = 30


class Interruptions:
    """Takes instances away from the jobs on them.

    Args:
        journal: takes the decisions.
        dispatcher: knows the instances.
        lifecycle: ends the attempts.
    """

    def __init__(self, journal: Journal, dispatcher: Dispatcher, lifecycle: Lifecycle) -> None:
        self._journal = journal
        self._dispatcher = dispatcher
        self._lifecycle = lifecycle

    def interrupted(self, instance_id: str, notice_s: float) -> None:
        """An instance will be gone ``notice_s`` from now: its agent drains it and stops its tasks."""
        for job in self._dispatcher.instance_gone(instance_id):
            self._warn(job, notice_s)
        if instance_id in self._dispatcher.scaling.instances:
            self._later(notice_s, _INSTANCE_LOST, instance_id)

    def attempt_interrupted(self, job_id: str, attempt: int, notice_s: float) -> None:
        """The same for one attempt, where no instance is known."""
        job = self._lifecycle.current(job_id, attempt)
        if job is None:
            return
        if job.attempt.instance_id in self._dispatcher.scaling.instances:
            self.interrupted(job.attempt.instance_id, notice_s)
            return
        self._warn(job, notice_s)
        self._later(notice_s, _ATTEMPT_LOST, f"{attempt} {job_id}")

    def _warn(self, job: Job, notice_s: float) -> None:
        self._lifecycle.host_interrupted(job, notice_s)

    def _later(self, notice_s: float, what: str, key: str) -> None:
        self._dispatcher.agenda.at(self._journal.now_ms + round(notice_s * 1000), what, key)

    def lost(self, instance_id: str) -> None:
        """An instance is gone, and with it what still ran there."""
        for job in self._dispatcher.instance_gone(instance_id):
            # There is no host to kill these with: on one machine, they are processes like others.
            self._journal.act(StopAttempt(job.id, job.attempt.number, StopCause.HOST_LOST, 0))
            self._lifecycle.host_lost(HostLost(job.id, job.attempt.number))
        self._dispatcher.scaling.keep_minimum()

    def resources_changed(self) -> None:
        """Instances that an infrastructure update replaces give their jobs as long as the update says."""
        for instance in self._dispatcher.resources_changed():
            environment = self._journal.registry.compute_environments[instance.compute_environment]
            policy = environment.update_policy or {}
            if policy.get("terminateJobsOnUpdate"):
                self.interrupted(instance.id, STOP_GRACE_S)
            else:
                minutes = policy.get("jobExecutionTimeoutMinutes") or _DEFAULT_UPDATE_MINUTES
                self._later(minutes * 60, _INSTANCE_LOST, instance.id)

    def due(self) -> bool:
        """Do what is due by now; whether anything was."""
        found = False
        for what, key in self._dispatcher.agenda.due():
            found = True
            if what == IDLE:
                self._dispatcher.scaling.idle(key)
            elif what == LIMIT:
                overdue = self._dispatcher.overdue(key)
                if overdue is not None:
                    self._lifecycle.cancelled(overdue[0].id, overdue[1])
            elif what == FORGET:
                self._lifecycle.retention.forget_due()
            elif what == _INSTANCE_LOST:
                self.lost(key)
            elif what == _ATTEMPT_LOST:
                number, _, job_id = key.partition(" ")
                self._lifecycle.host_lost(HostLost(job_id, int(number)))
        return found
