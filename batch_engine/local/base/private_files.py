"""Creates folders and files that hold secrets, so that other users of this machine cannot read them."""

import os
from pathlib import Path


def make_private_folder(folder: Path) -> None:
    """Creates a data folder that only this user can list; an existing folder stays unchanged.

    If root runs the engine, jobs may run as other users, who must be able to reach their folders in it.
    """
    folder.mkdir(mode=0o711 if os.geteuid() == 0 else 0o700, parents=True, exist_ok=True)


def make_private_file(path: Path) -> None:
    """Creates an empty file that only this user can read and write; an existing file stays unchanged.

    SQLite gives its journal files the mode of their database.
    """
    os.close(os.open(path, os.O_RDONLY | os.O_CREAT, 0o600))
