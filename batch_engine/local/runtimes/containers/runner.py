"""Starts, watches and ends containers, each on a thread that runs the container command line."""

import contextlib
import logging
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from batch_engine.local.base.dockerfile import ImageError
from batch_engine.local.base.launch import StartError
from batch_engine.local.runtimes.containers.clients import Clients, ClosedError
from batch_engine.local.runtimes.containers.container import Container
from batch_engine.local.runtimes.containers.images import ContainerImages
from batch_engine.local.runtimes.containers.roll_call import INTERVAL_S, RollCall
from batch_engine.local.runtimes.containers.state import ContainerState, kernel_oom_kills, ran_out_of_memory
from batch_engine.local.runtimes.runner.frames import Message

logger = logging.getLogger(__name__)

Key = tuple[str, int]
STOPPED_EARLY = "CannotStartContainerError: it was stopped before it started"
_FIRST_LOOK_S = 0.02
_LONGEST_LOOK_S = 0.5
_REATTACH_PAUSE_S = 1.0
_JOIN_TIMEOUT_S = 30.0


class _LostError(Exception):
    """The end of the container is unknown."""


@dataclass(slots=True)
class _Running:
    container: Container
    changed: threading.Condition = field(default_factory=threading.Condition)
    is_made: bool = False
    is_up: bool = False
    is_over: bool = False
    is_killed: bool = False
    is_reported: bool = False
    kill_at_s: float | None = None
    stop_signal: str = "SIGTERM"


