"""The deliveries that are under way, in an SQLite file, so that a ``kill -9`` loses none.

A delivery is written before the sender of the event receives an answer, and deleted after AWS Batch has
accepted the job. A server that is killed in between delivers once more: EventBridge promises "at least once".
"""

import json
import threading
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from batch_engine.local.base.sqlite_file import open_file
from batch_engine.local.delivery.requests import Target

_SCHEMA = """
CREATE TABLE IF NOT EXISTS delivery (
    id INTEGER PRIMARY KEY AUTOINCREMENT, taken_at_ms INTEGER NOT NULL, attempts INTEGER NOT NULL,
    due_ms INTEGER NOT NULL, what TEXT NOT NULL
);
"""


@dataclass(frozen=True, slots=True)
class Delivery:
    """An event on its way to a target.

    Args:
        id: the row's id.
        taken_at_ms: when the event was matched, in epoch milliseconds.
        attempts: the number of failed attempts.
        due_ms: when the next attempt is due.
        target: the target of the rule or the schedule.
        event: the event with its detail, as targets receive it.
        source_arn: the ARN of the rule or the schedule.
        transformed: the result of the target's input transformer; None if it has none.
    """

    id: int
    taken_at_ms: int
    attempts: int
    due_ms: int
    target: Target
    event: dict[str, Any]
    source_arn: str
    transformed: str | None


class Deliveries:
    """The file of deliveries. Thread-safe.

    Args:
        path: the file; it is created if it does not exist.
    """

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        self._connection = open_file(path, _SCHEMA)

    def add(
        self,
        target: Target,
        event: dict[str, Any],
        source_arn: str,
        transformed: str | None,
        *,
        now_ms: int,
    ) -> Delivery:
        """Adds a delivery that is due at once."""
        what = {"target": target, "event": event, "source_arn": source_arn, "transformed": transformed}
        with self._lock:
            row = self._connection.execute(
                "INSERT INTO delivery (taken_at_ms, attempts, due_ms, what) VALUES (?, 0, ?, ?)",
                (now_ms, now_ms, json.dumps(what)),
            )
        return Delivery(row.lastrowid or 0, now_ms, 0, now_ms, target, event, source_arn, transformed)

    def postpone(self, delivery: Delivery, due_ms: int) -> Delivery:
        """Records a failed attempt and the time of the next one."""
        later = replace(delivery, attempts=delivery.attempts + 1, due_ms=due_ms)
        with self._lock:
            self._connection.execute(
                "UPDATE delivery SET attempts = ?, due_ms = ? WHERE id = ?",
                (later.attempts, due_ms, later.id),
            )
        return later

    def forget(self, delivery: Delivery) -> None:
        """Deletes a delivery that is done or given up."""
        with self._lock:
            self._connection.execute("DELETE FROM delivery WHERE id = ?", (delivery.id,))

    def pending(self) -> list[Delivery]:
        """Returns the deliveries in the file, oldest first."""
        with self._lock:
            rows = self._connection.execute(
                "SELECT id, taken_at_ms, attempts, due_ms, what FROM delivery ORDER BY id"
            ).fetchall()
        return [Delivery(*numbers, **json.loads(what)) for *numbers, what in rows]

    def close(self) -> None:
        """Closes the file."""
        with self._lock:
            self._connection.close()
