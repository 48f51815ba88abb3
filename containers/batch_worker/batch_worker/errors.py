"""What can go wrong with a task, each kind with the exit code that retry rules tell apart."""

from __future__ import annotations

import errno
import os

EX_OK = os.EX_OK

# A full or failing disk belongs to the host: another host may do better.
_HOST_ERRNOS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ESTALE})


class WorkerError(Exception):
    """A failure with a known cause; `exit_code` is what the process ends with (sysexits.h)."""

    exit_code = os.EX_SOFTWARE


class UsageError(WorkerError):
    """The command line is wrong. Exit code 64."""

    exit_code = os.EX_USAGE


class BadInputError(WorkerError):
    """The input itself is at fault, so that retrying cannot help. Exit code 65."""

    exit_code = os.EX_DATAERR


class MissingInputError(BadInputError):
    """The input does not exist. Exit code 66."""

    exit_code = os.EX_NOINPUT


class CannotCreateError(WorkerError):
    """The output's place does not exist or cannot hold the result. Exit code 73."""

    exit_code = os.EX_CANTCREAT


class TransientError(WorkerError):
    """Another attempt, perhaps on another host, may succeed. Exit code 75, the one that is retried."""

    exit_code = os.EX_TEMPFAIL


class AccessDeniedError(WorkerError):
    """The credentials or file modes do not allow it. Exit code 77."""

    exit_code = os.EX_NOPERM


def is_host_error(error: OSError) -> bool:
    """Tells whether an OSError speaks of the host's state (disk full, I/O error) and not of the task."""
    return error.errno in _HOST_ERRNOS


def from_os_error(error: OSError, place: str, *, writing: bool) -> WorkerError:
    """The worker's error for a failed file operation at `place`, while reading input or writing output."""
    message = f"{place}: {error.strerror or error}"
    if is_host_error(error):
        return TransientError(message)
    if isinstance(error, PermissionError):
        return AccessDeniedError(message)
    return CannotCreateError(message) if writing else MissingInputError(message)
