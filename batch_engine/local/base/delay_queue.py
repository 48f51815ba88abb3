"""Work that is due later: the queue that holds it, and the thread that does it."""

import heapq
import itertools
import logging
import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

logger = logging.getLogger(__name__)

# A wait of years overflows what the system's call takes.
MAX_WAIT_S = 3600.0

T = TypeVar("T")


def epoch_ms() -> int:
    """Returns the time in epoch milliseconds."""
    return time.time_ns() // 1_000_000


class DelayQueue(Generic[T]):
    """Items with the time at which each is due. Thread-safe.

    Args:
        clock: the time in epoch milliseconds.
    """

    def __init__(self, clock: Callable[[], int] = epoch_ms) -> None:
        self._clock = clock
        self._due: list[tuple[int, int, T]] = []
        self._count = itertools.count()
        self._changed = threading.Condition()
        self._is_closed = False
        self._drain_ms: int | None = None

    def put(self, item: T, due_ms: int) -> None:
        """Adds an item.

        Args:
            item: what is due.
            due_ms: when, in epoch milliseconds; items of the same time keep their order.
        """
        with self._changed:
            place = next(self._count)
            heapq.heappush(self._due, (due_ms, place, item))
            if self._due[0][1] == place:
                self._changed.notify()

    def take(self, limit: int | None = None) -> list[T]:
        """Waits until an item is due, and takes out all that are; returns none once the queue is closed.

        Args:
            limit: how many at most.
        """
        with self._changed:
            while True:
                now_ms = self._clock() if self._due else 0
                items = self._pop(now_ms, limit)
                if items or self._is_closed:
                    return items
                wait_s = (self._due[0][0] - now_ms) / 1000 if self._due else MAX_WAIT_S
                self._changed.wait(min(wait_s, MAX_WAIT_S))

    def _pop(self, now_ms: int, limit: int | None) -> list[T]:
        if self._is_closed and self._drain_ms is None:
            return []
        until_ms = now_ms + (self._drain_ms or 0)
        items: list[T] = []
        while self._due and self._due[0][0] <= until_ms and len(items) != limit:
            items.append(heapq.heappop(self._due)[2])
        return items

    def close(self, drain_ms: int | None = None) -> None:
        """Has ``take`` wait no more.

        Args:
            drain_ms: what is due within this time is still taken out, at once; None leaves everything.
        """
        with self._changed:
            self._is_closed = True
            self._drain_ms = drain_ms
            self._changed.notify_all()

    def __len__(self) -> int:
        """Returns how many items wait."""
        return len(self._due)


class Worker(Generic[T]):
    """A thread that works on the items of a delay queue when they are due.

    Args:
        name: the thread's.
        work: takes items that are due, in the order of their times. What it raises is logged.
        limit: how many items it takes at once; None for all that are due.
        clock: the time in epoch milliseconds.
    """

    def __init__(
        self,
        name: str,
        work: Callable[[list[T]], None],
        *,
        limit: int | None = None,
        clock: Callable[[], int] = epoch_ms,
    ) -> None:
        self.queue: DelayQueue[T] = DelayQueue(clock)
        self._name = name
        self._work = work
        self._limit = limit
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def stop(self, drain_ms: int | None = None, timeout_s: float | None = None) -> None:
        """Ends the thread after the work at hand, and waits for it; does nothing where it has not started.

        Args:
            drain_ms: work that is due within this time is still done, at once; None leaves everything.
            timeout_s: wait no longer than this.
        """
        self.queue.close(drain_ms)
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def _run(self) -> None:
        while items := self.queue.take(self._limit):
            try:
                self._work(items)
            except Exception:
                # Work that fails must not cost the other work its thread.
                logger.exception("%s: work that was due has failed", self._name)
