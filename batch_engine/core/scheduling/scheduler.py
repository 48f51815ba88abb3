"""The state machine: it is told what happened, and answers what is to be done.

``Scheduler.handle`` is the only way to change a job. It reads no clock and starts nothing: real time and real
processes, or virtual time and prices, are its callers' business.
"""

from collections.abc import Callable

from batch_engine.core.capacity.autoscaler import ScalingSettings
from batch_engine.core.capacity.usage import HostLimits
from batch_engine.core.model.actions import Action
from batch_engine.core.model.events import (
    AttemptFinished,
    AttemptInterrupted,
    AttemptStarted,
    CapacityChanged,
    Event,
    HostLost,
    InstanceInterrupted,
    InstanceLost,
    InstanceReady,
    JobCancelled,
    JobSubmitted,
    JobTerminated,
    QueueDeleted,
    ResourcesChanged,
    RolesChanged,
    TimerFired,
)
from batch_engine.core.model.ids import Arns, IdFactory
from batch_engine.core.model.instance_types import Catalogue
from batch_engine.core.model.jobs import Job
from batch_engine.core.scheduling.dispatcher import Dispatcher
from batch_engine.core.scheduling.interruptions import Interruptions
from batch_engine.core.scheduling.lifecycle import Lifecycle
from batch_engine.core.scheduling.resource_status import Settling
from batch_engine.core.state import arrays
from batch_engine.core.state.decisions import Journal
from batch_engine.core.state.registry import Registry


class Scheduler:
    """Decides, for every job, what AWS Batch would decide.

    Args:
        registry: the resources and jobs; the scheduler changes its jobs, and forgets queues that are deleted.
        arns: names things.
        ids: gives fresh ids to instances and tasks.
        host: what the machine underneath can run at once.
        catalogue: the instance types there are.
        scaling: how instances come and go.
        publishes: whether anybody is to be told where jobs stand.
        keep_ended_ms: how long ended jobs are remembered, in milliseconds; None remembers all of them.
        forgotten: receives each job before it is forgotten.
    """

    def __init__(
        self,
        registry: Registry,
        arns: Arns,
        ids: IdFactory,
        host: HostLimits | None = None,
        catalogue: Catalogue | None = None,
        *,
        scaling: ScalingSettings | None = None,
        publishes: bool = True,
        keep_ended_ms: int | None = None,
        forgotten: Callable[[Job], None] | None = None,
    ) -> None:
        self.registry = registry
        self._journal = Journal(registry, publishes=publishes)
        self.dispatcher = Dispatcher(
            self._journal, arns, ids, host or HostLimits(), catalogue, settings=scaling
        )
        self._lifecycle = Lifecycle(
            self._journal, self.dispatcher, keep_ended_ms=keep_ended_ms, forgotten=forgotten
        )
        self._interruptions = Interruptions(self._journal, self.dispatcher, self._lifecycle)
        self._settling = Settling(
            self._journal, self.dispatcher.agenda, self.dispatcher.scaling, self.dispatcher.capacity
        )
        arrays.take_over(registry)
        for job in registry.jobs.values():
            self._lifecycle.take_over(job)
        self._lifecycle.retention.take_over(registry.jobs.values())

    def handle(self, event: Event, now_ms: int) -> list[Action]:
        """Take in one event.

        Events about an attempt that is over already are ignored: the world is told late, and twice.

        Args:
            event: what happened.
            now_ms: when, in epoch milliseconds.

        Returns:
            What is to be done, in order.
        """
        self._journal.open(now_ms)
        lifecycle = self._lifecycle
        match event:
            case JobSubmitted(job, nodes):
                lifecycle.submitted(job, nodes)
            case JobCancelled(job_id, reason):
                lifecycle.cancelled(job_id, reason)
            case JobTerminated(job_id, reason):
                lifecycle.terminated(job_id, reason)
            case AttemptStarted():
                lifecycle.attempt_started(event)
            case AttemptFinished():
                lifecycle.attempt_finished(event)
            case HostLost():
                lifecycle.host_lost(event)
            case TimerFired():
                lifecycle.timer_fired(event)
            case QueueDeleted(queue):
                lifecycle.queue_deleted(queue)
            case ResourcesChanged():
                self._settling.note()
                self._interruptions.resources_changed()
            case _:
                self._of_capacity(event)
        # A job more, or one that runs now, makes no room: whoever was refused before is refused still.
        makes_room = not isinstance(event, JobSubmitted | AttemptStarted) or bool(self._journal.ended)
        makes_room |= self._interruptions.due()
        while self._settling.run():
            makes_room = True
            self._interruptions.resources_changed()
        lifecycle.settle()
        self.dispatcher.run_cycle(makes_room=makes_room)
        while self._journal.ended:
            lifecycle.settle()
            self.dispatcher.run_cycle()
        return self._journal.close()

    def _of_capacity(self, event: Event) -> None:
        match event:
            case InstanceReady(instance_id):
                self.dispatcher.instance_ready(instance_id)
            case InstanceLost(instance_id):
                self._interruptions.lost(instance_id)
            case InstanceInterrupted(instance_id, notice_s):
                self._interruptions.interrupted(instance_id, notice_s)
            case AttemptInterrupted(job_id, attempt, notice_s):
                self._interruptions.attempt_interrupted(job_id, attempt, notice_s)
            case CapacityChanged(unavailable_types):
                self.dispatcher.scaling.settings.unavailable_types = set(unavailable_types)
            case RolesChanged(unusable, denied):
                settings = self.dispatcher.scaling.settings
                settings.unusable_roles, settings.denied_roles = set(unusable), set(denied)
                self._settling.roles_changed()
