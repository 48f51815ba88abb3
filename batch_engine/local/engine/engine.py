"""The engine of one machine: one lock around the core, and what its decisions set in motion."""

import asyncio
import logging
import os
import secrets
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

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
from batch_engine.local.base.assembly_images import AssemblyImages
from batch_engine.local.base.delay_queue import Worker
from batch_engine.local.base.job_environment import Surroundings, jobs_path
from batch_engine.local.base.launch import SHARED_FOLDER, NoSecrets
from batch_engine.local.base.ports import BatchService, CredentialSource, EventSink, LogSink, SecretSource
from batch_engine.local.base.private_files import make_private_folder
from batch_engine.local.engine import event_outbox, instance_capacity, interrupt
from batch_engine.local.engine.attempts import AttemptRunner
from batch_engine.local.engine.event_outbox import Outbox, announcement
from batch_engine.local.engine.group_commit import Turns
from batch_engine.local.engine.interrupt import events_for, placed_jobs
from batch_engine.local.engine.log_shipper import LogShipper
from batch_engine.local.engine.role_credentials import RoleCredentials
from batch_engine.local.engine.runtime_choice import PROCESSES, RuntimeChoice, build_runtime
from batch_engine.local.store.outbox_table import Announcement
from batch_engine.local.store.store import Store

STATE_FILE = "batch.sqlite"
SAVE_AGAIN_MS = 1000
SCRATCH_FOLDER = "batch-stack-scratch"  # emptied at each start: a name that nobody else uses

logger = logging.getLogger(__name__)

RANDOM_BYTES = 2048

Clock = Callable[[], int]


def wall_clock() -> int:
    """Now, in epoch milliseconds."""
    return time.time_ns() // 1_000_000


class RandomIds:
    """Ids that no two runs share. Not safe for threads: the engine's lock guards it."""

    def __init__(self) -> None:
        self._digits, self._used = "", 0

    def uuid(self) -> str:
        """A new UUID."""
        x = self.hex(31)
        return f"{x[:8]}-{x[8:12]}-4{x[12:15]}-{_VARIANTS[x[15]]}{x[16:19]}-{x[19:]}"

    def hex(self, length: int) -> str:
        """New lower-case hexadecimal digits."""
        if self._used + length > len(self._digits):
            # The system is asked for many at once: a job needs three, and asking costs more than they do.
            self._digits, self._used = secrets.token_hex(max(length, RANDOM_BYTES)), 0
        start, self._used = self._used, self._used + length
        return self._digits[start : self._used]


_VARIANTS = dict(zip("0123456789abcdef", "89ab" * 4, strict=True))


class Engine:
    """AWS Batch on this machine. It implements ``BatchService``; ``build_engine`` makes one.

    Every request and every report changes the core under one lock, is saved, and only then answered or acted
    upon: what a caller was told survives a ``kill -9``.
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
        self._tries_again = False
        self._lock = threading.RLock()
        self._unsaved: list[Action] = []
        self._turns: Turns | None = None
        self._runner: AttemptRunner | None = None
        self._credentials: RoleCredentials | None = None
        self.api = BatchApi(self)

    @property
    def service(self) -> BatchService:
        """The operations of AWS Batch."""
        return self

    def attach(self, runner: AttemptRunner, credentials: RoleCredentials) -> None:
        """Give the engine what carries out its decisions; it tells the engine what came of them."""
        self._runner, self._credentials = runner, credentials

    def credentials_response(self, token: str) -> tuple[int, dict[str, Any]]:
        """Answer a job that fetches its role's credentials."""
        if self._credentials is None:
            return 404, {"code": "NotFound", "message": "the engine is not running"}
        return self._credentials.respond(token)

    def start(self, loop: asyncio.AbstractEventLoop | None = None) -> None:
        """Take up where the last run ended: what ran then is lost with its host, what waited goes on.

        Args:
            loop: the event loop that serves this engine, if what one turn of it brings is to be saved in one
                go; call this on it, and answer requests after ``saved``.
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
        """Kill what runs, deliver what can be delivered, and close the state file."""
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
        """Carry out one operation of the API; see ``BatchService.call``."""
        with self._lock:
            now_ms = self._clock()
            try:
                response, actions = self._plane.call(operation, request, now_ms)
            except ServerError as error:
                self._log_faults()
                self._settle(error.actions)
                raise
            self._settle(actions)
        return response

    async def saved(self) -> bool:
        """Wait until all changes so far are saved; return False if that failed.

        Only a coroutine on the loop that ``start`` was given has to wait: elsewhere all is saved already.
        """
        if self._turns is None or not self._turns.is_now():
            return True
        return await self._turns.saved()

    def interrupt(self, target: str, name: str, notice_s: float) -> list[str]:
        """Take an instance away as EC2 Spot does: its jobs get SIGTERM now and are lost with it later.

        Args:
            target: ``job``, ``instance`` or ``computeEnvironment``.
            name: which one.
            notice_s: seconds until the instance is gone.

        Returns:
            The ids of the jobs that were told.

        Raises:
            InterruptError: no job is placed there.
        """
        with self._lock:
            jobs = placed_jobs(self._registry, target, name)
            self.tell_all(events_for(jobs, notice_s))
        return [job.id for job in jobs]

    def change_capacity(self, names: list[str], available: bool) -> list[str]:
        """Have EC2 run out of instance types, or get them back.

        Args:
            names: types and families; none changes nothing.
            available: whether they can be launched from now on.

        Returns:
            Every type that cannot be launched now.

        Raises:
            CapacityError: the catalogue has no such type or family.
        """
        concerned = instance_capacity.types_named(self._catalogue, names)
        with self._lock:
            current = self._scheduler.restrictions.unavailable_types
            if concerned:
                self.tell(CapacityChanged(current - concerned if available else current | concerned))
            return sorted(self._scheduler.restrictions.unavailable_types)

    @property
    def own_routes(self) -> dict[str, Callable[[bytes], tuple[int, dict[str, Any]]]]:
        """What is asked for beside AWS's own API, by path: each takes a request's body."""
        return {
            event_outbox.PATH: lambda _: event_outbox.answer(self._outbox),
            interrupt.PATH: lambda body: interrupt.answer(self.interrupt, body),
            instance_capacity.PATH: lambda body: instance_capacity.answer(self.change_capacity, body),
        }

    def tell(self, event: Event) -> None:
        """Take in what happened to an attempt or a timer."""
        self.tell_all([event])

    def tell_all(self, events: list[Event]) -> None:
        """Take in what happened, in order; all of it is saved in one transaction."""
        with self._lock:
            now_ms = self._clock()
            actions: list[Action] = []
            for event in events:
                actions += self._handle(event, now_ms)
            self._settle(actions)

    def _handle(self, event: Event, now_ms: int) -> list[Action]:
        faults = self._scheduler.log.faults
        actions = self._scheduler.handle(event, now_ms)
        if self._scheduler.log.faults > faults:
            self._log_faults()
        return actions

    def _log_faults(self) -> None:
        record = self._scheduler.log.last(1)[0]
        for fault in record.faults:
            logger.error("event %s (%s) met an internal error\n%s", record.seq, record.event, fault.trace)

    def _settle(self, actions: list[Action]) -> None:
        """Save and act: now, or at the end of the loop's turn together with all else that it brings."""
        self._unsaved += actions
        if self._turns is not None and self._turns.is_now():
            self._turns.save_later()
        else:
            self._commit()

    def _save_turn(self) -> None:
        with self._lock:
            self._commit()

    def _commit(self) -> None:
        """Save, then act. What cannot be saved is not acted upon either: the next commit tries again."""
        announcements: list[Announcement] = []
        if self._outbox is not None:
            announcements = [found for action in self._unsaved if (found := announcement(action)) is not None]
        if self._registry.changed or announcements:
            try:
                events = self._store.save(self._registry.changed, announcements, self._clock())
            except Exception:
                # Nothing else may happen that would save, and jobs wait for what this would have started.
                if not self._tries_again:
                    self._tries_again = True
                    self._timers.queue.put(self._try_again, self._clock() + SAVE_AGAIN_MS)
                raise
            self._registry.changed.clear()
            if self._outbox is not None:
                self._outbox.put(events)
        actions, self._unsaved = self._unsaved, []
        starts = [
            self._registry.jobs[action.job_id] for action in actions if isinstance(action, StartAttempt)
        ]
        if starts and self._runner is not None:
            self._runner.start(starts)
        for action in actions:
            try:
                self._carry_out(action)
            except Exception:
                # It was taken out of what is to be done: nobody else would do the others.
                logger.exception("%s could not be carried out", action)

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
                pass  # started already, or saved with the change itself and delivered by the outbox


