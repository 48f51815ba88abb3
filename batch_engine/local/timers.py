"""Calls that are due later, on one thread."""

import heapq
import itertools
import logging
import threading
import time
from collections.abc import Callable

logger = logging.getLogger(__name__)

# A wait of years overflows what the system's call takes.
MAX_WAIT_S = 3600.0


class Timers:
    """Runs each callback once its time has come.

    Args:
        clock: the time in epoch milliseconds.
    """

    def __init__(self, clock: Callable[[], int] = lambda: time.time_ns() // 1_000_000) -> None:
        self._clock = clock
        self._due: list[tuple[int, int, Callable[[], None]]] = []
        self._count = itertools.count()
        self._changed = threading.Condition()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="batch-timers", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Drop what is not due yet and end the thread."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        if self._thread.is_alive():
            self._thread.join()

    def at(self, at_ms: int, callback: Callable[[], None]) -> None:
        """Call ``callback`` at ``at_ms`` (epoch milliseconds)."""
        with self._changed:
            heapq.heappush(self._due, (at_ms, next(self._count), callback))
            self._changed.notify()

    def _run(self) -> None:
        while (callback := self._next()) is not None:
            try:
                callback()
            except Exception:
                # One call that fails must not cost the others theirs.
                logger.exception("a timer's call failed")

    def _next(self) -> Callable[[], None] | None:
        with self._changed:
            while not self._stopping:
                wait_s = (self._due[0][0] - self._clock()) / 1000 if self._due else None
                if wait_s is not None and wait_s <= 0:
                    return heapq.heappop(self._due)[2]
                self._changed.wait(None if wait_s is None else min(wait_s, MAX_WAIT_S))
        return None
