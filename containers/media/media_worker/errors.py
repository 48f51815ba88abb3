"""The errors of media files. A retry may help after damage, but not for an unsupported format."""

from __future__ import annotations

from batch_worker import BadInputError, TransientError


class UnsupportedMediaError(BadInputError):
    """Not a media file, or one that this worker does not read. Exit code 65: never retried."""


class DamagedMediaError(TransientError):
    """A media file that is cut off or damaged. Exit code 75: an incomplete transfer looks the same."""
