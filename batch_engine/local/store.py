"""What survives a ``kill -9``: one SQLite file that holds every entity and every event not yet delivered.

Write-ahead logging with ``synchronous=NORMAL`` keeps each committed transaction through the death of the
process; only a power cut may cost the last few.
"""

import json
import sqlite3
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter
from pydantic_core import to_json

from batch_engine.core.arrays import SHARED_WITH_CHILDREN
from batch_engine.core.model import (
    ComputeEnvironment,
    ConsumableResource,
    Job,
    JobDefinition,
    JobQueue,
    QuotaShare,
    SchedulingPolicy,
    ServiceEnvironment,
)
from batch_engine.core.registry import Entity

SCHEMA_VERSION = 2
CHECKPOINT_PAGES = 10_000
SCHEMA = """
CREATE TABLE IF NOT EXISTS entity (
    arn TEXT PRIMARY KEY, kind TEXT NOT NULL, body TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS outbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT, time_ms INTEGER NOT NULL, detail TEXT NOT NULL,
    detail_type TEXT NOT NULL DEFAULT 'Batch Job State Change', resource TEXT NOT NULL DEFAULT ''
);
"""

UPGRADE_FROM_1 = """
ALTER TABLE outbox ADD COLUMN detail_type TEXT NOT NULL DEFAULT 'Batch Job State Change';
ALTER TABLE outbox ADD COLUMN resource TEXT NOT NULL DEFAULT '';
UPDATE outbox SET resource = json_extract(detail, '$.jobArn');
"""

_KINDS: dict[str, type[Entity]] = {
    kind.__name__: kind
    for kind in (
        ComputeEnvironment,
        ServiceEnvironment,
        SchedulingPolicy,
        ConsumableResource,
        JobQueue,
        QuotaShare,
        JobDefinition,
        Job,
    )
}
_ADAPTERS: dict[str, TypeAdapter[Any]] = {name: TypeAdapter(kind) for name, kind in _KINDS.items()}
_SHARED = set(SHARED_WITH_CHILDREN)


class StoreError(Exception):
    """The state file cannot be used."""


@dataclass(frozen=True, slots=True)
class Announcement:
    """What EventBridge is to be told."""

    detail_type: str
    resource: str
    detail: dict[str, Any]


@dataclass(frozen=True, slots=True)
class PendingEvent:
    """An announcement that EventBridge has yet to be told of."""

    id: int
    time_ms: int
    what: Announcement


class Store:
    """The state file of one engine. Thread-safe.

    Args:
        path: the SQLite file; made where it does not exist.

    Raises:
        StoreError: the file is not ours, or a later version of this program wrote it.
    """

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        try:
            self._open(path)
        except sqlite3.DatabaseError as error:
            self._connection.close()
            raise StoreError(f"{path} is not a readable state file: {error}") from error

    def _open(self, path: Path) -> None:
        connection = self._connection
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        # A checkpoint waits for the disk, and a request waits for it: seldom is better than often.
        connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version > SCHEMA_VERSION:
            connection.close()
            raise StoreError(
                f"{path} has version {version}; this program reads versions up to {SCHEMA_VERSION}"
            )
        if version == 1:
            connection.executescript(UPGRADE_FROM_1)
        connection.executescript(SCHEMA)
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        last = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'outbox'").fetchone()
        self._last_event_id: int = last[0] if last else 0

    def load(self) -> Iterable[Entity]:
        """Every entity that was saved; resources before the jobs that name them."""
        with self._lock:
            rows = self._connection.execute("SELECT kind, body FROM entity").fetchall()
        rank = list(_KINDS)
        for kind, body in sorted(rows, key=lambda row: rank.index(row[0])):
            yield _ADAPTERS[kind].validate_json(body)

    def pending_events(self) -> list[PendingEvent]:
        """The events that were saved and not yet delivered, oldest first."""
        with self._lock:
            rows = self._connection.execute(
                "SELECT id, time_ms, detail_type, resource, detail FROM outbox ORDER BY id"
            ).fetchall()
        return [
            PendingEvent(event_id, time_ms, Announcement(detail_type, resource, json.loads(detail)))
            for event_id, time_ms, detail_type, resource, detail in rows
        ]

    def save(
        self, changed: Mapping[str, Entity | None], announcements: Iterable[Announcement], now_ms: int
    ) -> list[PendingEvent]:
        """Save changes and the events that tell of them, all or nothing.

        Args:
            changed: entities by ARN; None for one that is gone.
            announcements: what the events say.
            now_ms: the events' time.

        Returns:
            The events, now that they have an id.
        """
        upserts, deletes = [], []
        for arn, entity in changed.items():
            if entity is None:
                deletes.append((arn,))
            else:
                kind = type(entity).__name__
                # The children of an array have these from their parent: saved once, not ten thousand times.
                shared = _SHARED if isinstance(entity, Job) and entity.array_index is not None else None
                upserts.append((arn, kind, _ADAPTERS[kind].dump_json(entity, exclude=shared).decode()))
        with self._lock:
            first = self._last_event_id + 1
            events = [
                PendingEvent(event_id, now_ms, what) for event_id, what in enumerate(announcements, first)
            ]
            rows = [
                (
                    event.id,
                    now_ms,
                    to_json(event.what.detail).decode(),
                    event.what.detail_type,
                    event.what.resource,
                )
                for event in events
            ]
            connection = self._connection
            connection.execute("BEGIN IMMEDIATE")
            try:
                connection.executemany("INSERT OR REPLACE INTO entity VALUES (?, ?, ?)", upserts)
                if deletes:
                    connection.executemany("DELETE FROM entity WHERE arn = ?", deletes)
                connection.executemany(
                    "INSERT INTO outbox (id, time_ms, detail, detail_type, resource) VALUES (?, ?, ?, ?, ?)",
                    rows,
                )
                connection.execute("COMMIT")
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            self._last_event_id += len(events)
        return events

    def delivered(self, last_id: int) -> None:
        """Forget the events up to and including this one."""
        with self._lock:
            self._connection.execute("DELETE FROM outbox WHERE id <= ?", (last_id,))

    def close(self) -> None:
        """Close the file; what was saved is safe already."""
        with self._lock:
            self._connection.close()
