"""The state machine: takes in events and returns decisions.

``Scheduler.handle`` is the only way to change a resource or a job. It reads no clock and starts nothing: the
local engine calls it with real time and processes, the simulator with virtual time and prices.
"""

import traceback
from collections.abc import Callable

from batch_engine.core.capacity.autoscaler import Restrictions, ScalingSettings
from batch_engine.core.capacity.usage import HostLimits
from batch_engine.core.model.actions import Action
from batch_engine.core.model.events import REQUESTS, AttemptStarted, Event, JobSubmitted
from batch_engine.core.model.ids import Arns, IdFactory
from batch_engine.core.model.instance_types import Catalogue
from batch_engine.core.model.jobs import Job
from batch_engine.core.scheduling import recovery
from batch_engine.core.scheduling.dispatcher import Dispatcher
from batch_engine.core.scheduling.machine import Machine, Setup
from batch_engine.core.state.decisions import Journal, Render
from batch_engine.core.state.log import EventLog, Fault, LoggedIds, Record
from batch_engine.core.state.registry import Registry
from batch_engine.core.state.wakeups import Wakeups

INTERNAL_ERROR = "Internal error of the engine: "
_MAKES_NO_ROOM = (JobSubmitted, AttemptStarted)
_TRIES = 5
"""How often the rest of an event is tried after a fault, each time without the job that was at hand."""


class Scheduler:
    """Makes the decisions of AWS Batch for every job.

    Args:
        registry: the resources and jobs; only the scheduler changes them.
        arns: makes ARNs.
        ids: makes the ids of instances and tasks.
        host: the limits of the machine underneath.
        catalogue: the known instance types.
        scaling: the settings of launching and terminating instances.
        render: makes the details of the events that are published; None publishes none.
        keep_ended_ms: how long ended jobs are kept, in milliseconds; None keeps all of them.
        forgotten: receives each job before it is forgotten.
        log: keeps the last events.
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
        render: Render | None = None,
        keep_ended_ms: int | None = None,
        forgotten: Callable[[Job], None] | None = None,
        log: EventLog | None = None,
    ) -> None:
        self.registry = registry
        self.log = EventLog() if log is None else log
        self.refusal: Fault | None = None
        """The internal error for which the last request was undone, if it was."""
        self.restrictions = Restrictions()
        self._pending: Event | None = None
        self._is_open = False
        self._journal = Journal(registry, render)
        self._ids = LoggedIds(ids, self._journal.record)
        self._wakeups = Wakeups(self._journal)
        self._setup = Setup(
            arns,
            self._ids,
            host or HostLimits(),
            catalogue or Catalogue(),
            scaling or ScalingSettings(),
            self.restrictions,
            keep_ended_ms,
            forgotten,
        )
        self._machine = Machine(self._journal, self._wakeups, self._setup)
        # The actions of this constructor are lost: the first event asks for the next wake-up.
        self._wakeups.forget_asked()

    @property
    def dispatcher(self) -> Dispatcher:
        """Returns the queues and the capacity, for reading only."""
        return self._machine.dispatcher

    def handle(self, event: Event, now_ms: int) -> list[Action]:
        """Takes in one event.

        Events about an attempt that is over already are ignored: reports may come late, and twice.

        An internal error loses nothing. A request is undone (see ``refusal``). Any other event ends the job
        that was at hand as FAILED with the error as its reason, and everything else goes on.

        Args:
            event: what happened.
            now_ms: the time of the event, in epoch milliseconds.

        Returns:
            The actions to carry out, in order.
        """
        self._pending = event
        self._is_open = False
        try:
            record, machine = self.log.open(event, now_ms), self._machine
            self._open(record)
            machine.take_in(event)
            self._pending = None
            # A new job, or one that runs now, makes no room for a job that was refused before.
            machine.follow_up(makes_room=not isinstance(event, _MAKES_NO_ROOM))
        except Exception as error:
            return self._recover(event, now_ms, error)
        return record.actions

    def _open(self, record: Record) -> None:
        self.refusal = None
        self._ids.record = record
        self._journal.open(record)
        self._is_open = True

    def _recover(self, event: Event, now_ms: int, error: Exception) -> list[Action]:
        """Repairs the state, and goes on with the event."""
        if not self._is_open:
            self._open(self.log.open(event, now_ms))
        record, pending = self._journal.record, self._pending
        fault = self._note(error, refused=isinstance(pending, REQUESTS))
        for _ in range(_TRIES):
            try:
                self._resume(pending, fault)
                return record.actions
            except Exception as again:
                fault, pending = self._note(again, refused=False), self._pending
        # The rest of the event has to wait for the next one.
        self._mend(None, fault)
        self._rebuild()
        return record.actions

    def _resume(self, pending: Event | None, fault: Fault) -> None:
        if isinstance(pending, REQUESTS):
            recovery.drop_decisions(self._journal)
            if isinstance(pending, JobSubmitted):
                recovery.withdraw(self._journal, pending)
            else:
                self._machine.requests.undo()
            self.refusal = fault
        elif pending is not None and not isinstance(pending, recovery.ABOUT_SOMETHING):
            self._machine.take_in(pending)
        self._mend(pending, fault)
        self._pending = None
        self._rebuild()
        self._machine.resume()
        self._machine.follow_up(makes_room=True)

    def _mend(self, event: Event | None, fault: Fault) -> None:
        reason = INTERNAL_ERROR + fault.reason
        recovery.mend(self._journal, self.dispatcher.scaling.instances, event, reason)

    def _note(self, error: Exception, *, refused: bool) -> Fault:
        text = str(error)
        reason = type(error).__name__ + (f": {text}" if text else "")
        fault = Fault(reason, "".join(traceback.format_exception(error)), refused)
        self.log.fault(self._journal.record, fault)
        return fault

    def _rebuild(self) -> None:
        self._machine = Machine(self._journal, self._wakeups, self._setup, broken=self._machine)
