"""Opens SQLite files for state of the local cloud that a ``kill -9`` must not lose."""

import sqlite3
from pathlib import Path

from batch_engine.local.base.private_files import make_private_file


def open_file(path: Path, schema: str) -> sqlite3.Connection:
    """Opens a file; each statement is a transaction of its own. The caller serialises access by threads.

    Args:
        path: the file; it is created if it does not exist.
        schema: statements that create the tables if they do not exist.
    """
    make_private_file(path)
    connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.executescript(schema)
    return connection
