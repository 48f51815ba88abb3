"""When the state of the cloud around AWS Batch is saved; `docs/adr/031` says why so often."""

import asyncio
import logging
import time
from collections.abc import Callable

_EVERY_S = 2.0
# Snapshots hold up requests: at most this share of the time goes into them.
_SHARE_MAX = 0.05

_log = logging.getLogger(__name__)


class Snapshots:
    """Saves soon after every change, and once more after what a request set going.

    Args:
        save: writes the whole state; called on the event loop.
    """

    def __init__(self, save: Callable[[], None]) -> None:
        self._save = save
        self._due = 0

    def changed(self) -> None:
        """Say that something may have changed; from any thread."""
        # Twice: what a request set going (a deployment, a function) may end after the first snapshot.
        self._due = 2

    async def keep(self) -> None:
        """Save whenever it is due, until cancelled."""
        pause_s = _EVERY_S
        while True:
            await asyncio.sleep(pause_s)
            if self._due == 0:
                continue
            self._due -= 1
            began = time.perf_counter()
            try:
                # On the loop, so that nothing changes while the states are copied: they belong together.
                self._save()
            except Exception:
                _log.exception("the state of the cloud was not saved; trying again")
                self._due = 2
            pause_s = max(_EVERY_S, (time.perf_counter() - began) / _SHARE_MAX)
