"""Runs a container's command as a process of this machine: no Docker needed.

An attempt is a process group with its own working folder. When its first process ends the rest of the group
is killed, as a container dies with its first process.
"""

import contextlib
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

MEMORY_CHECK_S = 0.5
OUT_OF_MEMORY_REASON = "OutOfMemoryError: Container killed due to memory usage"
KILLED_EXIT_CODE = 128 + signal.SIGKILL


class StartError(Exception):
    """The command could not be started; the text says why, in the form of an ECS ``reason``."""


@dataclass(frozen=True, slots=True)
class Launch:
    """What to run, where, and with how much memory at the most."""

    command: Sequence[str]
    environment: Mapping[str, str]
    scratch: Path
    log_path: Path
    memory_mib: int


@dataclass(frozen=True, slots=True)
class Ending:
    """How it ended: the exit code a shell would show, and a ``reason`` where ECS gives one."""

    exit_code: int
    reason: str | None = None


class Guardian:
    """The server's side of ``guardian.py``: tells it which process groups are alive."""

    def __init__(self) -> None:
        script = Path(__file__).with_name("guardian.py")
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(script)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
            text=True,
        )
        self._lock = threading.Lock()

    def tell(self, sign: str, group: int) -> None:
        """``+`` for a group that has started, ``-`` for one that has ended."""
        with self._lock, contextlib.suppress(BrokenPipeError, ValueError):
            if self._process.stdin is not None:
                self._process.stdin.write(f"{sign}{group}\n")
                self._process.stdin.flush()

    def close(self) -> None:
        """Let it kill what is left, and wait for it."""
        with self._lock, contextlib.suppress(BrokenPipeError):
            if self._process.stdin is not None:
                self._process.stdin.close()
        self._process.wait()


class RunningProcess:
    """One attempt under way."""

    def __init__(self, launch: Launch, guardian: Guardian) -> None:
        self._memory_limit = launch.memory_mib * 1024 * 1024
        self._guardian = guardian
        self.ended = threading.Event()
        with launch.log_path.open("ab") as log:
            try:
                self._process = subprocess.Popen(
                    launch.command,
                    cwd=launch.scratch,
                    env=dict(launch.environment),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            except OSError as error:
                raise StartError(_start_reason(launch.command[0], error)) from error
        guardian.tell("+", self._process.pid)
        self._pidfd = os.pidfd_open(self._process.pid) if hasattr(os, "pidfd_open") else None

    def wait(self) -> Ending:
        """Wait for the end; a group that outgrows its memory is killed, and says so."""
        out_of_memory = False
        while not self._ended_within(MEMORY_CHECK_S):
            if self._resident_bytes() > self._memory_limit:
                out_of_memory = True
                self._signal(signal.SIGKILL)
        # The rest of the group goes before its first process is reaped: until then nobody else gets its id.
        self._signal(signal.SIGKILL)
        self.ended.set()
        code = self._process.wait()
        if self._pidfd is not None:
            os.close(self._pidfd)
        self._guardian.tell("-", self._process.pid)
        if out_of_memory:
            return Ending(KILLED_EXIT_CODE, OUT_OF_MEMORY_REASON)
        return Ending(128 - code if code < 0 else code)

    def stop(self, grace_s: float) -> None:
        """SIGTERM, and SIGKILL ``grace_s`` seconds later. Returns at once."""
        self._signal(signal.SIGTERM)

        def kill() -> None:
            if not self.ended.wait(grace_s):
                self._signal(signal.SIGKILL)

        threading.Thread(target=kill, name=f"batch-stop-{self._process.pid}", daemon=True).start()

    def _ended_within(self, timeout_s: float) -> bool:
        """Linux tells through a file descriptor; elsewhere the standard library asks again and again."""
        if self._pidfd is not None:
            poll = select.poll()
            poll.register(self._pidfd, select.POLLIN)
            return bool(poll.poll(timeout_s * 1000))
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout_s)
            return True
        return False

    def _signal(self, signal_number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal_number)

    def _resident_bytes(self) -> int:
        total = 0
        with contextlib.suppress(psutil.Error):
            main = psutil.Process(self._process.pid)
            for process in (main, *main.children(recursive=True)):
                with contextlib.suppress(psutil.Error):
                    total += process.memory_info().rss
        return total


def _start_reason(program: str, error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        detail = f'exec: "{program}": executable file not found in $PATH'
    else:
        detail = f'exec: "{program}": {(error.strerror or str(error)).lower()}'
    return f"CannotStartContainerError: {detail}"[:255]
