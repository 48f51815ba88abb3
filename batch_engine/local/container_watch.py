"""Removes the containers of a server that is gone: a process that watches it through a pipe.

Run as a program it imports the standard library only. Its standard input names, a line each, the command line
clients that start (``+pid``) and end (``-pid``); its end is the end of the server.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence

_TIMEOUT_S = 120.0


def sweep(words: Sequence[str], label: str, environment: Mapping[str, str]) -> str | None:
    """Remove every container and every volume with a label.

    Args:
        words: how the container command line is called.
        label: ``name=value``.
        environment: in which it runs.

    Returns:
        Why something may be left; None when nothing is.
    """

    def ask(*arguments: str) -> tuple[list[str], str | None]:
        try:
            done = subprocess.run(
                [*words, *arguments],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                env=environment,
                timeout=_TIMEOUT_S,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return [], str(error)
        return done.stdout.split(), (done.stderr.strip() or "it failed") if done.returncode else None

    containers, problem = ask("ps", "--all", "--quiet", "--no-trunc", "--filter", f"label={label}")
    if problem is None and containers:
        # First, because podman's rm would wait ten seconds for a container to end by itself.
        ask("kill", "--signal", "KILL", *containers)
        _, problem = ask("rm", "--force", "--volumes", *containers)
    volumes, unknown = ask("volume", "ls", "--quiet", "--filter", f"label={label}")
    if unknown is None and volumes:
        _, unknown = ask("volume", "rm", "--force", *volumes)
    return problem or unknown


def watch(words: Sequence[str], label: str) -> None:
    """Wait for the end of the server, then end its clients and remove what they made."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    clients: set[int] = set()
    for line in sys.stdin:
        pid = int(line[1:])
        (clients.add if line[0] == "+" else clients.discard)(pid)
    for pid in clients:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)
    problem = sweep(words, label, os.environ)
    if problem is not None:
        raise SystemExit(problem)


if __name__ == "__main__":
    watch(json.loads(sys.argv[1]), sys.argv[2])
