"""The wake-ups of the core: actions that become due at a given time.

Like jobs, they are part of the core's knowledge: a fault that interrupts one leaves the others in place.
"""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass

from batch_engine.core.model.actions import WakeAt
from batch_engine.core.state.decisions import Journal

_STALE_MIN = 64
"""The number of replaced and dropped entries from which on they are cleared away."""


@dataclass(frozen=True, slots=True)
class AttemptTimeout:
    """An attempt has run for as long as its timeout allows."""

    job_id: str
    attempt: int


@dataclass(frozen=True, slots=True)
class AttemptEnds:
    """The host of an attempt is gone, and the attempt with it."""

    job_id: str
    attempt: int


@dataclass(frozen=True, slots=True)
class InstanceEnds:
    """An instance is gone, and every attempt on it."""

    instance_id: str


@dataclass(frozen=True, slots=True)
class InstanceIdle:
    """An instance may have been idle for long enough."""

    instance_id: str


@dataclass(frozen=True, slots=True)
class TimeLimit:
    """The head of a queue may have waited for as long as ``jobStateTimeLimitActions`` allow."""

    queue: str


@dataclass(frozen=True, slots=True)
class StatusDue:
    """A compute environment or a queue may leave CREATING, UPDATING or DELETING."""

    arn: str


@dataclass(frozen=True, slots=True)
class DefinitionExpires:
    """A job definition has been INACTIVE for as long as AWS Batch keeps it."""

    arn: str


@dataclass(frozen=True, slots=True)
class JobsExpire:
    """The job that ended first has been kept for long enough."""


Wakeup = (
    AttemptTimeout
    | AttemptEnds
    | InstanceEnds
    | InstanceIdle
    | TimeLimit
    | StatusDue
    | DefinitionExpires
    | JobsExpire
)


class Wakeups:
    """A queue of wake-ups, each with one time. A ``WakeAt`` action has been issued for the earliest one.

    Args:
        journal: takes the ``WakeAt`` actions.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._at: dict[Wakeup, int] = {}
        self._heap: list[tuple[int, int, Wakeup]] = []
        self._count = 0
        self._asked_ms: int | None = None

    def at(self, at_ms: int, wakeup: Wakeup) -> None:
        """Sets the time of a wake-up, and replaces an earlier setting."""
        if self._at.get(wakeup) == at_ms:
            return
        self._at[wakeup] = at_ms
        self._count += 1
        heapq.heappush(self._heap, (at_ms, self._count, wakeup))
        self._clear_stale()
        self._ask()

    def soon(self, wakeup: Wakeup) -> None:
        """Makes a wake-up due now: it is handled with the due wake-ups of the present event."""
        self._at[wakeup] = self._journal.now_ms
        self._count += 1
        heapq.heappush(self._heap, (self._journal.now_ms, self._count, wakeup))

    def no_later(self, at_ms: int, wakeup: Wakeup) -> None:
        """Sets the time of a wake-up unless it is due earlier already."""
        known_ms = self._at.get(wakeup)
        if known_ms is None or at_ms < known_ms:
            self.at(at_ms, wakeup)

    def drop(self, wakeup: Wakeup) -> None:
        """Removes a wake-up if it is set."""
        if self._at.pop(wakeup, None) is not None:
            self._clear_stale()

    @property
    def is_quiet(self) -> bool:
        """Returns whether nothing is due now, and a ``WakeAt`` is out for the earliest wake-up."""
        heap, asked_ms = self._heap, self._asked_ms
        return not heap or (asked_ms is not None and self._journal.now_ms < asked_ms <= heap[0][0])

    def due(self) -> Iterator[Wakeup]:
        """Yields the wake-ups that are due, earliest first, and removes each before it yields it."""
        now_ms = self._journal.now_ms
        if self._asked_ms is not None and self._asked_ms <= now_ms:
            self._asked_ms = None
        while self._heap and self._heap[0][0] <= now_ms:
            at_ms, _, wakeup = heapq.heappop(self._heap)
            if self._at.get(wakeup) == at_ms:
                del self._at[wakeup]
                yield wakeup
        self._ask()

    def forget_asked(self) -> None:
        """Asks for the next wake-up again with the next event: the action may have been lost."""
        self._asked_ms = None

    def __len__(self) -> int:
        """Returns the number of wake-ups that are set."""
        return len(self._at)

    def _clear_stale(self) -> None:
        if len(self._heap) - len(self._at) > max(_STALE_MIN, len(self._at)):
            self._heap = [entry for entry in self._heap if self._at.get(entry[2]) == entry[0]]
            heapq.heapify(self._heap)

    def _ask(self) -> None:
        if self._heap and (self._asked_ms is None or self._heap[0][0] < self._asked_ms):
            self._asked_ms = self._heap[0][0]
            self._journal.act(WakeAt(self._asked_ms))
