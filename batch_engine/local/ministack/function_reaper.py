"""A process that ends the Lambda functions of a killed server; it watches the server through a pipe.

Without the server a function's process ends only when its handler returns, and nothing enforces its timeout.
"""

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil

_END_TIMEOUT_S = 10.0


class FunctionReaper:
    """The server's side of the watching process, which kills the functions when this is closed.

    Args:
        scratch: the server's folder, into which MiniStack unpacks functions and from which they run.
    """

    def __init__(self, scratch: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "batch_engine.local.ministack.function_reaper", str(scratch)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            # A Ctrl-C reaches the server's process group, and must not reach this process.
            start_new_session=True,
        )

    def close(self) -> None:
        """Kills the functions that are left, and waits until they are gone."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.communicate(timeout=_END_TIMEOUT_S)


def watch(scratch: Path) -> None:
    """Waits for the end of standard input, which is the end of the server, then kills its functions.

    Args:
        scratch: an absolute folder; processes that run a program from it are killed with their children.
    """
    for signal_number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signal_number, signal.SIG_IGN)
    while sys.stdin.buffer.read(1):
        pass
    for process in psutil.process_iter(["cmdline"]):
        program = (process.info["cmdline"] or [])[1:2]
        if program and program[0].startswith(f"{scratch}{os.sep}"):
            _kill(process)


def _kill(process: psutil.Process) -> None:
    with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
        for doomed in [*process.children(recursive=True), process]:
            with contextlib.suppress(psutil.NoSuchProcess):
                doomed.kill()


if __name__ == "__main__":
    watch(Path(sys.argv[1]))
