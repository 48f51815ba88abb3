"""Handles SIGTERM and SIGINT: sets a flag, logs a line, and raises an exception in the main thread."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from batch_worker.log import Log

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Interrupted(BaseException):
    """A signal asked the process to stop. Not an `Exception`: `except Exception` must not catch it."""

    def __init__(self, signum: int) -> None:
        super().__init__(f"stopped by {signal.Signals(signum).name}")
        self.signum = signum

    @property
    def exit_code(self) -> int:
        """75 (try again) for SIGTERM, which the platform sends. 130 for SIGINT, which a person sends.

        AWS Batch never retries a job that it stopped itself (timeout, TerminateJob), so 75 does no harm then.
        If a host is lost, AWS Batch does not always report that: the exit code may be the only sign.
        """
        return os.EX_TEMPFAIL if self.signum == signal.SIGTERM else 128 + self.signum


class Stop:
    """The process's stop flag. In an `interruptible` block, the first signal also raises `Interrupted`."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._signum: int | None = None
        self._raises = False

    @property
    def requested(self) -> bool:
        """True after the first signal."""
        return self._signum is not None

    def check(self) -> None:
        """Raises `Interrupted` if a signal was received."""
        if self._signum is not None:
            raise Interrupted(self._signum)

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Handles the signals in the block and restores the former handlers after it."""
        former = {number: signal.signal(number, self._handle) for number in _SIGNALS}
        try:
            yield
        finally:
            for number, handler in former.items():
                signal.signal(number, handler)

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """Lets a signal raise in the block. An earlier signal raises at its start."""
        self._raises = True
        try:
            self.check()
            yield
        finally:
            self._raises = False

    def _handle(self, signum: int, _frame: FrameType | None) -> None:
        if self._signum is None:
            self._signum = signum
            self._log.warning(f"{signal.Signals(signum).name} received")
        if self._raises:
            # A second signal must not interrupt the clean-up after the first one.
            self._raises = False
            raise Interrupted(signum)
