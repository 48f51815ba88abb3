"""The engine of one machine: one lock around the core, and the threads that carry out its decisions."""

import asyncio
import logging
import threading
from collections.abc import Callable
from typing import Any

from batch_engine.catalogue.instances import instance_types
from batch_engine.core.api.control_plane import ControlPlane
from batch_engine.core.api.errors import ServerError
from batch_engine.core.capacity.usage import HostLimits
from batch_engine.core.model.actions import Action, StartAttempt, StopAttempt, WakeAt
from batch_engine.core.model.events import (
    CapacityChanged,
    Event,
    HostLost,
    ResourcesChanged,
    Woken,
)
from batch_engine.core.model.ids import Arns
from batch_engine.core.model.instance_types import Catalogue
from batch_engine.core.scheduling.retention import KEEP_ENDED_MS
from batch_engine.core.scheduling.scheduler import Scheduler
from batch_engine.core.state.registry import Registry
from batch_engine.local.api.api import BatchApi
from batch_engine.local.base.delay_queue import Worker
from batch_engine.local.base.ports import BatchService
from batch_engine.local.engine import event_outbox, instance_capacity, interrupt, recent_events
from batch_engine.local.engine.attempts import AttemptRunner
from batch_engine.local.engine.event_outbox import Outbox, announcement
from batch_engine.local.engine.group_commit import Turns
from batch_engine.local.engine.interrupt import events_for, placed_jobs
from batch_engine.local.engine.log_shipper import LogShipper
from batch_engine.local.engine.random_ids import RandomIds
from batch_engine.local.engine.role_credentials import RoleCredentials
from batch_engine.local.store.outbox_table import Announcement
from batch_engine.local.store.store import Store

SAVE_AGAIN_MS = 1000

logger = logging.getLogger(__name__)

Clock = Callable[[], int]


