"""The identity of the pulled input, and the pull of a local file."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from batch_worker.errors import from_os_error
from batch_worker.location import LocalPlace

_CHUNK_BYTES = 1024 * 1024


@dataclass(frozen=True)
class Pulled:
    """The identity of the processed content. A local file has neither ETag nor version."""

    size_bytes: int
    sha256: str
    etag: str | None = None
    version_id: str | None = None


def copy_local(place: LocalPlace, to: Path) -> Pulled:
    """Copies a local file into scratch, so that a worker may change its input.

    Raises `MissingInputError` (also for a folder), `AccessDeniedError` or `TransientError`.
    """
    digest = hashlib.sha256()
    size_bytes = 0
    try:
        with place.path.open("rb") as source, to.open("wb") as target:
            while chunk := source.read(_CHUNK_BYTES):
                target.write(chunk)
                digest.update(chunk)
                size_bytes += len(chunk)
    except OSError as error:
        raise from_os_error(error, place.uri, writing=False) from error
    return Pulled(size_bytes=size_bytes, sha256=digest.hexdigest())


def file_sha256(path: Path) -> str:
    """Returns the SHA-256 of a file's content in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
