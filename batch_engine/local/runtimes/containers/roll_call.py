"""Notices containers whose end their attached clients have overlooked."""

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
    """Lists a server's containers every few seconds, all of them at once, while clients wait for any.

    An attached client should end with its container, but some versions of some engines leave it waiting for
    good (https://github.com/containers/podman/issues/8154). A client whose container is missing in
    two lists one after the other, or has ended in both, is killed; whoever waits for it then asks how the
    container stands.

    Args:
        clients: run the container command line.
        label: ``name=value``, on every container of this server.
        interval_s: between two lists.
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
        """See to it that waiting for a client comes to an end.

        Args:
            name: of its container.
            client: the one that is attached to it.
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
        """End; the clients must be closed, so that none keeps it.

        Args:
            timeout_s: how long to wait for a list that is being made.
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
        """The containers that have not ended; None where the container engine does not say."""
        options = ("--all", "--no-trunc", "--filter", f"label={self._label}")
        done = self._clients.run("ps", *options, "--format", "{{.Names}}\t{{.Status}}")
        if done.code != 0:
            return None
        rows = [line.partition("\t") for line in done.out.splitlines()]
        return {name for name, _, status in rows if not status.startswith(_ENDED)}
