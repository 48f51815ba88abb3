"""Starts the first process of an attempt."""

import os
import signal
from collections.abc import Mapping, Sequence
from typing import Any

from batch_engine.local.runtimes.runner import isolation

_DEFAULT_SIGNALS = [
    signal.SIGINT,
    signal.SIGTERM,
    signal.SIGHUP,
    signal.SIGPIPE,
    signal.SIGXFSZ,
    signal.SIGCHLD,
]


class SpawnError(Exception):
    """The command could not be started; the text says why, in the form of an ECS ``reason``."""


def spawn(
    argv: Sequence[str],
    environment: Mapping[str, str],
    folder: str,
    log_path: str,
    setup: Mapping[str, Any] | None,
) -> int:
    """Start a command as the leader of its own session, its output in a file.

    Args:
        argv: the command.
        environment: all of its environment; its PATH is where the command is looked for.
        folder: its working directory.
        log_path: takes what it prints.
        setup: what ``isolation.enter`` has to do first; None for nothing.

    Raises:
        SpawnError: it could not be started.
    """
    if setup is not None:
        return _spawn_set_up(argv, environment, folder, log_path, setup)
    os.chdir(folder)
    program = find_program(argv[0], environment, folder)
    opened = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    try:
        return os.posix_spawn(
            program,
            list(argv),
            environment,
            file_actions=opened,
            setsid=True,
            setsigdef=_DEFAULT_SIGNALS,
            setsigmask=[],
        )
    except OSError as error:
        raise SpawnError(_reason(argv[0], error)) from error
    finally:
        os.chdir("/")


def find_program(name: str, environment: Mapping[str, str], folder: str) -> str:
    """Where a command stands: as it is named, or in the job's own PATH.

    Raises:
        SpawnError: nowhere.
    """
    if "/" in name:
        return name
    for place in environment.get("PATH", os.defpath).split(os.pathsep):
        path = os.path.join(folder, place, name)
        if os.access(path, os.X_OK) and not os.path.isdir(path):
            return path
    raise SpawnError(f'CannotStartContainerError: exec: "{name}": executable file not found in $PATH'[:255])


def _reason(name: str, error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        detail = f'exec: "{name}": executable file not found in $PATH'
    else:
        detail = f'exec: "{name}": {(error.strerror or str(error)).lower()}'
    return f"CannotStartContainerError: {detail}"[:255]


def _spawn_set_up(
    argv: Sequence[str],
    environment: Mapping[str, str],
    folder: str,
    log_path: str,
    setup: Mapping[str, Any],
) -> int:
    """The long way round: a copy of this process changes itself, then becomes the command."""
    isolation.load()
    read_end, write_end = os.pipe()
    pid = os.fork()
    if pid == 0:
        _become(argv, environment, folder, log_path, setup, write_end)
    os.close(write_end)
    with os.fdopen(read_end, "rb") as pipe:
        problem = pipe.read().decode(errors="replace")  # its end comes with the exec
    if problem:
        os.waitpid(pid, 0)
        raise SpawnError(problem[:255])
    return pid


def _become(  # noqa: PLR0917 - one call
    argv: Sequence[str],
    environment: Mapping[str, str],
    folder: str,
    log_path: str,
    setup: Mapping[str, Any],
    problems: int,
) -> None:
    try:
        os.setsid()
        for number in _DEFAULT_SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        log = os.open(log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        null = os.open(os.devnull, os.O_RDONLY)
        for source, target in ((null, 0), (log, 1), (log, 2)):
            os.dup2(source, target)
        isolation.enter(setup, folder)
        program = find_program(argv[0], environment, folder)
        try:
            os.execve(program, list(argv), dict(environment))  # noqa: S606 - the job's own command
        except OSError as error:
            raise SpawnError(_reason(argv[0], error)) from error
    except (SpawnError, isolation.IsolationError) as error:
        os.write(problems, str(error).encode())
    except BaseException as error:
        os.write(problems, f"CannotStartContainerError: {error}".encode())
    finally:
        os._exit(127)