class ContainerRunner:
    """Carries out the engine's starts and stops as containers; it implements ``Runner``.

    Args:
        clients: run the container command line.
        labels: ``name=value`` labels of every container and volume; the last is this server's own.
        reported: receives its reports.
        roll_call_s: the time between two lists of all containers; see `RollCall`.
    """

    def __init__(
        self,
        clients: Clients,
        labels: tuple[str, ...],
        reported: Callable[[list[Message]], None],
        roll_call_s: float = INTERVAL_S,
    ) -> None:
        self._clients = clients
        self._labels = labels
        self._images = ContainerImages(clients)
        self._roll_call = RollCall(clients, labels[-1], roll_call_s)
        self._reported = reported
        self._running: dict[Key, _Running] = {}
        self._threads: set[threading.Thread] = set()
        self._lock = threading.Lock()

    def send(self, messages: list[Message]) -> None:
        """Takes messages of the engine; see ``Runner``."""
        for message in messages:
            match message:
                case ("start", launch):
                    running = _Running(Container(launch, self._clients, self._labels))
                    with self._lock:
                        self._running[launch.key] = running
                    self._in_background(partial(self._attend, running))
                case ("stop", key, grace_s):
                    with self._lock:
                        found = self._running.get(key)
                    if found is not None:
                        self._stop(found, grace_s)

    def close(self, grace_s: float) -> None:
        """Stops and removes every container; see ``Runner``."""
        deadline_s = time.monotonic() + grace_s
        with self._lock:
            running = list(self._running.values())
        for one in running:
            self._stop(one, grace_s)
        for one in running:
            with one.changed:
                one.changed.wait_for(
                    partial(getattr, one, "is_over"), max(0.0, deadline_s - time.monotonic())
                )
        self._clients.close()
        self._roll_call.close(_JOIN_TIMEOUT_S)
        with self._lock:
            threads = list(self._threads)
        for thread in threads:
            thread.join(_JOIN_TIMEOUT_S)

    def _in_background(self, work: Callable[[], None]) -> None:
        def run() -> None:
            try:
                work()
            finally:
                with self._lock:
                    self._threads.discard(thread)

        thread = threading.Thread(target=run, name="batch-container", daemon=True)
        with self._lock:
            self._threads.add(thread)
        thread.start()

    def _attend(self, running: _Running) -> None:
        """Runs one container from its image to its removal, then reports how it ended."""
        key = running.container.launch.key
        try:
            report = self._live(running)
        except ClosedError:
            report = ("lost", key)
        except _LostError as error:
            logger.error("container %s is lost: %s", running.container.launch.name, error)
            report = ("lost", key)
        except (ImageError, StartError) as error:
            report = ("failed", key, str(error)[:255])
        except Exception as error:
            logger.exception("container %s could not be run", running.container.launch.name)
            report = ("failed", key, f"CannotStartContainerError: {error}"[:255])
        if running.is_up and report[0] == "failed":
            report = ("lost", key)
        self._remove(running.container)
        with self._lock:
            self._running.pop(key, None)
        with running.changed:
            running.is_over = True
            running.changed.notify_all()
        if not running.is_reported:
            self._report(report)

    def _report(self, report: Message) -> None:
        try:
            self._reported([report])
        except Exception:
            logger.exception("%s could not be handled", report)

    def _live(self, running: _Running) -> Message:
        container, launch = running.container, running.container.launch
        image = self._images.ready(launch.image, launch.asset, has_credentials=launch.has_credentials)
        if not launch.command and not image.runs:
            raise StartError(f"CannotStartContainerError: no command specified, nor by image {launch.image}")
        running.stop_signal = image.stop_signal
        container.make(image.reference)
        with running.changed:
            if running.kill_at_s is not None:
                raise StartError(STOPPED_EARLY)
            running.is_made = True
        killed_before = kernel_oom_kills()
        client = container.start()
        try:
            with self._roll_call.watched(launch.name, client):
                self._await_start(running, client)
                client.wait()
        finally:
            self._clients.ended(client)
        state = self._final_state(running)
        if not state.has_started:
            raise StartError(f"CannotStartContainerError: {container.take_output()}")
        self._is_up(running, client.pid)  # also if it ended before it was seen running
        out_of_memory = ran_out_of_memory(
            state,
            has_seen_oom=container.has_seen_oom(),
            is_killed=running.is_killed,
            oom_kills=kernel_oom_kills() - killed_before,
        )
        return ("ended", launch.key, state.exit_code, out_of_memory, container.printed_bytes())

    def _await_start(self, running: _Running, client: subprocess.Popen[bytes]) -> None:
        """Reports the start as soon as the container runs; returns also if it ends before."""
        pause_s = _FIRST_LOOK_S
        while client.poll() is None:
            state = running.container.state()
            if state is not None and state.has_started:
                self._is_up(running, client.pid)
                return
            with contextlib.suppress(subprocess.TimeoutExpired):
                client.wait(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_LOOK_S)

    def _is_up(self, running: _Running, pid: int) -> None:
        with running.changed:
            if running.is_up:
                return
            running.is_up = True
            running.changed.notify_all()
        self._report(("started", running.container.launch.key, pid))

    def _final_state(self, running: _Running) -> ContainerState:
        """Returns the state after the end; waits for a container whose client was killed before it ended."""
        while True:
            state = running.container.state()
            if state is None:
                raise _LostError("it is gone, or the container engine does not answer")
            if not state.is_running:
                return state
            self._is_up(running, 0)
            client = running.container.attach()
            try:
                with self._roll_call.watched(running.container.launch.name, client):
                    client.wait()
            finally:
                self._clients.ended(client)
            with running.changed:
                running.changed.wait_for(lambda: running.is_over, _REATTACH_PAUSE_S)

    @staticmethod
    def _remove(container: Container) -> None:
        try:
            container.remove()
        except ClosedError:
            pass  # the close removes every container
        except OSError:
            logger.exception("container %s could not be removed", container.launch.name)

    def _stop(self, running: _Running, grace_s: float) -> None:
        with running.changed:
            due_s = time.monotonic() + grace_s
            is_first = running.kill_at_s is None
            running.kill_at_s = due_s if running.kill_at_s is None else min(due_s, running.kill_at_s)
            running.changed.notify_all()
            if not running.is_made:
                running.is_reported = True
        if not is_first:
            return
        if running.is_reported:
            # The image may still take minutes, and the job need not wait for it.
            report = ("failed", running.container.launch.key, STOPPED_EARLY)
            self._in_background(partial(self._report, report))
        else:
            self._in_background(partial(self._end, running))

    def _end(self, running: _Running) -> None:
        """Sends the stop signal as soon as the container runs, and SIGKILL when its time is over."""
        with running.changed:
            running.changed.wait_for(lambda: running.is_up or running.is_over)
        with contextlib.suppress(ClosedError):
            if not running.is_over and (running.kill_at_s or 0) > time.monotonic():
                running.container.kill(running.stop_signal)
            with running.changed:
                while not running.is_over and (left_s := (running.kill_at_s or 0) - time.monotonic()) > 0:
                    running.changed.wait(left_s)
                running.is_killed = not running.is_over
            if running.is_killed:
                running.container.kill("KILL")
