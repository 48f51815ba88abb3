"""Finds containers that have ended although their attached client has not."""

import contextlib
import logging
import subprocess
import threading
from collections.abc import Iterator

from batch_engine.local.runtimes.containers.clients import Clients, ClosedError

logger = logging.getLogger(__name__)

INTERVAL_S = 5.0
_MISSES = 2
_ENDED = ("Exited", "Stopped", "Dead")


class RollCall:
    """Lists a server's containers every few seconds while clients wait for any of them.

    An attached client should end with its container, but some versions of some engines leave it waiting
    for ever (https://github.com/containers/podman/issues/8154). If two lists in a row show that a container
    is gone or has ended, its client is killed. The thread that waits for the client then asks for the state
    of the container.

    Args:
        clients: run the container command line.
        label: ``name=value``, the label of every container of this server.
        interval_s: the time between two lists.
    """

    def __init__(self, clients: Clients, label: str, interval_s: float = INTERVAL_S) -> None:
        self._clients = clients
        self._label = label
        self._interval_s = interval_s
        self._waiting: dict[str, subprocess.Popen[bytes]] = {}
        self._changed = threading.Condition()
        self._is_closed = False
        self._thread: threading.Thread | None = None

    @contextlib.contextmanager
    def watched(self, name: str, client: subprocess.Popen[bytes]) -> Iterator[None]:
        """Watches a container inside the block, so that its client ends.

        Args:
            name: the container's name.
            client: the client that is attached to it.
        """
        with self._changed:
            self._waiting[name] = client
            if self._thread is None and not self._is_closed:
                self._thread = threading.Thread(target=self._watch, name="batch-roll-call", daemon=True)
                self._thread.start()
            self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                del self._waiting[name]

    def close(self, timeout_s: float) -> None:
        """Stops the lists. Close the clients before: a list waits for its client.

        Args:
            timeout_s: how long to wait for a list that is under way.
        """
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(timeout_s)

    def _watch(self) -> None:
        misses: dict[str, int] = {}
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._is_closed)
                self._changed.wait_for(lambda: self._is_closed, self._interval_s)
                if self._is_closed:
                    return
                asked = dict(self._waiting)
            try:
                present = self._present()
            except (ClosedError, OSError):
                continue
            if present is None:
                continue
            misses = {name: misses.get(name, 0) + 1 for name in asked if name not in present}
            for name in [name for name, count in misses.items() if count >= _MISSES]:
                logger.warning("container %s has ended, its client has not: the client is killed", name)
                self._clients.kill(asked[name])
                del misses[name]

    def _present(self) -> set[str] | None:
        """Returns the names of the containers that have not ended; None if the list failed."""
        options = ("--all", "--no-trunc", "--filter", f"label={self._label}")
        done = self._clients.run("ps", *options, "--format", "{{.Names}}\t{{.Status}}")
        if done.code != 0:
            return None
        rows = [line.partition("\t") for line in done.out.splitlines()]
        return {name for name, _, status in rows if not status.startswith(_ENDED)}