def _call(due: list[Callable[[], None]]) -> None:
    for callback in due:
        callback()


def build_engine(
    *,
    data_dir: Path,
    account: str,
    region: str,
    host_vcpus: float | None,
    assembly: Path | None,
    events: EventSink | None,
    logs: LogSink,
    credentials: CredentialSource,
    endpoint_url: str,
    secrets: SecretSource | None = None,
    runtime: RuntimeChoice = PROCESSES,
    clock: Clock = wall_clock,
    keep_jobs_s: float = KEEP_ENDED_MS / 1000,
) -> Engine:
    """Put an engine together.

    Args:
        data_dir: holds the state file and the jobs' scratch folders.
        account: the account id in ARNs.
        region: the Region in ARNs.
        host_vcpus: how many vCPUs jobs may use at once; None for every core of this machine.
        assembly: the cloud assembly whose images jobs run; None where there is none.
        events: EventBridge; None where nobody is told of anything.
        logs: CloudWatch Logs.
        credentials: STS.
        endpoint_url: where jobs reach the local cloud.
        secrets: Secrets Manager and Parameter Store; None where there is neither.
        runtime: what jobs run as.
        clock: the time in epoch milliseconds.
        keep_jobs_s: how long ended jobs are remembered, in seconds.

    Raises:
        RuntimeUnavailableError: containers of an earlier run cannot be removed.
        StoreError: the state file cannot be used.
    """
    make_private_folder(data_dir)
    store = Store(data_dir / STATE_FILE)
    registry = Registry()
    for entity in store.load():
        registry.add(entity)
    vcpus = host_vcpus or os.cpu_count() or 1
    shipper = LogShipper(logs)
    engine = Engine(
        registry=registry,
        arns=Arns(account, region),
        host=HostLimits(round(vcpus * 1000), psutil.virtual_memory().total // (1024 * 1024)),
        store=store,
        outbox=None if events is None else Outbox(store, events),
        logs=shipper,
        clock=clock,
        keep_ended_ms=round(keep_jobs_s * 1000),
    )
    roles = RoleCredentials(credentials, endpoint_url)
    path = jobs_path(sys.executable, os.environ.get("PATH", os.defpath))
    runner = AttemptRunner(
        scratch_root=data_dir.resolve() / SCRATCH_FOLDER,
        shared=data_dir.resolve() / SHARED_FOLDER,
        runtime=build_runtime(
            runtime,
            AssemblyImages(assembly),
            Surroundings(endpoint_url, region, path),
            data_dir=data_dir,
            host_vcpus=vcpus,
        ),
        credentials=roles,
        secrets=secrets or NoSecrets(),
        logs=shipper,
        tell=engine.tell_all,
    )
    engine.attach(runner, roles)
    return engine
