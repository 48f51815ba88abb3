"""A program that removes the containers of a server after the server's end. Standard library only.

The server writes a line to its standard input for each command line client that starts (``+pid``) or ends
(``-pid``). The end of standard input is the end of the server.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence

_TIMEOUT_S = 120.0
_ROUNDS = 10
_PAUSE_S = 0.5


def sweep(words: Sequence[str], label: str, environment: Mapping[str, str]) -> str | None:
    """Removes every container and every volume with a label.

    Two sweeps may run at once, after a server was killed and started again. One sweep cannot remove an
    object that the other one is removing, and tries again a moment later.

    Args:
        words: the program of the container command line and its options.
        label: ``name=value``.
        environment: the environment of the command line.

    Returns:
        The reason why containers or volumes may be left, or None.
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

    problem: str | None = None
    for round_number in range(_ROUNDS):
        time.sleep(_PAUSE_S if round_number else 0)
        containers, unlisted = ask("ps", "--all", "--quiet", "--no-trunc", "--filter", f"label={label}")
        volumes, unknown = ask("volume", "ls", "--quiet", "--filter", f"label={label}")
        if unlisted or unknown:
            return unlisted or unknown
        problem = None
        if containers:
            # Kill first: podman's rm would wait ten seconds for each container to end by itself.
            ask("kill", "--signal", "KILL", *containers)
            _, problem = ask("rm", "--force", "--volumes", *containers)
        if volumes and problem is None:
            _, problem = ask("volume", "rm", "--force", *volumes)
        if problem is None:
            return None
    return problem


def watch(words: Sequence[str], label: str) -> None:
    """Waits for the end of the server, then kills its clients and removes their containers and volumes."""
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
