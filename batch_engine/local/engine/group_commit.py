"""Saves once for all that one turn of an event loop brings: requests and reports that come together."""

import asyncio
import logging
import threading
from collections.abc import Callable

logger = logging.getLogger(__name__)


class Turns:
    """Made on the loop's own thread, and used there only, but for ``is_now``.

    Args:
        loop: whose turns.
        save: saves what has happened; raises where that fails.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, save: Callable[[], None]) -> None:
        self._loop = loop
        self._save = save
        self._thread = threading.get_ident()
        self._is_due = False
        self._waiting: list[asyncio.Future[bool]] = []

    def is_now(self) -> bool:
        """Whether the caller is part of a turn, and so may leave the saving to its end."""
        return threading.get_ident() == self._thread and not self._loop.is_closed()

    def save_later(self) -> None:
        """Save at the end of this turn."""
        if not self._is_due:
            self._is_due = True
            self._loop.call_soon(self._end)

    async def saved(self) -> bool:
        """Wait for the end of this turn; return False if not all could be saved."""
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
            logger.exception("what has happened could not be saved")
            is_saved = False
        else:
            is_saved = True
        for waiter in waiting:
            if not waiter.done():  # its client may have gone away
                waiter.set_result(is_saved)
