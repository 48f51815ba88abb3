"""The events in the state file that EventBridge has not received: each waits, or is parked with its error."""

import json
import sqlite3
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pydantic_core import to_json


@dataclass(frozen=True, slots=True)
class Announcement:
    """The content of an event.

    Args:
        detail_type: the event's ``detail-type``.
        resource: the ARN of the job or the queue; its events are delivered in order.
        detail: the event's ``detail``.
    """

    detail_type: str
    resource: str
    detail: dict[str, Any]


@dataclass(frozen=True, slots=True)
class PendingEvent:
    """An event that is still to be delivered.

    Args:
        id: its place in the order of all events.
        time_ms: when it happened, in epoch milliseconds.
        what: its content.
        tries: how many times its delivery has failed.
    """

    id: int
    time_ms: int
    what: Announcement
    tries: int = 0


@dataclass(frozen=True, slots=True)
class ParkedEvent:
    """An event that could not be delivered, and is not tried again.

    Args:
        event: the event.
        error: why its last delivery failed.
        parked_at_ms: when it was given up, in epoch milliseconds.
    """

    event: PendingEvent
    error: str
    parked_at_ms: int


_COLUMNS = "id, time_ms, detail_type, resource, detail, tries"


class OutboxTable:
    """The table. Thread-safe.

    Args:
        connection: the state file's.
        lock: guards the connection.
    """

    def __init__(self, connection: sqlite3.Connection, lock: threading.Lock) -> None:
        self._connection = connection
        self._lock = lock
        self._last_id: int = connection.execute("SELECT max(id) FROM outbox").fetchone()[0] or 0

    def number(self, announcements: Iterable[Announcement], now_ms: int) -> list[PendingEvent]:
        """Returns events with the next ids; ``inserted`` confirms the ids."""
        return [
            PendingEvent(number, now_ms, what) for number, what in enumerate(announcements, self._last_id + 1)
        ]

    def insert(self, events: list[PendingEvent]) -> None:
        """Writes new events, inside a transaction; the caller holds the lock."""
        statement = "INSERT INTO outbox (id, time_ms, detail, detail_type, resource) VALUES (?, ?, ?, ?, ?)"
        self._connection.executemany(statement, map(_row, events))

    def inserted(self, events: list[PendingEvent]) -> None:
        """Records that the transaction which wrote these events is committed."""
        self._last_id += len(events)

    def pending(self) -> list[PendingEvent]:
        """Returns the events that are still to be delivered, oldest first."""
        query = f"SELECT {_COLUMNS} FROM outbox WHERE parked_at_ms IS NULL ORDER BY id"  # noqa: S608 - ours
        with self._lock:
            rows = self._connection.execute(query).fetchall()
        return [_event(row) for row in rows]

    def parked(self) -> list[ParkedEvent]:
        """Returns the parked events, oldest first."""
        query = (
            f"SELECT {_COLUMNS}, error, parked_at_ms FROM outbox "  # noqa: S608 - ours
            "WHERE parked_at_ms IS NOT NULL ORDER BY id"
        )
        with self._lock:
            rows = self._connection.execute(query).fetchall()
        return [ParkedEvent(_event(row[:-2]), row[-2], row[-1]) for row in rows]

    def delivered(self, ids: list[int]) -> None:
        """Deletes events that were delivered."""
        with self._lock:
            self._connection.execute(
                "DELETE FROM outbox WHERE id IN (SELECT value FROM json_each(?))", (json.dumps(ids),)
            )

    def failed(self, event: PendingEvent, error: str, parked_at_ms: int | None) -> None:
        """Records that the delivery of an event has failed.

        Args:
            event: the event; its ``tries`` include this one.
            error: the reason.
            parked_at_ms: when it was given up, in epoch milliseconds; None if it is tried again.
        """
        with self._lock:
            self._connection.execute(
                "UPDATE outbox SET tries = ?, error = ?, parked_at_ms = ? WHERE id = ?",
                (event.tries, error, parked_at_ms, event.id),
            )


def _event(row: tuple[Any, ...]) -> PendingEvent:
    event_id, time_ms, detail_type, resource, detail, tries = row
    return PendingEvent(event_id, time_ms, Announcement(detail_type, resource, json.loads(detail)), tries)


def _row(event: PendingEvent) -> tuple[int, int, str, str, str]:
    what = event.what
    return event.id, event.time_ms, to_json(what.detail).decode(), what.detail_type, what.resource
