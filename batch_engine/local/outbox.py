"""Delivers state-change events, in order and at least once."""

import logging
import threading
from collections import deque

from batch_engine.local.ports import EventSink
from batch_engine.local.store import PendingEvent, Store

logger = logging.getLogger(__name__)

RETRY_DELAY_S = 1.0
DETAIL_TYPE = "Batch Job State Change"


class Outbox:
    """Takes events from the store to EventBridge, on a thread of its own: no job waits for a delivery.

    Args:
        store: holds each event until it is delivered.
        sink: EventBridge.
    """

    def __init__(self, store: Store, sink: EventSink) -> None:
        self._store = store
        self._sink = sink
        self._queue: deque[PendingEvent] = deque(store.pending_events())
        self._changed = threading.Condition()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="batch-outbox", daemon=True)

    def start(self) -> None:
        """Start delivering, first what an earlier run left behind."""
        self._thread.start()

    def stop(self, timeout_s: float = 5.0) -> None:
        """Deliver what is there, then end; what cannot be delivered in time stays in the store."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def put(self, events: list[PendingEvent]) -> None:
        """Deliver these next."""
        with self._changed:
            self._queue.extend(events)
            self._changed.notify()

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._queue and not self._stopping:
                    self._changed.wait()
                if not self._queue:
                    return
                batch = list(self._queue)
            for event in batch:
                if not self._deliver(event):
                    break
            with self._changed:
                if self._stopping and self._queue and self._queue[0] is batch[0]:
                    return

    def _deliver(self, event: PendingEvent) -> bool:
        try:
            self._sink.publish(
                detail_type=DETAIL_TYPE,
                resources=[event.detail["jobArn"]],
                detail=event.detail,
                time_ms=event.time_ms,
            )
        except Exception:
            logger.exception("event %s was not delivered; trying again in %s s", event.id, RETRY_DELAY_S)
            with self._changed:
                self._changed.wait(RETRY_DELAY_S)
            return False
        with self._changed:
            self._queue.popleft()
        self._store.delivered(event.id)
        return True
