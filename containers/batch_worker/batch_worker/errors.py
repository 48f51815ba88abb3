"""The errors of a task. Each has an exit code that retry rules can use."""

from __future__ import annotations

import errno
import os

EX_OK = os.EX_OK

# A full or failing disk is a fault of the host: an attempt on another host may succeed.
_HOST_ERRNOS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ESTALE})


class WorkerError(Exception):
    """A failure with a known cause. `exit_code` becomes the exit code of the process (sysexits.h)."""

    exit_code = os.EX_SOFTWARE


class UsageError(WorkerError):
    """The command line is wrong. Exit code 64."""

    exit_code = os.EX_USAGE


class BadInputError(WorkerError):
    """The input is wrong, so that a retry cannot help. Exit code 65."""

    exit_code = os.EX_DATAERR


class MissingInputError(BadInputError):
    """The input does not exist. Exit code 66."""

    exit_code = os.EX_NOINPUT


class CannotCreateError(WorkerError):
    """The output does not exist or cannot hold the result. Exit code 73."""

    exit_code = os.EX_CANTCREAT


class TransientError(WorkerError):
    """Another attempt, perhaps on another host, may succeed. Exit code 75, which retry rules retry."""

    exit_code = os.EX_TEMPFAIL


class AccessDeniedError(WorkerError):
    """The credentials or file modes do not allow the access. Exit code 77."""

    exit_code = os.EX_NOPERM


def is_host_error(error: OSError) -> bool:
    """Returns True if an OSError is a fault of the host (disk full, I/O error) and not of the task."""
    return error.errno in _HOST_ERRNOS


def from_os_error(error: OSError, place: str, *, writing: bool) -> WorkerError:
    """Returns the worker's error for a failed file operation at `place`."""
    message = f"{place}: {error.strerror or error}"
    if is_host_error(error):
        return TransientError(message)
    if isinstance(error, PermissionError):
        return AccessDeniedError(message)
    return CannotCreateError(message) if writing else MissingInputError(message)
