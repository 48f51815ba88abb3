"""Runs attempts: prepares their needs, sends them to the runner, and passes its reports to the engine."""

import asyncio
import contextlib
import logging
import os
import shutil
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from batch_engine.core.model.events import AttemptFinished, AttemptStarted, Event, HostLost
from batch_engine.core.model.jobs import Job
from batch_engine.core.model.log_destination import LogDestination, log_destination
from batch_engine.local.base.dockerfile import ImageError
from batch_engine.local.base.launch import Places, StartError, resolve_secrets
from batch_engine.local.base.ports import SecretSource
from batch_engine.local.base.private_files import make_private_folder
from batch_engine.local.engine.log_shipper import LogShipper
from batch_engine.local.engine.role_credentials import RoleCredentials
from batch_engine.local.runtimes.protocol import OUT_OF_MEMORY_REASON, AttemptInputs, Runner, Runtime
from batch_engine.local.runtimes.runner.frames import Message
from batch_engine.local.runtimes.runner.isolation import ROOT_SUFFIX
from batch_engine.local.runtimes.runner.spares import SPARE_PREFIX

logger = logging.getLogger(__name__)

Tell = Callable[[list[Event]], None]
Key = tuple[str, int]
START_FAILED = "Task failed to start"
SHUTDOWN_GRACE_S = 3.0
REPLACE_AGAIN_S = 1.0
HELPERS = 4
KILLED_EXIT_CODE = 137


@dataclass(slots=True)
class _Attempt:
    """One attempt; ``runner`` is the runner that it was sent to."""

    scratch: str
    log: str
    destination: LogDestination | None = None
    token: str | None = None
    runner: Runner | None = None
    has_ended: bool = False
    stop_early_s: float | None = None


