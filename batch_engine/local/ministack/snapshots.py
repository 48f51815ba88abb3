"""Saves the state of the services around AWS Batch soon after each change (`docs/adr/031`)."""

import asyncio
import logging
import time
from collections.abc import Callable

_EVERY_S = 2.0
# Requests wait while a snapshot is written, so it may take at most this share of the time.
_SHARE_MAX = 0.05

_log = logging.getLogger(__name__)


class Snapshots:
    """Saves soon after every change, and once more for changes that a request causes later.

    Args:
        save: writes the whole state; called on the event loop.
    """

    def __init__(self, save: Callable[[], None]) -> None:
        self._save = save
        self._due = 0

    def changed(self) -> None:
        """Records that something may have changed; from any thread."""
        # Twice: a request may start work, such as a deployment, that ends after the first snapshot.
        self._due = 2

    async def keep(self) -> None:
        """Saves whenever a save is due, until cancelled."""
        pause_s = _EVERY_S
        while True:
            await asyncio.sleep(pause_s)
            if self._due == 0:
                continue
            self._due -= 1
            began = time.perf_counter()
            try:
                # On the loop, so that the states of all services are from the same moment.
                self._save()
            except Exception:
                _log.exception("the state of the cloud was not saved; trying again")
                self._due = 2
            pause_s = max(_EVERY_S, (time.perf_counter() - began) / _SHARE_MAX)
