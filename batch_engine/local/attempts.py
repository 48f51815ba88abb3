"""Runs attempts: prepares what they need, hands them to the runner, and tells the engine what it reports."""

import asyncio
import logging
import shutil
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from batch_engine.core.events import AttemptFinished, AttemptStarted, Event, HostLost
from batch_engine.core.logs import LogDestination, log_destination
from batch_engine.core.model import Job
from batch_engine.local.image import ImageError
from batch_engine.local.launch import Places, StartError, resolve_secrets
from batch_engine.local.log_shipper import LogShipper
from batch_engine.local.ports import SecretSource
from batch_engine.local.role_credentials import RoleCredentials
from batch_engine.local.runner.frames import Message
from batch_engine.local.runtime import OUT_OF_MEMORY_REASON, Given, Runner, Runtime

logger = logging.getLogger(__name__)

Tell = Callable[[list[Event]], None]
Key = tuple[str, int]
START_FAILED = "Task failed to start"
SHUTDOWN_GRACE_S = 3.0
HELPERS = 4
KILLED_EXIT_CODE = 137


@dataclass(slots=True)
class _Attempt:
    log: str
    destination: LogDestination | None
    token: str | None = None
    is_handed_over: bool = False
    stop_early_s: float | None = None


class AttemptRunner:
    """Carries out the scheduler's StartAttempt and StopAttempt.

    Args:
        scratch_root: where each attempt gets a fresh folder, removed when it ends.
        shared: holds the file systems that outlive attempts.
        runtime: what attempts run as.
        credentials: gives each attempt its role's credentials.
        secrets: resolves what containers name under ``secrets``.
        logs: follows what attempts print.
        tell: takes the events in which attempts report.
    """

    def __init__(
        self,
        *,
        scratch_root: Path,
        shared: Path,
        runtime: Runtime,
        credentials: RoleCredentials,
        secrets: SecretSource,
        logs: LogShipper,
        tell: Tell,
    ) -> None:
        self._scratch_root = scratch_root
        self._scratch_prefix = f"{scratch_root}/"
        self._shared = shared
        self._runtime = runtime
        self._credentials = credentials
        self._secrets = secrets
        self._logs = logs
        self._tell = tell
        self._running: dict[Key, _Attempt] = {}
        self._lock = threading.Lock()
        self._closing = False
        self._runner: Runner | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._helpers = ThreadPoolExecutor(HELPERS, thread_name_prefix="batch-attempt")

    def open(self, loop: asyncio.AbstractEventLoop | None = None) -> None:
        """Start the runner, and clear away what an earlier run left in the scratch folder.

        Args:
            loop: where it may report; see ``Runtime.open``.
        """
        self._loop = loop
        shutil.rmtree(self._scratch_root, ignore_errors=True)
        self._scratch_root.mkdir(parents=True)
        self._runner = self._runtime.open(self._reported, self._lost, self._loop)

    def close(self) -> None:
        """End every attempt and report none of it: the next start counts them as lost with their host.

        Each is told with SIGTERM first, as a machine that shuts down would.
        """
        with self._lock:
            self._closing = True
        self._helpers.shutdown(wait=False, cancel_futures=True)
        if self._runner is not None:
            self._runner.close(SHUTDOWN_GRACE_S)

    def start(self, jobs: list[Job]) -> None:
        """Start each job's latest attempt; what becomes of them is told as events. Returns at once."""
        launches: list[Message] = []
        for job in jobs:
            key = (job.id, job.attempt.number)
            attempt = _Attempt(f"{self._scratch(key)}.log", log_destination(job))
            with self._lock:
                if self._closing:
                    return
                self._running[key] = attempt
            if job.container.get("secrets") or not self._runtime.is_quick(job):
                # It may take a while, and the caller holds the engine.
                self._helpers.submit(self._start_later, job, key, attempt)
                continue
            try:
                launches.append(("start", self._prepare(job, key, attempt)))
                attempt.is_handed_over = True
            except (ImageError, StartError, OSError) as error:
                self._helpers.submit(self._not_started, key, error)
        self._send(launches)

    def stop(self, job_id: str, attempt: int, grace_s: float) -> None:
        """Stop an attempt, also one that is only about to start."""
        key = (job_id, attempt)
        with self._lock:
            found = self._running.get(key)
            if found is None:
                return
            if not found.is_handed_over:
                found.stop_early_s = grace_s
                return
        self._send([("stop", key, grace_s)])

    def _send(self, messages: list[Message]) -> None:
        if messages and self._runner is not None:
            self._runner.send(messages)

    def _scratch(self, key: Key) -> str:
        # A colon in HOME or TMPDIR would split lists of folders, a number sign would start a comment.
        name = key[0].replace(":", "_").replace("#", "_")
        return f"{self._scratch_prefix}{name}-{key[1]}"

    def _prepare(self, job: Job, key: Key, attempt: _Attempt) -> Any:
        secrets = resolve_secrets(job, self._secrets)
        url = None
        if role_arn := job.container.get("jobRoleArn"):
            url, attempt.token = self._credentials.grant(role_arn, job.id)
        places = Places(self._scratch(key), attempt.log, self._shared)
        return self._runtime.prepare(job, Given(places, secrets, url))

    def _start_later(self, job: Job, key: Key, attempt: _Attempt) -> None:
        try:
            launch = self._prepare(job, key, attempt)
        except Exception as error:
            if not isinstance(error, ImageError | StartError):
                logger.exception("attempt %s of job %s could not be prepared", key[1], key[0])
            self._not_started(key, error)
            return
        messages: list[Message] = [("start", launch)]
        with self._lock:
            attempt.is_handed_over = True
            if attempt.stop_early_s is not None:
                messages.append(("stop", key, attempt.stop_early_s))
            self._send(messages)  # before anybody else can have it stopped

    def _not_started(self, key: Key, error: Exception) -> None:
        text = str(error)
        if not isinstance(error, ImageError | StartError):
            text = f"CannotStartContainerError: {error}"
        self._finish([(key, AttemptFinished(key[0], key[1], None, text[:255], START_FAILED))])

    def _reported(self, messages: list[Message]) -> None:
        """Tell the engine in one go; only an attempt that has printed something waits for its lines."""
        events: list[Event] = []
        over: list[Key] = []
        waiting: list[tuple[Key, str, AttemptFinished]] = []
        for message in messages:
            match message:
                case ("started", key, _):
                    events.append(AttemptStarted(key[0], key[1]))
                    attempt = self._running.get(key)
                    if attempt is not None and attempt.destination is not None:
                        self._logs.follow(attempt.log, attempt.destination)
                case ("failed", key, reason):
                    events.append(AttemptFinished(key[0], key[1], None, reason, START_FAILED))
                    over.append(key)
                case ("lost", key):
                    events.append(HostLost(key[0], key[1]))
                    over.append(key)
                case ("ended", key, exit_code, out_of_memory, printed):
                    finished = AttemptFinished(key[0], key[1], exit_code)
                    if out_of_memory:
                        code = exit_code or KILLED_EXIT_CODE
                        finished = AttemptFinished(key[0], key[1], code, OUT_OF_MEMORY_REASON)
                    attempt = self._running.get(key)
                    if printed and attempt is not None:
                        waiting.append((key, attempt.log, finished))
                        continue
                    if attempt is not None:
                        self._logs.forget(attempt.log)
                    events.append(finished)
                    over.append(key)
        self._forget(over)
        if not self._closing:
            try:
                self._tell(events)
            finally:
                # Whatever became of these, the others have ended, too.
                for key, log, finished in waiting:
                    self._helpers.submit(self._ship_and_finish, key, log, finished)

    def _ship_and_finish(self, key: Key, log: str, finished: AttemptFinished) -> None:
        try:
            self._logs.finish(log)
        except Exception:
            logger.exception("the last lines of attempt %s of job %s were not delivered", key[1], key[0])
        Path(log).unlink(missing_ok=True)
        self._finish([(key, finished)])

    def _finish(self, ended: list[tuple[Key, AttemptFinished]]) -> None:
        self._forget([key for key, _ in ended])
        if not self._closing:
            self._tell([finished for _, finished in ended])

    def _forget(self, keys: list[Key]) -> None:
        with self._lock:
            attempts = [self._running.pop(key, None) for key in keys]
        for attempt in attempts:
            if attempt is not None and attempt.token is not None:
                self._credentials.revoke(attempt.token)

    def _lost(self) -> None:
        """The runner has died, and every attempt with it: a new one takes its place."""
        logger.error("the process that runs jobs has died; its attempts count as lost with their host")
        with self._lock:
            keys = [key for key, attempt in self._running.items() if attempt.is_handed_over]
        self._forget(keys)
        if not self._closing:
            self._runner = self._runtime.open(self._reported, self._lost, self._loop)
            self._tell([HostLost(key[0], key[1]) for key in keys])
