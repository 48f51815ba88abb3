"""The waiting shares of a fair-share queue, ranked so that the next one is found quickly.

The use of a share decays, and the weighted uses of two shares may change places without an event. Two shares
with the same weighted vCPUs in use never do: the rest of their use decays at the same rate. So the shares are
kept in one heap for each amount of weighted vCPUs in use, and only the first share of each heap is compared.
The shares that use nothing now are in two heaps: one for shares whose earlier use still counts, and one for
shares whose earlier use no longer counts.
Fair share keeps the other heaps few, because the share with the least is next.
"""

import heapq
import math
from collections.abc import Callable
from dataclasses import dataclass, field

from batch_engine.core.state.share_use import HALF_LIVES_PER_WINDOW, Use

DIGITS = 9
"""Weighted uses that agree to this many decimals are level: the job that came first goes first."""
_LEVEL = 0.5 * 10**-DIGITS
_LOG_DIGITS = 8
_UNUSED, _DECAYING = 0.0, -1.0
"""The heaps of the shares that use nothing: without earlier use, and with it. The others are positive."""

_Entry = tuple[int, float, int, str, int]
"""The sign and the size of what decays, the order of the first job, the share, the number of the entry."""


@dataclass(frozen=True, slots=True)
class Standing:
    """The figures by which a share is ranked.

    Args:
        use: the use of the share; it is read again each time that shares are compared.
        weight: its weight factor.
        order: the order of the job that is first in its line.
    """

    use: Use
    weight: float
    order: int


@dataclass(slots=True)
class _Ranked:
    standing: Standing
    group: float
    number: int


@dataclass(slots=True)
class Ranking:
    """The waiting shares of one queue.

    Args:
        decay_s: the window of its policy in seconds.
        standing: returns the figures of a share, or None if none of its jobs waits.
    """

    decay_s: int
    standing: Callable[[str], Standing | None]
    looked_at: int = 0
    """How many shares have been compared or sorted in; for checks."""
    _groups: dict[float, list[_Entry]] = field(default_factory=dict)
    _ranked: dict[str, _Ranked] = field(default_factory=dict)
    _changed: dict[str, None] = field(default_factory=dict)
    _numbers: int = 0
    _entries: int = 0
    _origin_ms: int | None = None

    def changed(self, share: str) -> None:
        """Notes that the use, the weight or the first job of a share has changed."""
        self._changed[share] = None

    def first(self, now_ms: int) -> str | None:
        """Returns the share with the least use times weight; among equals the share that came first."""
        while self._changed:
            self._rank(self._changed.popitem()[0])
        self._end_decay(now_ms)
        best: tuple[float, int, str] | None = None
        for group in list(self._groups):
            share = self._first_of(group)
            if share is not None:
                key = round(self._value(share, now_ms), DIGITS), self._ranked[share].standing.order, share
                best = key if best is None or key < best else best
        return None if best is None else best[2]

    def _value(self, share: str, now_ms: int) -> float:
        self.looked_at += 1
        standing = self._ranked[share].standing
        return standing.weight * standing.use.milli_vcpus(now_ms, self.decay_s) / 1000

    def _end_decay(self, now_ms: int) -> None:
        """Moves shares whose earlier use no longer counts to the heap of shares without use."""
        while (share := self._first_of(_DECAYING)) is not None and self._value(share, now_ms) < _LEVEL:
            heapq.heappop(self._groups[_DECAYING])
            self._entries -= 1
            self._ranked[share].group = _UNUSED
            self._push(share, (0, 0.0))

    def _first_of(self, group: float) -> str | None:
        heap = self._groups.get(group)
        while heap:
            share, number = heap[0][3:]
            ranked = self._ranked.get(share)
            if ranked is not None and ranked.number == number:
                return share
            heapq.heappop(heap)
            self._entries -= 1
        self._groups.pop(group, None)
        return None

    def _rank(self, share: str) -> None:
        standing = self.standing(share)
        if standing is None:
            self._ranked.pop(share, None)
            return
        if self._entries > 2 * len(self._ranked) + 64:
            self._forget_old_entries()
        self._numbers += 1
        decaying = self._decaying(standing)
        group = round(2 * standing.weight * standing.use.running_milli / 1000, DIGITS)
        if not standing.use.running_milli:
            group = _DECAYING if decaying[0] else _UNUSED
        self._ranked[share] = _Ranked(standing, group, self._numbers)
        self._push(share, decaying)

    def _push(self, share: str, decaying: tuple[int, float]) -> None:
        self.looked_at += 1
        ranked = self._ranked[share]
        entry = *decaying, ranked.standing.order, share, ranked.number
        heapq.heappush(self._groups.setdefault(ranked.group, []), entry)
        self._entries += 1

    def _decaying(self, standing: Standing) -> tuple[int, float]:
        """Returns the sign of what decays, and the logarithm of its size at one moment for all shares."""
        use = standing.use
        if self._origin_ms is None:
            self._origin_ms = use.at_ms
        rest = standing.weight * (use.average_milli - use.running_milli) / 1000
        if abs(rest) < _LEVEL:
            return 0, 0.0
        half_life_ms = self.decay_s * 1000 / HALF_LIVES_PER_WINDOW
        size = math.log2(abs(rest)) + (use.at_ms - self._origin_ms) / half_life_ms
        return (1, round(size, _LOG_DIGITS)) if rest > 0 else (-1, -round(size, _LOG_DIGITS))

    def _forget_old_entries(self) -> None:
        self._groups.clear()
        self._entries = 0
        for share, ranked in self._ranked.items():
            unused = ranked.group == _UNUSED
            self._push(share, (0, 0.0) if unused else self._decaying(ranked.standing))
