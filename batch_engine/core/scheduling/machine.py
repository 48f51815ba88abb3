"""The parts of the state machine, and the path of an event through them."""

from collections.abc import Callable
from dataclasses import dataclass

from batch_engine.core.capacity.autoscaler import Restrictions, ScalingSettings
from batch_engine.core.capacity.usage import HostLimits
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
    TagsChanged,
)
from batch_engine.core.model.ids import Arns, IdFactory
from batch_engine.core.model.instance_types import Catalogue
from batch_engine.core.model.jobs import Job, JobStatus, WaitReason
from batch_engine.core.scheduling.dependencies import Dependencies
from batch_engine.core.scheduling.dispatcher import Dispatcher
from batch_engine.core.scheduling.interruptions import Interruptions
from batch_engine.core.scheduling.lifecycle import Lifecycle
from batch_engine.core.scheduling.requests import Requests
from batch_engine.core.scheduling.resource_status import Settling
from batch_engine.core.scheduling.retention import Retention
from batch_engine.core.state import arrays
from batch_engine.core.state.decisions import Journal
from batch_engine.core.state.job_index import JobIndex
from batch_engine.core.state.wakeups import (
    AttemptEnds,
    AttemptTimeout,
    DefinitionExpires,
    InstanceEnds,
    InstanceIdle,
    JobsExpire,
    TimeLimit,
    Wakeup,
    Wakeups,
)


@dataclass(frozen=True, slots=True)
class Setup:
    """The arguments of a state machine besides its registry; see ``Scheduler``."""

    arns: Arns
    ids: IdFactory
    host: HostLimits
    catalogue: Catalogue
    scaling: ScalingSettings
    restrictions: Restrictions
    keep_ended_ms: int | None
    forgotten: Callable[[Job], None] | None


