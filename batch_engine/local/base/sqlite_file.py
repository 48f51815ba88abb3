"""SQLite files beside the engine's own: what a ``kill -9`` must not lose of the rest of the local cloud."""

import sqlite3
from pathlib import Path

from batch_engine.local.base.private_files import make_private_file


def open_file(path: Path, schema: str) -> sqlite3.Connection:
    """Open a file, which its caller guards against threads; each statement is a transaction of its own.

    Args:
        path: made where it does not exist.
        schema: makes its tables where they do not exist.
    """
    make_private_file(path)
    connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.executescript(schema)
    return connection
