"""Writes results to a local disk. A file has its final name only when it is complete."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from pathlib import Path

from batch_worker.errors import from_os_error
from batch_worker.location import LocalPlace


def push(place: LocalPlace, file: Path) -> None:
    """Copies the file, syncs it to the disk, and then gives it its final name. Replaces an existing file.

    Raises `CannotCreateError`, `AccessDeniedError` or `TransientError`. A killed process leaves at most a
    hidden file `.<name>.<random>.part`.
    """
    target = place.path
    # Random, so that two runs of one task (a duplicate event) never write to the same partial file.
    # Short, so that it fits even if the final name has the full 255 bytes.
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
