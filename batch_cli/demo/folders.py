"""Empties folders that an earlier demo made, and no others."""

import shutil
from pathlib import Path

from batch_cli.demo.errors import DemoError
from batch_engine.local.base.private_files import make_private_folder

MARK = ".made-by-batch-stack-demo"


def fresh_folder(folder: Path, *, secret: bool = False) -> None:
    """Makes a folder, or empties it if an earlier demo made it.

    Args:
        folder: the folder.
        secret: makes the folder, and its parent if that is new, readable by its owner only.

    Raises:
        DemoError: the folder holds other files. They are left as they are.
    """
    try:
        if folder.exists() and any(folder.iterdir()):
            if not (folder / MARK).is_file():
                raise DemoError(f"{folder} is not empty and no earlier demo made it: choose another folder")
            shutil.rmtree(folder)
        if secret:
            make_private_folder(folder.parent)
            make_private_folder(folder)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / MARK).touch()
    except OSError as error:
        raise DemoError(f"{folder} cannot be used: {error.strerror or error}") from error
