"""Group commit: all changes of one turn of an event loop are saved in one transaction."""

import asyncio
import logging
import threading
from collections.abc import Callable

logger = logging.getLogger(__name__)


class Turns:
    """The turns of an event loop. All methods but ``is_now`` run on the loop's thread.

    Args:
        loop: the running event loop.
        save: saves all changes; raises if that fails.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, save: Callable[[], None]) -> None:
        self._loop = loop
        self._save = save
        self._thread = threading.get_ident()
        self._is_due = False
        self._waiting: list[asyncio.Future[bool]] = []

    def is_now(self) -> bool:
        """Returns whether the caller runs on the loop: its changes are then saved at the end of the turn."""
        return threading.get_ident() == self._thread and not self._loop.is_closed()

    def save_later(self) -> None:
        """Saves at the end of this turn."""
        if not self._is_due:
            self._is_due = True
            self._loop.call_soon(self._end)

    async def saved(self) -> bool:
        """Waits for the end of this turn; returns False if not all could be saved."""
        if not self._is_due:
            return True
        waiter: asyncio.Future[bool] = self._loop.create_future()
        self._waiting.append(waiter)
        return await waiter

    def _end(self) -> None:
        self._is_due = False
        waiting, self._waiting = self._waiting, []
        try:
            self._save()
        except Exception:
            logger.exception("the changes of this turn could not be saved")
            is_saved = False
        else:
            is_saved = True
        for waiter in waiting:
            if not waiter.done():  # its client may have disconnected
                waiter.set_result(is_saved)
