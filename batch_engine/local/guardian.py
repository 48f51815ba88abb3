"""Ends the jobs of a server that was killed: a process that watches it through a pipe.

Run as a script, on its own: it imports nothing but the standard library. It reads ``+<pid>`` and ``-<pid>``
lines from standard input; at its end, which the death of the server brings, it kills the process groups that
are left.
"""

import contextlib
import os
import signal
import sys


def watch() -> None:
    """Read until the server is gone, then kill what it left."""
    for signal_number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signal_number, signal.SIG_IGN)
    groups: set[int] = set()
    for line in sys.stdin:
        group = int(line[1:])
        if line.startswith("+"):
            groups.add(group)
        else:
            groups.discard(group)
    for group in groups:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    watch()
