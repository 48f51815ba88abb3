"""What the core has to look at again later, by itself."""

import heapq
from collections.abc import Iterator

from batch_engine.core.model.actions import WakeAt
from batch_engine.core.state.decisions import Journal


class Agenda:
    """Moments at which something is due. One ``WakeAt`` is out for the earliest of them.

    Args:
        journal: asks to be woken.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._due: list[tuple[int, int, str, str]] = []
        self._count = 0
        self._asked_ms: int | None = None

    def at(self, at_ms: int, what: str, key: str) -> None:
        """Note something for later."""
        self._count += 1
        heapq.heappush(self._due, (at_ms, self._count, what, key))
        self._ask()

    def due(self) -> Iterator[tuple[str, str]]:
        """What is due by now, earliest first."""
        now_ms = self._journal.now_ms
        if self._asked_ms is not None and self._asked_ms <= now_ms:
            self._asked_ms = None
        while self._due and self._due[0][0] <= now_ms:
            _, _, what, key = heapq.heappop(self._due)
            yield what, key
        self._ask()

    def _ask(self) -> None:
        if self._due and (self._asked_ms is None or self._due[0][0] < self._asked_ms):
            self._asked_ms = self._due[0][0]
            self._journal.act(WakeAt(self._asked_ms))
