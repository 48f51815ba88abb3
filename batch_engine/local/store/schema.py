"""The tables of the state file, and the upgrade of files of earlier versions."""

import json
import sqlite3
from typing import Any

from pydantic import TypeAdapter

from batch_engine.core.model.jobs import Job, JobStatus, move_of
from batch_engine.local.store.job_rows import key_of, spec_of, state_of

SCHEMA_VERSION = 5
_ENTITIES = """
CREATE TABLE entity (arn TEXT PRIMARY KEY, kind TEXT NOT NULL, body TEXT NOT NULL) WITHOUT ROWID;
"""
_JOBS = """
CREATE TABLE job_spec (key INTEGER PRIMARY KEY, body TEXT NOT NULL);
CREATE TABLE job_state (key INTEGER PRIMARY KEY, body TEXT NOT NULL);
"""
_OUTBOX_3 = """
CREATE TABLE outbox (
    id INTEGER PRIMARY KEY, time_ms INTEGER NOT NULL, detail TEXT NOT NULL,
    detail_type TEXT NOT NULL, resource TEXT NOT NULL
);
"""
_FROM_4_TO_5 = """
ALTER TABLE outbox ADD COLUMN tries INTEGER NOT NULL DEFAULT 0;
ALTER TABLE outbox ADD COLUMN error TEXT;
ALTER TABLE outbox ADD COLUMN parked_at_ms INTEGER;
"""

_FROM_1_TO_2 = """
ALTER TABLE outbox ADD COLUMN detail_type TEXT NOT NULL DEFAULT 'Batch Job State Change';
ALTER TABLE outbox ADD COLUMN resource TEXT NOT NULL DEFAULT '';
UPDATE outbox SET resource = json_extract(detail, '$.jobArn');
"""
# Earlier versions counted the events in a table of their own, which cost each transaction a page.
_PUT_ASIDE = "ALTER TABLE outbox RENAME TO outbox_2;"
_PUT_BACK = """
INSERT INTO outbox SELECT id, time_ms, detail, detail_type, resource FROM outbox_2;
DROP TABLE outbox_2;
"""


def bring_up_to_date(connection: sqlite3.Connection) -> None:
    """Upgrades a file of an earlier version, or creates the tables, all or nothing."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version == 0:
            _run(connection, _ENTITIES + _JOBS + _OUTBOX_3)
        if version == 1:
            _run(connection, _FROM_1_TO_2)
        if version in (1, 2):
            _run(connection, _JOBS + _PUT_ASIDE + _OUTBOX_3 + _PUT_BACK)
            _move_jobs(connection)
        if version == 3:
            _shorten_jobs(connection)
        if version < SCHEMA_VERSION:
            _run(connection, _FROM_4_TO_5)
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        # SQLite itself rolls back when the disk is full.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _run(connection: sqlite3.Connection, script: str) -> None:
    """Runs statements without the commit that ``executescript`` begins with."""
    for statement in script.split(";"):
        if statement.strip():
            connection.execute(statement)


def _move_jobs(connection: sqlite3.Connection) -> None:
    """Upgrades from 2 to 3: version 2 stored jobs among the other entities, each with all of its members."""
    rows = connection.execute("SELECT body FROM entity WHERE kind = 'Job'").fetchall()
    if not rows:
        return
    bodies: list[dict[str, Any]] = sorted(
        (json.loads(body) for (body,) in rows),
        key=lambda body: (body.get("array_index") is not None, body["order"]),
    )
    parents = {body["id"]: body for body in bodies if body.get("array_index") is None}
    last = max(max(body["order"], body.get("serial") or 0) for body in bodies)
    adapter = TypeAdapter(Job)
    for body in bodies:
        _shorten(body)
        if body.get("array_index") is not None:
            body["serial"] = parents[body["parent_id"]]["serial"]
        elif not body.get("serial"):
            last += 1
            body["serial"] = last
        job = adapter.validate_python(body)
        if (spec := spec_of(job)) is not None:
            connection.execute("INSERT INTO job_spec VALUES (?, ?)", (key_of(job), spec))
        connection.execute("INSERT INTO job_state VALUES (?, ?)", (key_of(job), state_of(job)))
    connection.execute("DELETE FROM entity WHERE kind = 'Job'")


def _shorten_jobs(connection: sqlite3.Connection) -> None:
    """Upgrades from 3 to 4: a move was a pair, and an attempt held its task's ARN and its stream's name."""
    rows = connection.execute("SELECT key, body FROM job_state").fetchall()
    for key, text in rows:
        body = json.loads(text)
        _shorten(body)
        connection.execute("UPDATE job_state SET body = ? WHERE key = ?", (json.dumps(body), key))


def _shorten(body: dict[str, Any]) -> None:
    if (history := body.pop("history", None)) is not None:
        body["moves"] = [move_of(at_ms, JobStatus(status)) for at_ms, status in history]
    for attempt in body.get("attempts") or ():
        if (task_arn := attempt.pop("task_arn", None)) is not None:
            arn, _, attempt["task_id"] = task_arn.rpartition("/")
            attempt["cluster_arn"] = arn.replace(":task/", ":cluster/", 1)
            attempt.pop("log_stream", None)
