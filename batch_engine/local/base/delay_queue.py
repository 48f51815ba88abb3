"""A queue for work that is due later, and a thread that does the work."""

import heapq
import itertools
import logging
import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

logger = logging.getLogger(__name__)

# The system's call refuses waits of years.
MAX_WAIT_S = 3600.0

T = TypeVar("T")


def epoch_ms() -> int:
    """Returns the current time in epoch milliseconds."""
    return time.time_ns() // 1_000_000


class DelayQueue(Generic[T]):
    """A queue of items, each with the time at which it is due. Thread-safe.

    Args:
        clock: returns the time in epoch milliseconds.
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
            item: the item.
            due_ms: when it is due, in epoch milliseconds; items of the same time keep their order.
        """
        with self._changed:
            place = next(self._count)
            heapq.heappush(self._due, (due_ms, place, item))
            if self._due[0][1] == place:
                self._changed.notify()

    def take(self, limit: int | None = None) -> list[T]:
        """Waits until an item is due, and removes and returns all items that are due; empty after ``close``.

        Args:
            limit: the most items to return.
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
        """Closes the queue: ``take`` does not wait any more.

        Args:
            drain_ms: ``take`` still returns items that are due within this time, at once; None for no items.
        """
        with self._changed:
            self._is_closed = True
            self._drain_ms = drain_ms
            self._changed.notify_all()

    def __len__(self) -> int:
        """Returns the number of items."""
        return len(self._due)


class Worker(Generic[T]):
    """A thread that works on the items of a delay queue when they are due.

    Args:
        name: the thread's name.
        work: works on due items, in the order of their times. Its exceptions are logged.
        limit: the most items in one call of ``work``; None for all that are due.
        clock: returns the time in epoch milliseconds.
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
        """Ends the thread after its current work, if it has started, and waits for it.

        Args:
            drain_ms: work that is due within this time is still done, at once; None for no work.
            timeout_s: the longest wait.
        """
        self.queue.close(drain_ms)
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def _run(self) -> None:
        while items := self.queue.take(self._limit):
            try:
                self._work(items)
            except Exception:
                # The thread must go on with other work.
                logger.exception("%s: work that was due has failed", self._name)