class Machine:
    """The counts, queues and indices. All of them follow from the registry, the instances and the wake-ups.

    Args:
        journal: takes the decisions.
        wakeups: the wake-ups.
        setup: the settings.
        broken: a machine whose counts are wrong after a fault; this one takes over its instances.
    """

    def __init__(
        self, journal: Journal, wakeups: Wakeups, setup: Setup, broken: "Machine | None" = None
    ) -> None:
        registry = journal.registry
        self._journal = journal
        self._registry = registry
        self._wakeups = wakeups
        self._restrictions = setup.restrictions
        self.dispatcher = Dispatcher(
            journal,
            wakeups,
            setup.arns,
            setup.ids,
            host=setup.host,
            catalogue=setup.catalogue,
            settings=setup.scaling,
            restrictions=setup.restrictions,
        )
        dependencies = Dependencies(registry)
        self._retention = Retention(
            journal,
            wakeups,
            dependencies.is_awaited,
            keep_ms=setup.keep_ended_ms,
            forgotten=setup.forgotten,
        )
        self._lifecycle = Lifecycle(journal, self.dispatcher, wakeups, dependencies, self._retention)
        self._interruptions = Interruptions(journal, self.dispatcher, self._lifecycle, wakeups)
        self._settling = Settling(
            journal,
            wakeups,
            self.dispatcher.scaling,
            self.dispatcher.capacity,
            settle_s=setup.scaling.settle_s,
        )
        self.requests = Requests(journal, self._lifecycle, wakeups)
        self._looks_at_resources = False
        self._handlers = self._all_handlers()
        if broken is not None:
            self.dispatcher.continue_from(broken.dispatcher)
            registry.arrays.clear()
            registry.index = JobIndex()
            for job in registry.jobs.values():
                registry.index.add(job)
                if job.wait_reason is WaitReason.INSTANCE_LAUNCHING:
                    job.wait_reason = job.status_reason = None
        arrays.take_over(registry)
        for job in registry.jobs.values():
            self._lifecycle.take_over(job)
        self._retention.take_over(registry.jobs.values())
        self.requests.take_over()

    def take_in(self, event: Event) -> None:
        """Applies an event to the job, the instance or the resources that it names."""
        handler = self._handlers.get(type(event))
        if handler is not None:
            handler(event)
        self._journal.at_hand = None

    def _resources(self, event: ResourcesChanged) -> None:
        self._looks_at_resources = self.requests.resources(event) or self._looks_at_resources

    def _queue_deleted(self, event: QueueDeleted) -> None:
        self.requests.queue_deleted(event)
        self._looks_at_resources = True

    def _instance_ready(self, event: InstanceReady) -> None:
        self._journal.instance_at_hand = event.instance_id
        self.dispatcher.instance_ready(event.instance_id)
        self._journal.instance_at_hand = None

    def _instance_lost(self, event: InstanceLost) -> None:
        self._interruptions.lost(event.instance_id)

    def _instance_interrupted(self, event: InstanceInterrupted) -> None:
        self._interruptions.interrupted(event.instance_id, event.notice_s)

    def _attempt_interrupted(self, event: AttemptInterrupted) -> None:
        self._interruptions.attempt_interrupted(event.job_id, event.attempt, event.notice_s)

    def _capacity(self, event: CapacityChanged) -> None:
        self._restrictions.unavailable_types = event.unavailable_types

    def _roles(self, event: RolesChanged) -> None:
        self._restrictions.unusable_roles, self._restrictions.denied_roles = event.unusable, event.denied
        self._settling.roles_changed()

    def _all_handlers(self) -> dict[type, Callable[..., None]]:
        """Returns the handlers of events, by the type of the event."""
        return {
            JobSubmitted: self._lifecycle.submitted,
            AttemptStarted: self._lifecycle.attempt_started,
            AttemptFinished: self._lifecycle.attempt_finished,
            HostLost: self._lifecycle.host_lost,
            JobCancelled: self.requests.cancelled,
            JobTerminated: self.requests.terminated,
            TagsChanged: self.requests.tags_changed,
            ResourcesChanged: self._resources,
            QueueDeleted: self._queue_deleted,
            InstanceReady: self._instance_ready,
            InstanceLost: self._instance_lost,
            InstanceInterrupted: self._instance_interrupted,
            AttemptInterrupted: self._attempt_interrupted,
            CapacityChanged: self._capacity,
            RolesChanged: self._roles,
        }

    def follow_up(self, *, makes_room: bool) -> None:
        """Handles the effects of an event: due wake-ups, the ends of jobs, and the placement of other jobs.

        Args:
            makes_room: whether a job that was refused before may now be placed.
        """
        lifecycle, ended = self._lifecycle, self._journal.ended
        # A job that has ended makes room after any event.
        makes_room = makes_room or bool(ended)
        if self._looks_at_resources:
            makes_room = True
            self._look_at_resources()
        if not self._wakeups.is_quiet:
            for wakeup in self._wakeups.due():
                makes_room = True
                self._wake(wakeup)
        while self._settling.run():
            makes_room = True
            self._interruptions.resources_changed()
        if ended:
            lifecycle.settle()
        self.dispatcher.run_cycle(makes_room=makes_room)
        # A placement may end a job, and the end of a job makes room for others.
        while ended:
            lifecycle.settle()
            self.dispatcher.run_cycle()

    def _look_at_resources(self) -> None:
        self._looks_at_resources = False
        self._settling.note()
        self._interruptions.resources_changed()
        for name in list(self._registry.job_queues):
            self._lifecycle.finish_deleted_queue(name)

    def _wake(self, wakeup: Wakeup) -> None:
        match wakeup:
            case AttemptTimeout(job_id, attempt):
                self._lifecycle.timed_out(job_id, attempt)
            case AttemptEnds(job_id, attempt):
                self._lifecycle.host_lost(HostLost(job_id, attempt))
            case InstanceEnds(instance_id):
                self._interruptions.lost(instance_id)
            case InstanceIdle(instance_id):
                self.dispatcher.scaling.idle(instance_id)
            case TimeLimit(queue):
                overdue = self.dispatcher.overdue(queue)
                if overdue is not None:
                    self._lifecycle.cancelled(overdue[0].id, overdue[1])
            case DefinitionExpires(arn):
                self.requests.definition_expires(arn)
            case JobsExpire():
                self._retention.forget_due()
        self._journal.at_hand = None

    def resume(self) -> None:
        """Completes the work that a fault may have left undone."""
        self._looks_at_resources = True
        self.dispatcher.resume()
        self._interruptions.resume()
        for job in list(self._registry.jobs.values()):
            if job.status is JobStatus.PENDING:
                self._lifecycle.pending.resume(job)
                self._lifecycle.settle()
        self._wakeups.forget_asked()
