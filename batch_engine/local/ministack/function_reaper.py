"""Ends the Lambda functions of a server that was killed: a process that watches it through a pipe.

A function's process ends by itself when the server is gone, but only once its handler returns; and it was the
server that would have enforced its timeout.
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
    """The server's side: as long as this is open, functions are left alone.

    Args:
        scratch: the server's own folder, into which functions are unpacked and from which they run.
    """

    def __init__(self, scratch: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "batch_engine.local.ministack.function_reaper", str(scratch)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            # A Ctrl-C for the server's process group is not for this one.
            start_new_session=True,
        )

    def close(self) -> None:
        """End what is left of the functions, and wait until that is done."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.communicate(timeout=_END_TIMEOUT_S)


def watch(scratch: Path) -> None:
    """Wait for the end of standard input, which the death of the server brings; then kill.

    Args:
        scratch: an absolute folder; what runs a program from below it is killed, with its children.
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
