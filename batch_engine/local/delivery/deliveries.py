"""Deliveries that targets have been promised: one SQLite file, so that a ``kill -9`` loses none.

A delivery is written before whoever sent the event is answered, and forgotten after AWS Batch has taken the
job: killed in between, it is carried out once more, as EventBridge promises no more than "at least once".
"""

import json
import threading
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from batch_engine.local.base.sqlite_file import open_file

_SCHEMA = """
CREATE TABLE IF NOT EXISTS delivery (
    id INTEGER PRIMARY KEY AUTOINCREMENT, taken_at_ms INTEGER NOT NULL, attempts INTEGER NOT NULL,
    due_ms INTEGER NOT NULL, what TEXT NOT NULL
);
"""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event on its way to one target.

    Args:
        id: its place in the file.
        taken_at_ms: when it was matched, in epoch milliseconds.
        attempts: how often it was tried.
        due_ms: when it is to be tried next.
        target: the rule's or the schedule's target.
        event: the event with its detail, as targets receive it.
        source_arn: the rule's or the schedule's.
        transformed: what the target's input transformer has made of the event; None where it has none.
    """

    id: int
    taken_at_ms: int
    attempts: int
    due_ms: int
    target: dict[str, Any]
    event: dict[str, Any]
    source_arn: str
    transformed: str | None


class Deliveries:
    """The file. Thread-safe.

    Args:
        path: made where it does not exist.
    """

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        self._connection = open_file(path, _SCHEMA)

    def add(
        self,
        target: dict[str, Any],
        event: dict[str, Any],
        source_arn: str,
        transformed: str | None,
        *,
        now_ms: int,
    ) -> Delivery:
        """Write one down, due at once."""
        what = {"target": target, "event": event, "source_arn": source_arn, "transformed": transformed}
        with self._lock:
            row = self._connection.execute(
                "INSERT INTO delivery (taken_at_ms, attempts, due_ms, what) VALUES (?, 0, ?, ?)",
                (now_ms, now_ms, json.dumps(what)),
            )
        return Delivery(row.lastrowid or 0, now_ms, 0, now_ms, target, event, source_arn, transformed)

    def postpone(self, delivery: Delivery, due_ms: int) -> Delivery:
        """Note that an attempt has failed, and when the next is due."""
        later = replace(delivery, attempts=delivery.attempts + 1, due_ms=due_ms)
        with self._lock:
            self._connection.execute(
                "UPDATE delivery SET attempts = ?, due_ms = ? WHERE id = ?",
                (later.attempts, due_ms, later.id),
            )
        return later

    def forget(self, delivery: Delivery) -> None:
        """Strike one off: it is delivered, or given up."""
        with self._lock:
            self._connection.execute("DELETE FROM delivery WHERE id = ?", (delivery.id,))

    def pending(self) -> list[Delivery]:
        """Read what is left, oldest first."""
        with self._lock:
            rows = self._connection.execute(
                "SELECT id, taken_at_ms, attempts, due_ms, what FROM delivery ORDER BY id"
            ).fetchall()
        return [Delivery(*numbers, **json.loads(what)) for *numbers, what in rows]

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()
