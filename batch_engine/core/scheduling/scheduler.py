"""The state machine: takes in events and returns decisions.

``Scheduler.handle`` is the only way to change a resource or a job. It reads no clock and starts nothing: its
callers have real time and real processes, or virtual time and prices.
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
from batch_engine.core.state.log import EventLog, Fault, LoggedIds
from batch_engine.core.state.registry import Registry
from batch_engine.core.state.wakeups import Wakeups

INTERNAL_ERROR = "Internal error of the engine: "
_MAKES_NO_ROOM = (JobSubmitted, AttemptStarted)
_TRIES = 5
"""How often the rest of an event is tried after a fault, each time without the job that was at hand."""


class Scheduler:
    """Decides, for every job, what AWS Batch would decide.

    Args:
        registry: the resources and jobs; only the scheduler changes them.
        arns: names things.
        ids: gives fresh ids to instances and tasks.
        host: what the machine underneath can run at once.
        catalogue: the instance types there are.
        scaling: how instances come and go.
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
        self._ids = LoggedIds(ids)
        self._journal = Journal(registry, render)
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
        # The actions of this constructor reach nobody: the first event asks for the next wake-up.
        self._wakeups.forget_asked()

    @property
    def dispatcher(self) -> Dispatcher:
        """The queues and the capacity, to look at."""
        return self._machine.dispatcher

    def handle(self, event: Event, now_ms: int) -> list[Action]:
        """Takes in one event.

        Events about an attempt that is over already are ignored: the world is told late, and twice.

        An internal error loses nothing. A request is undone (see ``refusal``). Any other event ends the job
        that was at hand as FAILED with the error as its reason, and everything else goes on.

        Args:
            event: what happened.
            now_ms: when, in epoch milliseconds.

        Returns:
            What is to be done, in order.
        """
        record, journal, machine = self.log.open(event, now_ms), self._journal, self._machine
        self._ids.drawn = record.ids
        self.refusal = None
        is_in = False
        try:
            journal.open(record)
            machine.take_in(event)
            is_in = True
            # A job more, or one that runs now, makes no room for a job that was refused before.
            machine.follow_up(makes_room=not isinstance(event, _MAKES_NO_ROOM))
        except Exception as error:
            journal.record = record
            self._recover(error, None if is_in else event)
        return record.actions

    def _recover(self, error: Exception, event: Event | None) -> None:
        """Mends the state, and goes on with the event.

        Args:
            error: the internal error.
            event: the event, if it was not taken in completely.
        """
        journal, fault = self._journal, self._note(error, refused=isinstance(event, REQUESTS))
        for _ in range(_TRIES):
            try:
                if isinstance(event, REQUESTS):
                    recovery.drop_decisions(journal)
                    if isinstance(event, JobSubmitted):
                        recovery.withdraw(journal, event)
                    else:
                        self._machine.requests.undo()
                    self.refusal = fault
                elif event is not None and not isinstance(event, recovery.ABOUT_SOMETHING):
                    self._machine.take_in(event)
                recovery.mend(
                    journal, self.dispatcher.scaling.instances, event, INTERNAL_ERROR + fault.reason
                )
                event = None
                self._rebuild()
                self._machine.resume()
                self._machine.follow_up(makes_room=True)
                return
            except Exception as again:
                fault = self._note(again, refused=False)
        # The rest of the event has to wait for the next one.
        self._mend(None, fault)
        self._rebuild()

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
