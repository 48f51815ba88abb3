"""Folders and files that hold secrets: nobody else on this machine may read them."""

import os
from pathlib import Path


def make_private_folder(folder: Path) -> None:
    """Make a data folder that only this user may list; one that exists stays as it is.

    Where root runs the engine, jobs may run as other users, and have to get to their own folders in it.
    """
    folder.mkdir(mode=0o711 if os.geteuid() == 0 else 0o700, parents=True, exist_ok=True)


def make_private_file(path: Path) -> None:
    """Make an empty file that only this user may read and write; one that exists stays as it is.

    SQLite gives the files that it puts beside one of its own the same mode.
    """
    os.close(os.open(path, os.O_RDONLY | os.O_CREAT, 0o600))
