"""SIGTERM and SIGINT: a flag, a log line, and an exception in the main thread."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from batch_worker.log import Log

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Interrupted(BaseException):
    """The process was told to stop. No `Exception`, so that `except Exception` does not swallow it."""

    def __init__(self, signum: int) -> None:
        super().__init__(f"stopped by {signal.Signals(signum).name}")
        self.signum = signum

    @property
    def exit_code(self) -> int:
        """75 (try again) for SIGTERM, which is the platform's; 130 for SIGINT, which is a person's.

        AWS Batch never retries what it stopped itself, by timeout or TerminateJob, so 75 costs nothing there.
        A lost host, though, is not always reported as one: an attempt may end with nothing but its exit code.
        """
        return os.EX_TEMPFAIL if self.signum == signal.SIGTERM else 128 + self.signum


class Stop:
    """The process's stop flag; while `interruptible`, a signal also raises `Interrupted`, once."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._signum: int | None = None
        self._raises = False

    @property
    def requested(self) -> bool:
        """True from the first signal on."""
        return self._signum is not None

    def check(self) -> None:
        """Raises `Interrupted` if a signal has come."""
        if self._signum is not None:
            raise Interrupted(self._signum)

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Handles the signals inside the block and restores the former handlers after it."""
        former = {number: signal.signal(number, self._handle) for number in _SIGNALS}
        try:
            yield
        finally:
            for number, handler in former.items():
                signal.signal(number, handler)

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """Lets a signal raise inside the block; one that came before raises at its start."""
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
            # A second signal must not break into the clean-up that the first one started.
            self._raises = False
            raise Interrupted(signum)
