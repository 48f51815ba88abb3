"""Calls that are due later, on one thread."""

import heapq
import itertools
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

logger = logging.getLogger(__name__)

# A wait of years overflows what the system's call takes.
MAX_WAIT_S = 3600.0
DROPPED_MIN = 64
"""So many calls at least are dropped before they are cleared away together."""


@dataclass(slots=True)
class Timer:
    """One call that is due later; ``callback`` is None once it was made or dropped."""

    callback: Callable[[], None] | None


class Timers:
    """Runs each callback once its time has come.

    Args:
        clock: the time in epoch milliseconds.
    """

    def __init__(self, clock: Callable[[], int] = lambda: time.time_ns() // 1_000_000) -> None:
        self._clock = clock
        self._due: list[tuple[int, int, Timer]] = []
        self._dropped = 0
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

    def at(self, at_ms: int, callback: Callable[[], None]) -> Timer:
        """Call ``callback`` at ``at_ms`` (epoch milliseconds).

        Returns:
            What ``drop`` takes.
        """
        timer = Timer(callback)
        with self._changed:
            heapq.heappush(self._due, (at_ms, next(self._count), timer))
            if self._due[0][2] is timer:
                self._changed.notify()
        return timer

    def drop(self, timer: Timer) -> None:
        """Do not call it after all; nothing, if it was called already."""
        with self._changed:
            if timer.callback is None:
                return
            timer.callback = None
            self._dropped += 1
            if self._dropped >= DROPPED_MIN and 2 * self._dropped >= len(self._due):
                self._due = [entry for entry in self._due if entry[2].callback is not None]
                heapq.heapify(self._due)
                self._dropped = 0

    def __len__(self) -> int:
        """How many calls are held, dropped ones that were not cleared away yet among them."""
        return len(self._due)

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
                if wait_s is None or wait_s > 0:
                    self._changed.wait(None if wait_s is None else min(wait_s, MAX_WAIT_S))
                    continue
                timer = heapq.heappop(self._due)[2]
                callback, timer.callback = timer.callback, None
                if callback is not None:
                    return callback
                self._dropped -= 1
        return None
