"""Delivers state-change events, in order and at least once."""

import logging
import threading
from collections import deque

from batch_engine.core.model.actions import Action, PublishJobState, PublishQueueBlocked
from batch_engine.local.base.ports import EventSink
from batch_engine.local.store.store import Announcement, PendingEvent, Store

logger = logging.getLogger(__name__)

RETRY_DELAY_S = 1.0
GATHER_S = 0.05
JOB_STATE_CHANGE = "Batch Job State Change"
QUEUE_BLOCKED = "Batch Job Queue Blocked"


def announcement(action: Action) -> Announcement | None:
    """The event that an action asks for; None for any other action."""
    match action:
        case PublishJobState(_, detail):
            return Announcement(JOB_STATE_CHANGE, detail["jobArn"], detail)
        case PublishQueueBlocked(_, queue_arn, detail):
            return Announcement(QUEUE_BLOCKED, queue_arn, detail)
    return None


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
            was_idle = not self._queue
            self._queue.extend(events)
            if was_idle:
                self._changed.notify()

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._queue and not self._stopping:
                    self._changed.wait()
                if not self._queue:
                    return
                batch = list(self._queue)
            delivered = self._deliver(batch)
            with self._changed:
                for _ in range(delivered):
                    self._queue.popleft()
                if self._stopping and not delivered:
                    return
                if not self._stopping:
                    # A busy engine makes events by the hundred: together they cost a fraction.
                    self._changed.wait_for(lambda: self._stopping, GATHER_S)

    def _deliver(self, batch: list[PendingEvent]) -> int:
        """Deliver events until one fails; answer how many were, and have the store forget them."""
        count = 0
        for event in batch:
            try:
                self._sink.publish(
                    detail_type=event.what.detail_type,
                    resources=_resources(event.what),
                    detail=event.what.detail,
                    time_ms=event.time_ms,
                )
            except Exception:
                logger.exception("event %s was not delivered; trying again in %s s", event.id, RETRY_DELAY_S)
                break
            count += 1
        if count:
            self._store.delivered(batch[count - 1].id)
        if count < len(batch):
            with self._changed:
                if not self._stopping:
                    self._changed.wait(RETRY_DELAY_S)
        return count


def _resources(what: Announcement) -> list[str]:
    """A blocked queue is told of with its head's ARN and its own."""
    if what.detail_type == QUEUE_BLOCKED:
        return [what.detail["jobArn"], what.resource]
    return [what.resource]
