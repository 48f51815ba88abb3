"""Results on a local disk: complete under their final name, or not there."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from pathlib import Path

from batch_worker.errors import from_os_error
from batch_worker.location import LocalPlace


def push(place: LocalPlace, file: Path) -> None:
    """Copies the file to its final name in one step, over a former one, and through to the disk.

    Raises `CannotCreateError`, `AccessDeniedError` or `TransientError`. A process killed outright leaves
    at most a hidden `.<name>.<random>.part` beside it.
    """
    target = place.path
    # Random, so that two runs of one task (a duplicate event) never write into the same half-made file;
    # short, so that it fits where a name of the full 255 bytes does.
    part = target.with_name(f".{target.name[:32]}.{secrets.token_hex(8)}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            with file.open("rb") as source, part.open("xb") as copy:
                shutil.copyfileobj(source, copy, 1024 * 1024)
                copy.flush()
                os.fsync(copy.fileno())
            part.replace(target)
        except BaseException:
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)
            raise
        _sync_folder(target.parent)
    except OSError as error:
        raise from_os_error(error, place.uri, writing=True) from error


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
