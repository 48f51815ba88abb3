"""Logs progress at intervals that keep the log of a long job readable."""

from __future__ import annotations

import time
from collections.abc import Callable

from batch_worker import Log

INTERVAL_S = 5.0


class Progress:
    """Logs the progress of decoding, at most every few seconds."""

    def __init__(
        self, log: Log, duration_s: float | None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._log = log
        self._duration_s = duration_s
        self._clock = clock
        self._logged_at_s = clock()

    def update(self, decoded_s: float) -> None:
        """Updates the decoded seconds of video, and logs them if it is time."""
        now_s = self._clock()
        if now_s - self._logged_at_s < INTERVAL_S:
            return
        self._logged_at_s = now_s
        percent = round(min(100.0, 100 * decoded_s / self._duration_s)) if self._duration_s else None
        self._log.info("progress", decoded_s=round(decoded_s, 1), percent=percent)