class Engine:
    """AWS Batch on this machine; it implements ``BatchService``, and ``build_engine`` makes one.

    Every request and every report changes the core under one lock. The engine saves the change, and only then
    answers the request and acts on the decisions: each answer survives a ``kill -9``.
    """

    def __init__(
        self,
        *,
        registry: Registry,
        arns: Arns,
        host: HostLimits,
        store: Store,
        outbox: Outbox | None,
        logs: LogShipper,
        clock: Clock,
        keep_ended_ms: int | None = KEEP_ENDED_MS,
    ) -> None:
        ids = RandomIds()
        self._registry = registry
        self._catalogue = Catalogue(instance_types())
        self._scheduler = Scheduler(
            registry,
            arns,
            ids,
            host,
            self._catalogue,
            render=None if outbox is None else outbox.detail,
            keep_ended_ms=keep_ended_ms,
        )
        self._plane = ControlPlane(registry, self._scheduler, arns, ids)
        self._store = store
        self._outbox = outbox
        self._logs = logs
        self._clock = clock
        self._timers: Worker[Callable[[], None]] = Worker("batch-timers", _call, limit=1, clock=clock)
        self._faults = self._reported = 0
        self._tries_again = False
        self._lock = threading.RLock()
        self._unsaved: list[Action] = []
        self._turns: Turns | None = None
        self._runner: AttemptRunner | None = None
        self._credentials: RoleCredentials | None = None
        self.api = BatchApi(self)

    @property
    def service(self) -> BatchService:
        """Returns the operations of AWS Batch, for requests that are known to be well-formed."""
        return self

    def attach(self, runner: AttemptRunner, credentials: RoleCredentials) -> None:
        """Gives the engine the parts that run attempts and that answer requests for credentials."""
        self._runner, self._credentials = runner, credentials

    def credentials_response(self, token: str) -> tuple[int, dict[str, Any]]:
        """Answers a job that fetches its role's credentials."""
        if self._credentials is None:
            return 404, {"code": "NotFound", "message": "the engine is not running"}
        return self._credentials.respond(token)

    def start(self, loop: asyncio.AbstractEventLoop | None = None) -> None:
        """Starts. Jobs that ran when the last server ended are lost with their host; waiting jobs go on.

        Args:
            loop: the event loop that serves requests. All changes of one turn of this loop are saved in one
                transaction. Call ``start`` on it, and answer requests after ``saved``.
        """
        if loop is not None:
            self._turns = Turns(loop, self._save_turn)
        if self._runner is not None:
            self._runner.open(loop)
        self._timers.start()
        self._logs.start()
        if self._outbox is not None:
            self._outbox.start()
        for job in [job for job in self._registry.jobs.values() if job.status.is_placed]:
            self.tell(HostLost(job.id, job.attempt.number))
        self.tell(ResourcesChanged())

    def stop(self) -> None:
        """Kills the attempts, delivers events and log lines if possible, and closes the state file."""
        if self._runner is not None:
            self._runner.close()
        self._timers.stop()
        self._logs.stop()
        if self._outbox is not None:
            self._outbox.stop()
        with self._lock:
            try:
                self._commit()
            finally:
                self._store.close()

    def call(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        """Carries out one operation of the API; see ``BatchService.call``."""
        with self._lock:
            now_ms = self._clock()
            try:
                response, actions = self._plane.call(operation, request, now_ms)
            except ServerError as error:
                self._settle(error.actions)
                raise
            self._settle(actions)
        return response

    async def saved(self) -> bool:
        """Waits until all changes so far are saved; returns False if that failed.

        Only a coroutine on the loop that ``start`` was given has to wait: elsewhere all is saved already.
        """
        if self._turns is None or not self._turns.is_now():
            return True
        return await self._turns.saved()

    def interrupt(self, target: str, name: str, notice_s: float) -> list[str]:
        """Takes an instance away as EC2 Spot does: its jobs get SIGTERM now and are lost with it later.

        Args:
            target: ``job``, ``instance`` or ``computeEnvironment``.
            name: its id, name or ARN.
            notice_s: seconds until the instance is gone.

        Returns:
            The ids of the interrupted jobs.

        Raises:
            InterruptError: no job is placed there.
        """
        with self._lock:
            jobs = placed_jobs(self._registry, target, name)
            self.tell_all(events_for(jobs, notice_s))
        return [job.id for job in jobs]

    def change_capacity(self, names: list[str], available: bool) -> list[str]:
        """Makes instance types unavailable, as when EC2 has none left, or available again.

        Args:
            names: instance types and families; an empty list changes nothing.
            available: whether they can be launched from now on.

        Returns:
            All types that cannot be launched now.

        Raises:
            CapacityError: the catalogue has no such type or family.
        """
        concerned = instance_capacity.types_named(self._catalogue, names)
        with self._lock:
            current = self._scheduler.restrictions.unavailable_types
            if concerned:
                self.tell(CapacityChanged(current - concerned if available else current | concerned))
            return sorted(self._scheduler.restrictions.unavailable_types)

    def recent_events(self, last: int, job: str | None) -> dict[str, Any]:
        """Returns the last events and what they led to; see ``recent_events``."""
        with self._lock:
            return recent_events.recent_events(self._scheduler.log, last, job)

    @property
    def own_routes(self) -> dict[str, Callable[[bytes], tuple[int, dict[str, Any]]]]:
        """Returns the handlers of the engine's own paths, beside AWS's API; each takes a request's body."""
        return {
            event_outbox.PATH: lambda _: event_outbox.answer(self._outbox),
            interrupt.PATH: lambda body: interrupt.answer(self.interrupt, body),
            instance_capacity.PATH: lambda body: instance_capacity.answer(self.change_capacity, body),
            recent_events.PATH: lambda body: recent_events.answer(self.recent_events, body),
        }

    def tell(self, event: Event) -> None:
        """Handles one event of an attempt or a timer."""
        self.tell_all([event])

    def tell_all(self, events: list[Event]) -> None:
        """Handles events in order, and saves all their changes in one transaction."""
        with self._lock:
            now_ms = self._clock()
            actions: list[Action] = []
            for event in events:
                try:
                    actions += self._scheduler.handle(event, now_ms)
                except Exception:
                    # The core did not recover from this error. The other events must still be saved.
                    logger.exception("%s could not be handled", event)
            self._settle(actions)

    def _report_faults(self) -> None:
        log = self._scheduler.log
        if log.faults > self._faults:
            self._faults = log.faults
            for record in log.last(log.count - self._reported):
                for fault in record.faults:
                    logger.error(
                        "event %s (%s) met an internal error\n%s", record.seq, record.event, fault.trace
                    )
        self._reported = log.count

    def _settle(self, actions: list[Action]) -> None:
        """Saves and acts now; on the event loop, at the end of its turn together with all other changes."""
        self._report_faults()
        self._unsaved += actions
        if self._turns is not None and self._turns.is_now():
            self._turns.save_later()
        else:
            self._commit()

    def _save_turn(self) -> None:
        with self._lock:
            self._commit()

    def _commit(self) -> None:
        """Saves, then acts. If saving fails, the engine does not act: the next commit tries both again."""
        announcements: list[Announcement] = []
        if self._outbox is not None:
            announcements = [found for action in self._unsaved if (found := announcement(action)) is not None]
        if self._registry.changed or announcements:
            try:
                events = self._store.save(self._registry.changed, announcements, self._clock())
            except Exception:
                # Without this timer, jobs would wait for the next request to save and start them.
                if not self._tries_again:
                    self._tries_again = True
                    self._timers.queue.put(self._try_again, self._clock() + SAVE_AGAIN_MS)
                raise
            self._registry.changed.clear()
            if self._outbox is not None:
                self._outbox.put(events)
        actions, self._unsaved = self._unsaved, []
        self._start_attempts([action for action in actions if isinstance(action, StartAttempt)])
        for action in actions:
            try:
                self._carry_out(action)
            except Exception:
                # No list holds the actions any more: the remaining ones must still be carried out.
                logger.exception("%s could not be carried out", action)

    def _start_attempts(self, actions: list[StartAttempt]) -> None:
        """Starts the attempts that are still current: one of them may have ended before it was saved."""
        jobs = [
            job
            for action in actions
            if (job := self._registry.jobs.get(action.job_id)) is not None
            and job.status.is_placed
            and job.attempt.number == action.attempt
        ]
        if not jobs or self._runner is None:
            return
        try:
            self._runner.start(jobs)
        except Exception:
            # The other actions must still be carried out.
            logger.exception("%s attempts could not be started", len(jobs))

    def _try_again(self) -> None:
        with self._lock:
            self._tries_again = False
            self.tell_all([])

    def _carry_out(self, action: Action) -> None:
        match action:
            case StopAttempt(job_id, attempt, _, grace_s):
                if self._runner is not None:
                    self._runner.stop(job_id, attempt, grace_s)
            case WakeAt(at_ms):
                self._timers.queue.put(lambda: self.tell(Woken()), at_ms)
            case _:
                pass  # attempts are started above; the outbox delivers events


def _call(due: list[Callable[[], None]]) -> None:
    for callback in due:
        callback()
