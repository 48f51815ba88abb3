"""The event log: the last events, with the actions that each one led to."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from batch_engine.core.model.actions import Action
from batch_engine.core.model.events import Event
from batch_engine.core.model.ids import IdFactory

KEPT = 4096
"""The number of events that a log keeps by default."""


@dataclass(frozen=True, slots=True)
class Fault:
    """An internal error while an event was taken in.

    Args:
        reason: the exception in one line.
        trace: the traceback.
        refused: whether the event was undone, as a request is whose caller waits for the answer.
    """

    reason: str
    trace: str
    refused: bool


@dataclass(slots=True)
class Record:
    """One event of the log.

    Args:
        seq: the number of the event, from 1 on; its actions carry it as ``event``.
        now_ms: the time of the event, in epoch milliseconds.
        event: the event as it was taken in.
        actions: the decisions that it led to, in order.
        ids: the ids that were drawn for it, in order; most events need none.
        faults: the internal errors.
    """

    seq: int
    now_ms: int
    event: Event
    actions: list[Action] = field(default_factory=list)
    ids: tuple[str, ...] = ()
    faults: tuple[Fault, ...] = ()


class EventLog:
    """Keeps the last events in memory.

    Args:
        keep: the number of events to keep; None for all of them.
    """

    def __init__(self, keep: int | None = KEPT) -> None:
        self._records: deque[Record] = deque(maxlen=keep)
        self.count = 0
        """The number of events so far."""
        self.faults = 0
        """The number of internal errors so far."""

    def open(self, event: Event, now_ms: int) -> Record:
        """Adds an event, and returns the record for its actions."""
        self.count += 1
        record = Record(self.count, now_ms, event)
        self._records.append(record)
        return record

    def fault(self, record: Record, fault: Fault) -> None:
        """Notes an internal error."""
        self.faults += 1
        record.faults = (*record.faults, fault)

    def __iter__(self) -> Iterator[Record]:
        """Yields the events that are kept, oldest first."""
        return iter(self._records)

    def __len__(self) -> int:
        """Returns the number of events that are kept."""
        return len(self._records)

    def last(self, count: int) -> list[Record]:
        """Returns the last ``count`` events that are kept, oldest first."""
        return list(self._records)[-count:] if count else []


class LoggedIds:
    """An id factory that notes each id in the record of the event for which it is drawn.

    Args:
        ids: makes the ids.
        record: the record of the event at hand.
    """

    def __init__(self, ids: IdFactory, record: Record) -> None:
        self._ids = ids
        self.record = record

    def uuid(self) -> str:
        """Returns a new UUID."""
        return self._noted(self._ids.uuid())

    def hex(self, length: int) -> str:
        """Returns new lower-case hexadecimal digits."""
        return self._noted(self._ids.hex(length))

    def _noted(self, drawn: str) -> str:
        self.record.ids = (*self.record.ids, drawn)
        return drawn
