"""Starts the demo's processes and ends all of them when the demo ends."""

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType, TracebackType

from batch_engine.local.base.private_files import make_private_file

STOP_TIMEOUT_S = 15.0
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Children:
    """A context that starts processes in groups of their own, and ends all processes at its end.

    Within the context SIGINT, SIGTERM and SIGHUP raise KeyboardInterrupt. They do not interrupt the start of
    a process before it is recorded here, nor the clean-up.
    """

    def __init__(self) -> None:
        self._processes: list[subprocess.Popen[bytes]] = []
        self._deferring = False
        self._pending = False
        self._previous: dict[signal.Signals, object] = {}

    def __enter__(self) -> "Children":
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                self._previous[number] = signal.signal(number, self._interrupted)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._deferring = True
        for process in reversed(self._processes):
            end(process)
        for number, handler in self._previous.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _interrupted(self, _number: int, _frame: FrameType | None) -> None:
        if self._deferring:
            self._pending = True
        else:
            raise KeyboardInterrupt

    @contextlib.contextmanager
    def _uninterrupted(self) -> Iterator[None]:
        self._deferring = True
        try:
            yield
        finally:
            self._deferring = False
        if self._pending:
            raise KeyboardInterrupt

    def start(
        self, command: Sequence[str], *, log_path: Path, environment: Mapping[str, str], cwd: Path
    ) -> subprocess.Popen[bytes]:
        """Starts a process and appends its output to a file."""
        make_private_file(log_path)
        with self._uninterrupted(), log_path.open("ab") as log:
            process = subprocess.Popen(
                command,
                cwd=cwd,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            self._processes.append(process)
        return process


def end(process: subprocess.Popen[bytes]) -> None:
    """Sends SIGTERM to a process's group, waits, and then sends SIGKILL to the processes that are left."""
    if process.poll() is None:
        _signal_group(process, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_TIMEOUT_S)
    _signal_group(process, signal.SIGKILL)
    process.wait()


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)
