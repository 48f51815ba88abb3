"""The state file: one SQLite file with every entity and every event that is not delivered yet.

With write-ahead logging and ``synchronous=NORMAL`` each committed transaction survives the death of the
process; only a power cut may lose the last few.
"""

import sqlite3
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from batch_engine.core.model.jobs import Job
from batch_engine.core.model.resources import (
    ComputeEnvironment,
    ConsumableResource,
    JobDefinition,
    JobQueue,
    QuotaShare,
    SchedulingPolicy,
    ServiceEnvironment,
)
from batch_engine.core.state.registry import Entity, ForgottenJob
from batch_engine.local.base.private_files import make_private_file
from batch_engine.local.store import job_rows
from batch_engine.local.store.outbox_table import Announcement, OutboxTable, PendingEvent
from batch_engine.local.store.schema import SCHEMA_VERSION, bring_up_to_date

CHECKPOINT_PAGES = 10_000

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
    )
}
_ADAPTERS: dict[str, TypeAdapter[Any]] = {name: TypeAdapter(kind) for name, kind in _KINDS.items()}


_UNREADABLE = (AttributeError, KeyError, TypeError, ValueError)
"""The exceptions of reading a row that this program did not write."""


class StoreError(Exception):
    """The state file cannot be used."""


class Store:
    """The state file of one engine. Thread-safe.

    Args:
        path: the SQLite file; it is created if it does not exist.

    Raises:
        StoreError: the file is not ours, or a later version of this program wrote it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        if path.name != ":memory:":
            make_private_file(path)
        self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        try:
            self._open(path)
        except (sqlite3.DatabaseError, *_UNREADABLE) as error:
            self._connection.close()
            raise _unreadable(path, error) from error

    def _open(self, path: Path) -> None:
        connection = self._connection
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        # Requests wait for a checkpoint, which waits for the disk: few large checkpoints cost less.
        connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version > SCHEMA_VERSION:
            connection.close()
            raise StoreError(
                f"{path} has version {version}; this program reads versions up to {SCHEMA_VERSION}"
            )
        bring_up_to_date(connection)
        self.outbox = OutboxTable(connection, self._lock)

    def load(self) -> Iterable[Entity]:
        """Yields every entity that was saved; resources before the jobs that name them.

        Raises:
            StoreError: this program did not write a row in this form.
        """
        try:
            yield from self._read()
        except _UNREADABLE as error:
            raise _unreadable(self._path, error) from error

    def _read(self) -> Iterable[Entity]:
        with self._lock:
            rows = self._connection.execute("SELECT kind, body FROM entity").fetchall()
            jobs = self._connection.execute(
                "SELECT key, job_spec.body, job_state.body FROM job_state LEFT JOIN job_spec USING (key) "
                "ORDER BY key"
            ).fetchall()
        rank = list(_KINDS)
        for kind, body in sorted(rows, key=lambda row: rank.index(row[0])):
            yield _ADAPTERS[kind].validate_json(body)
        yield from job_rows.read(jobs)

    def save(
        self,
        changed: Mapping[str, Entity | ForgottenJob | None],
        announcements: Iterable[Announcement],
        now_ms: int,
    ) -> list[PendingEvent]:
        """Saves changes and their events, all or nothing.

        Args:
            changed: entities by ARN; None for a resource that is gone, ``ForgottenJob`` for a job.
            announcements: the content of the events.
            now_ms: the time of the events, in epoch milliseconds.

        Returns:
            The events with their ids.
        """
        jobs, upserts, deletes, forgotten = [], [], [], []
        for arn, entity in changed.items():
            if isinstance(entity, Job):
                jobs.append((entity, job_rows.state_of(entity), job_rows.key_of(entity)))
            elif isinstance(entity, ForgottenJob):
                forgotten.append(job_rows.keys_of(entity.serial))
            elif entity is None:
                deletes.append((arn,))
            else:
                kind = type(entity).__name__
                upserts.append((arn, kind, _ADAPTERS[kind].dump_json(entity).decode()))
        with self._lock:
            events = self.outbox.number(announcements, now_ms)
            connection = self._connection
            connection.execute("BEGIN IMMEDIATE")
            try:
                self._write_jobs(jobs)
                if forgotten:
                    connection.executemany("DELETE FROM job_spec WHERE key BETWEEN ? AND ?", forgotten)
                    connection.executemany("DELETE FROM job_state WHERE key BETWEEN ? AND ?", forgotten)
                if upserts:
                    connection.executemany("INSERT OR REPLACE INTO entity VALUES (?, ?, ?)", upserts)
                if deletes:
                    connection.executemany("DELETE FROM entity WHERE arn = ?", deletes)
                if events:
                    self.outbox.insert(events)
                connection.execute("COMMIT")
            except BaseException:
                # SQLite itself rolls back when the disk is full.
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
            self.outbox.inserted(events)
        return events

    def _write_jobs(self, jobs: list[tuple[Job, str, int]]) -> None:
        for job, state, key in jobs:
            values = (state, key)
            if not self._connection.execute("UPDATE job_state SET body = ? WHERE key = ?", values).rowcount:
                self._connection.execute("INSERT INTO job_state (body, key) VALUES (?, ?)", values)
                if (spec := job_rows.spec_of(job)) is not None:
                    self._connection.execute("INSERT INTO job_spec VALUES (?, ?)", (key, spec))

    def close(self) -> None:
        """Closes the file."""
        with self._lock:
            self._connection.close()


def _unreadable(path: Path, error: Exception) -> StoreError:
    # A KeyError says no more than a name.
    detail = str(error) if isinstance(error, sqlite3.Error) else f"{type(error).__name__}: {error}"
    return StoreError(f"{path} is not a readable state file: {detail}")
