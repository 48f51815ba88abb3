"""What is wrong with a media file, by whether another attempt may help."""

from __future__ import annotations

from batch_worker import BadInputError, TransientError


class UnsupportedMediaError(BadInputError):
    """Not a media file, or one that this worker does not read. Exit code 65: never retried."""


class DamagedMediaError(TransientError):
    """A media file that breaks off or holds damaged data. Exit code 75: a torn transfer looks the same."""