class AttemptRunner:
    """Carries out the scheduler's StartAttempt and StopAttempt.

    Args:
        scratch_root: the folder in which each attempt gets its own folder, which is removed when it ends.
        shared: holds the file systems that outlive attempts.
        runtime: what attempts run as.
        credentials: gives each attempt its role's credentials.
        secrets: resolves the ``secrets`` of containers.
        logs: follows the output of attempts.
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
        self._replacing = threading.Lock()
        self._closing = threading.Event()
        self._runner: Runner | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._helpers = ThreadPoolExecutor(HELPERS, thread_name_prefix="batch-attempt")

    def open(self, loop: asyncio.AbstractEventLoop | None = None) -> None:
        """Starts the runner, and clears away the files that an earlier run left in the scratch folder.

        Args:
            loop: a loop on which the runner may report; see ``Runtime.open``.
        """
        self._loop = loop
        shutil.rmtree(self._scratch_root, ignore_errors=True)
        make_private_folder(self._scratch_root)
        self._runner = self._runtime.open(self._reported, self._lost, self._loop)

    def close(self) -> None:
        """Ends every attempt without a report: the next start counts them as lost with their host.

        Each gets SIGTERM first, as from a machine that shuts down.
        """
        with self._lock:
            self._closing.set()
        self._helpers.shutdown(wait=False, cancel_futures=True)
        with self._replacing:
            runner = self._runner
        if runner is not None:
            runner.close(SHUTDOWN_GRACE_S)

    def start(self, jobs: list[Job]) -> None:
        """Starts each job's latest attempt; the runner reports the rest as events. Returns at once."""
        launches: list[Message] = []
        handed_over: list[_Attempt] = []
        for job in jobs:
            key = (job.id, job.attempt.number)
            scratch = self._scratch(key)
            attempt = _Attempt(scratch, f"{scratch}.log")
            with self._lock:
                if self._closing.is_set():
                    return
                self._running[key] = attempt
            try:
                attempt.destination = log_destination(job)
                if job.container.get("secrets") or not self._runtime.is_quick(job):
                    # This may take a while, and the caller holds the engine's lock.
                    self._help(self._start_later, job, key, attempt)
                else:
                    launches.append(("start", self._prepare(job, attempt)))
                    handed_over.append(attempt)
            except Exception as error:
                # An error of one attempt must not stop the others or the caller.
                self._help(self._not_started, key, error)
        with self._lock:
            runner = self._runner
            for attempt in handed_over:
                attempt.runner = runner
        if launches and runner is not None:
            runner.send(launches)

    def stop(self, job_id: str, attempt: int, grace_s: float) -> None:
        """Stops an attempt, even if it has not started yet."""
        key = (job_id, attempt)
        with self._lock:
            found = self._running.get(key)
            if found is None:
                return
            runner = found.runner
            if runner is None:
                found.stop_early_s = grace_s
                return
        runner.send([("stop", key, grace_s)])

    def _help(self, work: Callable[..., None], *arguments: Any) -> None:
        """Does slow work on a helper thread, unless the server is about to end."""
        with contextlib.suppress(RuntimeError):  # the helpers have just been shut down
            self._helpers.submit(work, *arguments)

    def _scratch(self, key: Key) -> str:
        # A colon in HOME or TMPDIR would split lists of folders, a number sign would start a comment.
        name = key[0].replace(":", "_").replace("#", "_")
        return f"{self._scratch_prefix}{name}-{key[1]}"

    def _prepare(self, job: Job, attempt: _Attempt) -> Any:
        secrets = resolve_secrets(job, self._secrets)
        url = None
        if role_arn := job.container.get("jobRoleArn"):
            url, attempt.token = self._credentials.grant(role_arn, job.id)
        places = Places(attempt.scratch, attempt.log, self._shared)
        return self._runtime.prepare(job, AttemptInputs(places, secrets, url))

    def _start_later(self, job: Job, key: Key, attempt: _Attempt) -> None:
        try:
            launch = self._prepare(job, attempt)
        except Exception as error:
            self._not_started(key, error)
            return
        messages: list[Message] = [("start", launch)]
        with self._lock:
            attempt.runner = self._runner
            if attempt.stop_early_s is not None:
                messages.append(("stop", key, attempt.stop_early_s))
            if attempt.runner is not None:
                attempt.runner.send(messages)  # before any other thread can stop it

    def _not_started(self, key: Key, error: Exception) -> None:
        text = _storable(str(error))
        if not isinstance(error, ImageError | StartError):
            logger.error("attempt %s of job %s could not be prepared", key[1], key[0], exc_info=error)
            named = text if isinstance(error, OSError) else f"{type(error).__name__}: {text}"
            text = f"CannotStartContainerError: {named}"
        self._finish([(key, AttemptFinished(key[0], key[1], None, text[:255], START_FAILED))])

    def _reported(self, messages: list[Message]) -> None:
        """Passes reports to the engine in one call; only attempts with output wait for their log lines."""
        events: list[Event] = []
        over: list[Key] = []
        left: list[_Attempt] = []
        waiting: list[tuple[Key, str, AttemptFinished]] = []
        for message in messages:
            match message:
                case ("started", key, _):
                    events.append(AttemptStarted(key[0], key[1]))
                    attempt = self._running.get(key)
                    if attempt is not None and attempt.destination is not None:
                        self._logs.follow(attempt.log, attempt.destination)
                case ("failed" | "lost", key, *reason):
                    events.append(_failure_of(key, reason))
                    over.append(key)
                    left += self._found(key)
                case ("ended", key, exit_code, out_of_memory, printed):
                    finished = _end_of(key, exit_code, out_of_memory=out_of_memory)
                    attempt = self._running.get(key)
                    if printed and attempt is not None:
                        attempt.has_ended = True
                        waiting.append((key, attempt.log, finished))
                        continue
                    if attempt is not None:
                        self._logs.forget(attempt.log)
                    events.append(finished)
                    over.append(key)
        self._forget(over)
        if not self._closing.is_set():
            try:
                self._tell(events)
            finally:
                # The other attempts have ended, too, even if the engine has failed to handle these.
                for key, log, finished in waiting:
                    self._help(self._ship_and_finish, key, log, finished)
                if left:
                    self._help(self._put_away, left)

    def _found(self, key: Key) -> list[_Attempt]:
        attempt = self._running.get(key)
        return [] if attempt is None else [attempt]

    def _ship_and_finish(self, key: Key, log: str, finished: AttemptFinished) -> None:
        self._ship(log)
        self._finish([(key, finished)])

    def _ship(self, log: str) -> None:
        try:
            self._logs.finish(log)
        except Exception:
            logger.exception("the last lines of %s were not delivered", log)
        Path(log).unlink(missing_ok=True)

    def _put_away(self, attempts: list[_Attempt]) -> None:
        """Ships the last lines of attempts and removes their files, since no runner has removed them."""
        for attempt in attempts:
            self._ship(attempt.log)
            shutil.rmtree(attempt.scratch, ignore_errors=True)
            with contextlib.suppress(OSError):
                os.rmdir(attempt.scratch + ROOT_SUFFIX)

    def _finish(self, ended: list[tuple[Key, AttemptFinished]]) -> None:
        self._forget([key for key, _ in ended])
        if not self._closing.is_set():
            self._tell([finished for _, finished in ended])

    def _forget(self, keys: list[Key]) -> None:
        with self._lock:
            attempts = [self._running.pop(key, None) for key in keys]
        for attempt in attempts:
            if attempt is not None and attempt.token is not None:
                self._credentials.revoke(attempt.token)

    def _lost(self) -> None:
        """Replaces a runner that has died, and reports its attempts as lost."""
        logger.error("the process that runs jobs has died; its attempts count as lost with their host")
        with self._replacing:
            dead = self._runner
            self._clear_spares()
            opened = self._replacement()
            if opened is None:
                return
            with self._lock:
                # From here on no thread sends to the dead runner: all attempts that it received are known.
                self._runner = opened
                lost = {
                    key: attempt
                    for key, attempt in self._running.items()
                    if attempt.runner is dead and not attempt.has_ended
                }
        self._forget(list(lost))
        try:
            self._tell([HostLost(key[0], key[1]) for key in lost])
        finally:
            self._help(self._put_away, list(lost.values()))

    def _replacement(self) -> Runner | None:
        """Opens a new runner, with retries; returns None if the server ends first."""
        while not self._closing.is_set():
            try:
                return self._runtime.open(self._reported, self._lost, self._loop)
            except OSError:
                # Out of memory or processes: without a runner every job would wait for ever.
                logger.exception("jobs cannot be run; trying again in %s s", REPLACE_AGAIN_S)
                self._closing.wait(REPLACE_AGAIN_S)
        return None

    def _clear_spares(self) -> None:
        """Removes the folders and log files that the dead runner kept for later attempts."""
        with contextlib.suppress(OSError):
            for path in self._scratch_root.glob(f"{SPARE_PREFIX}*"):
                if path.is_dir():
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    path.unlink(missing_ok=True)


def _end_of(key: Key, exit_code: int, *, out_of_memory: bool) -> AttemptFinished:
    if out_of_memory:
        return AttemptFinished(key[0], key[1], exit_code or KILLED_EXIT_CODE, OUT_OF_MEMORY_REASON)
    return AttemptFinished(key[0], key[1], exit_code)


def _storable(text: str) -> str:
    """Returns a text without what UTF-8 cannot hold: names of files may have such characters."""
    return text.encode(errors="replace").decode()


def _failure_of(key: Key, reason: list[str]) -> Event:
    """Returns the event of an attempt that failed to start (with a reason) or was lost (without)."""
    if reason:
        return AttemptFinished(key[0], key[1], None, _storable(reason[0]), START_FAILED)
    return HostLost(key[0], key[1])
