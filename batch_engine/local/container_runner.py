"""Starts, watches and ends containers: a thread for each, and the container command line under it."""

import contextlib
import logging
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

from batch_engine.local.container_arguments import ContainerLaunch
from batch_engine.local.container_cli import last_line
from batch_engine.local.container_clients import Clients, ClosedError
from batch_engine.local.container_images import ContainerImages
from batch_engine.local.container_state import ContainerState, kernel_oom_kills, read_state
from batch_engine.local.image import ImageError
from batch_engine.local.launch import StartError
from batch_engine.local.runner.frames import Message

logger = logging.getLogger(__name__)

Key = tuple[str, int]
KILLED_EXIT_CODE = 137
STOPPED_EARLY = "CannotStartContainerError: it was stopped before it started"
_FIRST_LOOK_S = 0.02
_LONGEST_LOOK_S = 0.5
_REATTACH_PAUSE_S = 1.0
_JOIN_TIMEOUT_S = 30.0


class _LostError(Exception):
    """Nobody can say any more how the container ended."""


@dataclass(slots=True)
class _Running:
    launch: ContainerLaunch
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
        label: ``name=value``s on every container and volume.
        reported: takes its reports.
    """

    def __init__(
        self, clients: Clients, labels: tuple[str, ...], reported: Callable[[list[Message]], None]
    ) -> None:
        self._clients = clients
        self._labels = [word for label in labels for word in ("--label", label)]
        self._images = ContainerImages(clients)
        self._reported = reported
        self._running: dict[Key, _Running] = {}
        self._threads: set[threading.Thread] = set()
        self._lock = threading.Lock()

    def send(self, messages: list[Message]) -> None:
        """Take in what the engine says; see ``Runner``."""
        for message in messages:
            match message:
                case ("start", launch):
                    running = _Running(launch)
                    with self._lock:
                        self._running[launch.key] = running
                    self._in_background(partial(self._attend, running))
                case ("stop", key, grace_s):
                    with self._lock:
                        found = self._running.get(key)
                    if found is not None:
                        self._stop(found, grace_s)

    def close(self, grace_s: float) -> None:
        """Stop every container, and remove them all; see ``Runner``."""
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
        """See one container through, from its image to its removal; then report how it ended."""
        key = running.launch.key
        try:
            report = self._live(running)
        except ClosedError:
            report = ("lost", key)
        except _LostError as error:
            logger.error("container %s is lost: %s", running.launch.name, error)
            report = ("lost", key)
        except (ImageError, StartError) as error:
            report = ("failed", key, str(error)[:255])
        except Exception as error:
            logger.exception("container %s could not be run", running.launch.name)
            report = ("failed", key, f"CannotStartContainerError: {error}"[:255])
        if running.is_up and report[0] == "failed":
            report = ("lost", key)
        self._remove(running)
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
            logger.exception("%s could not be taken in", report)

    def _live(self, running: _Running) -> Message:
        launch = running.launch
        image = self._images.ready(launch.image, launch.asset)
        if not launch.command and not image.runs:
            raise StartError(f"CannotStartContainerError: no command specified, nor by image {launch.image}")
        running.stop_signal = image.stop_signal
        self._make(launch, image.reference)
        with running.changed:
            if running.kill_at_s is not None:
                raise StartError(STOPPED_EARLY)
            running.is_made = True
        killed_before = kernel_oom_kills()
        client = self._clients.attach(launch.log, "start", "--attach", launch.name, cwd=launch.scratch)
        try:
            self._await_start(running, client)
            client.wait()
        finally:
            self._clients.ended(client)
        state = self._final_state(running)
        if not state.has_started:
            raise StartError(f"CannotStartContainerError: {self._take_output(launch)}")
        self._is_up(running, client.pid)  # also where it was too quick to be seen running
        out_of_memory = state.exit_code != 0 and state.out_of_memory
        if state.exit_code == KILLED_EXIT_CODE and not running.is_killed:
            # Some engines miss it. Nobody here killed it, and the kernel did kill somebody meanwhile.
            out_of_memory = out_of_memory or kernel_oom_kills() > killed_before
        return ("ended", launch.key, state.exit_code, out_of_memory, _printed_bytes(launch.log))

    def _make(self, launch: ContainerLaunch, reference: str) -> None:
        os.makedirs(launch.scratch, mode=0o700, exist_ok=True)
        path = os.path.join(launch.scratch, "environment")
        options, passed_on = environment_options(launch.variables, path)
        for volume in launch.volumes:
            done = self._clients.run("volume", "create", *self._labels, volume)
            if done.code != 0:
                raise StartError(f"CannotCreateContainerError: {done.reason}")
        command = [*launch.options, *self._labels, *options, reference, *launch.command]
        done = self._clients.run("create", *command, variables=passed_on)
        os.unlink(path)
        if done.code != 0:
            raise StartError(f"CannotCreateContainerError: {_with_hint(done.reason)}")

    def _await_start(self, running: _Running, client: subprocess.Popen[bytes]) -> None:
        """Report the start as soon as the container is up; its end may come first."""
        pause_s = _FIRST_LOOK_S
        while client.poll() is None:
            state = self._state(running.launch.name)
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
        self._report(("started", running.launch.key, pid))

    def _final_state(self, running: _Running) -> ContainerState:
        """Wait out a container that has lost its client, as when the client was killed by hand."""
        launch = running.launch
        while True:
            state = self._state(launch.name)
            if state is None:
                raise _LostError("it is gone, or the container engine does not answer")
            if not state.is_running:
                return state
            self._is_up(running, 0)
            client = self._clients.attach(launch.log, "attach", "--no-stdin", launch.name, cwd=launch.scratch)
            try:
                client.wait()
            finally:
                self._clients.ended(client)
            with running.changed:
                running.changed.wait_for(lambda: running.is_over, _REATTACH_PAUSE_S)

    def _state(self, name: str) -> ContainerState | None:
        done = self._clients.run("container", "inspect", "--format", "{{json .State}}", name)
        return read_state(done.out) if done.code == 0 else None

    @staticmethod
    def _take_output(launch: ContainerLaunch) -> str:
        """What the client printed in place of a container that never started."""
        with open(launch.log, "rb") as log:
            text = log.read().decode(errors="replace")
        os.unlink(launch.log)
        return last_line(text) or "the container engine does not say why"

    def _remove(self, running: _Running) -> None:
        launch = running.launch
        shutil.rmtree(launch.scratch, ignore_errors=True)
        with contextlib.suppress(FileNotFoundError):
            if not _printed_bytes(launch.log):
                os.unlink(launch.log)
        try:
            self._clients.run("rm", "--force", "--volumes", launch.name)
            if launch.volumes:
                self._clients.run("volume", "rm", "--force", *launch.volumes)
        except ClosedError:
            pass  # whoever closes it removes everything
        except OSError:
            logger.exception("container %s could not be removed", launch.name)

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
            # The image may take minutes yet; the job need not wait for it.
            report = ("failed", running.launch.key, STOPPED_EARLY)
            self._in_background(partial(self._report, report))
        else:
            self._in_background(partial(self._end, running))

    def _end(self, running: _Running) -> None:
        """Its stop signal as soon as it is up, SIGKILL when its time is over."""
        with running.changed:
            running.changed.wait_for(lambda: running.is_up or running.is_over)
        with contextlib.suppress(ClosedError):
            if not running.is_over and (running.kill_at_s or 0) > time.monotonic():
                self._clients.run("kill", "--signal", running.stop_signal, running.launch.name)
            with running.changed:
                while not running.is_over and (left_s := (running.kill_at_s or 0) - time.monotonic()) > 0:
                    running.changed.wait(left_s)
                running.is_killed = not running.is_over
            if running.is_killed:
                self._clients.run("kill", "--signal", "KILL", running.launch.name)


def environment_options(variables: Mapping[str, str], path: str) -> tuple[list[str], dict[str, str]]:
    """Hand variables to a container without showing them to whoever lists processes.

    Args:
        variables: name to value.
        path: a file to write them to, one a line.

    Returns:
        The options of ``create``, and what its own environment must hold: the variables that no line can.
    """
    passed_on = {
        name: value
        for name, value in variables.items()
        if "\n" in value or "\r" in value or name.startswith("#")
    }
    lines = [f"{name}={value}\n" for name, value in variables.items() if name not in passed_on]
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.writelines(lines)
    return ["--env-file", path, *(word for name in passed_on for word in ("--env", name))], passed_on


def _with_hint(reason: str) -> str:
    if "init" in reason and "not found" in reason:
        return f"{reason} (initProcessEnabled needs it: podman's is the package catatonit)"
    return reason


def _printed_bytes(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0
