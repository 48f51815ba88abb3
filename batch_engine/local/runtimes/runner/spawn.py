"""Starts the first process of an attempt."""

import os
import signal
from collections.abc import Mapping

from batch_engine.local.base.launch_message import Launch, Setup
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


def spawn(launch: Launch) -> int:
    """Starts a command as the leader of its own session, its output in a file.

    Args:
        launch: the command, its environment and its folders. The PATH in ``env`` is searched for the command.

    Raises:
        SpawnError: the command could not be started.
    """
    if launch["setup"] is not None:
        return _spawn_set_up(launch, launch["setup"])
    argv = launch["argv"]
    opened = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, launch["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    os.chdir(launch["scratch"])
    try:
        _enter_workdir(launch)
        return os.posix_spawn(
            find_program(argv[0], launch["env"]),
            list(argv),
            launch["env"],
            file_actions=opened,
            setsid=True,
            setsigdef=_DEFAULT_SIGNALS,
            setsigmask=[],
        )
    except OSError as error:
        raise SpawnError(_reason(argv[0], error)) from error
    finally:
        os.chdir("/")


def _enter_workdir(launch: Launch) -> None:
    """Goes from the attempt's own folder to the image's WORKDIR, if this machine or a mount has it."""
    if launch["cwd"] == launch["scratch"]:
        return
    try:
        os.chdir(launch["cwd"])
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        reason = f'CannotStartContainerError: chdir to "{launch["cwd"]}": {error.strerror}'
        raise SpawnError(reason[:255]) from error


def find_program(name: str, environment: Mapping[str, str]) -> str:
    """Returns the path of a command: the name itself if it is a path, else the first one on the job's PATH.

    Raises:
        SpawnError: no folder of the PATH has it.
    """
    if "/" in name:
        return name
    for folder in environment.get("PATH", os.defpath).split(os.pathsep):
        path = os.path.join(folder, name)
        if os.access(path, os.X_OK) and not os.path.isdir(path):
            return path
    raise SpawnError(f'CannotStartContainerError: exec: "{name}": executable file not found in $PATH'[:255])


def _reason(name: str, error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        detail = f'exec: "{name}": executable file not found in $PATH'
    else:
        detail = f'exec: "{name}": {(error.strerror or str(error)).lower()}'
    return f"CannotStartContainerError: {detail}"[:255]


def _spawn_set_up(launch: Launch, setup: Setup) -> int:
    """Starts a command that needs a setup: a copy of this process applies it, then becomes the command."""
    isolation.load()
    read_end, write_end = os.pipe()
    pid = os.fork()
    if pid == 0:
        _become(launch, setup, write_end)
    os.close(write_end)
    with os.fdopen(read_end, "rb") as pipe:
        problem = pipe.read().decode(errors="replace")  # its end comes with the exec
    if problem:
        os.waitpid(pid, 0)
        raise SpawnError(problem[:255])
    return pid


def _become(launch: Launch, setup: Setup, problems: int) -> None:
    argv = launch["argv"]
    try:
        os.setsid()
        for number in _DEFAULT_SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        log = os.open(launch["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        null = os.open(os.devnull, os.O_RDONLY)
        for source, target in ((null, 0), (log, 1), (log, 2)):
            os.dup2(source, target)
        isolation.enter(setup, launch["scratch"])
        _enter_workdir(launch)
        program = find_program(argv[0], launch["env"])
        try:
            os.execve(program, list(argv), dict(launch["env"]))  # noqa: S606 - the job's own command
        except OSError as error:
            raise SpawnError(_reason(argv[0], error)) from error
    except (SpawnError, isolation.IsolationError) as error:
        os.write(problems, str(error).encode())
    except BaseException as error:
        os.write(problems, f"CannotStartContainerError: {error}".encode())
    finally:
        os._exit(127)
