"""Delivers state-change events at least once, and those of one job or queue in order."""

import logging
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from batch_engine.core.api.wire import job_detail
from batch_engine.core.model.actions import Action, PublishJobState, PublishQueueBlocked
from batch_engine.core.model.jobs import Job
from batch_engine.core.model.wire import Wire
from batch_engine.core.state.registry import Registry
from batch_engine.local.base.delay_queue import Worker, epoch_ms
from batch_engine.local.base.ports import EventSink, Publication
from batch_engine.local.store.outbox_table import Announcement, ParkedEvent, PendingEvent
from batch_engine.local.store.store import Store

logger = logging.getLogger(__name__)

PATH = "/_batch-stack/parked-events"
# A busy engine makes hundreds of events: one call for all of them costs a fraction.
GATHER_MS = 50
# A call has a time limit, and after an error in the middle all of it may be published again.
BATCH_MAX = 200
TRIES_MAX = 8
RETRY_MS = 500
RETRY_MAX_MS = 60_000
JOB_STATE_CHANGE = "Batch Job State Change"
QUEUE_BLOCKED = "Batch Job Queue Blocked"


def announcement(action: Action) -> Announcement | None:
    """Returns the event that an action asks for; None for any other action."""
    match action:
        case PublishJobState(_, detail):
            return Announcement(JOB_STATE_CHANGE, detail["jobArn"], detail)
        case PublishQueueBlocked(_, queue_arn, detail):
            return Announcement(QUEUE_BLOCKED, queue_arn, detail)
    return None


class Outbox:
    """Takes events from the store to EventBridge, on a thread of its own: no job waits for a delivery.

    An event that cannot be delivered is tried again, with growing pauses; later events of the same job or
    queue wait for it, and all others go on. After `TRIES_MAX` tries it is parked in the store with its error,
    and the events that waited behind it are delivered. While EventBridge itself does not answer, all events
    wait, and no try is counted.

    Args:
        store: holds each event until it is delivered.
        sink: EventBridge.
        clock: returns the time in epoch milliseconds.
    """

    def __init__(self, store: Store, sink: EventSink, clock: Callable[[], int] = epoch_ms) -> None:
        self._store = store
        self._sink = sink
        self._clock = clock
        self._held: dict[str, list[PendingEvent]] = {}
        """By resource: the event that is tried again, and those behind it."""
        self._outage_ms = RETRY_MS
        """The next pause while EventBridge itself does not answer."""
        self._worker: Worker[PendingEvent] = Worker("batch-outbox", self._work, limit=BATCH_MAX, clock=clock)

    def start(self) -> None:
        """Starts delivering; events that an earlier run left behind come first."""
        self.put(self._store.outbox.pending())
        self._worker.start()

    def stop(self, timeout_s: float = 5.0) -> None:
        """Delivers the events that wait for their first try, then ends; all others stay in the store."""
        self._worker.stop(GATHER_MS, timeout_s)

    def detail(self, job: Job, registry: Registry) -> Wire | None:
        """Returns the detail of an event about a job; None while no rule can take events."""
        return job_detail(job, registry) if self._sink.is_heard() else None

    def put(self, events: list[PendingEvent]) -> None:
        """Adds events, which are delivered soon."""
        due_ms = self._clock() + GATHER_MS
        for event in events:
            self._worker.queue.put(event, due_ms)

    def parked(self) -> list[ParkedEvent]:
        """Returns the events that could not be delivered, oldest first."""
        return self._store.outbox.parked()

    def _work(self, due: list[PendingEvent]) -> None:
        ready: list[PendingEvent] = []
        for event in due:
            held = self._held.get(event.what.resource)
            if held is None:
                ready.append(event)
            elif held[0] is event:
                ready += held
                del self._held[event.what.resource]
            else:
                held.append(event)
        while ready:
            ready = self._deliver(ready)

    def _deliver(self, events: list[PendingEvent]) -> list[PendingEvent]:
        """Publishes events until one fails; returns those that can go on without it."""
        try:
            # Held events can be more than the worker takes at once.
            count, error = self._sink.publish([publication(event) for event in events[:BATCH_MAX]])
        except Exception:
            logger.exception("EventBridge does not answer, next try in %s ms", self._outage_ms)
            self._hold_all(events)
            return []
        self._outage_ms = RETRY_MS
        if count:
            self._note(lambda: self._store.outbox.delivered([event.id for event in events[:count]]))
        return events[count:] if error is None else self._failed(events[count], error, events[count + 1 :])

    def _hold_all(self, events: list[PendingEvent]) -> None:
        """Schedules another try of all events, those of each resource behind its first."""
        due_ms = self._clock() + self._outage_ms
        self._outage_ms = min(self._outage_ms * 2, RETRY_MAX_MS)
        for event in events:
            behind = self._held.get(event.what.resource)
            if behind is None:
                self._held[event.what.resource] = [event]
                self._worker.queue.put(event, due_ms)
            else:
                behind.append(event)

    @staticmethod
    def _note(write: Callable[[], None]) -> None:
        """Writes to the store; if that fails, delivery goes on, and the next run delivers the event again."""
        try:
            write()
        except sqlite3.Error:
            logger.exception("the state of events could not be saved")

    def _failed(
        self, event: PendingEvent, error: Exception, others: list[PendingEvent]
    ) -> list[PendingEvent]:
        """Schedules another try of an event, or parks it; returns the others that need not wait for it."""
        text = f"{type(error).__name__}: {error}"
        event = replace(event, tries=event.tries + 1)
        if event.tries >= TRIES_MAX:
            self._note(lambda: self._store.outbox.failed(event, text, self._clock()))
            logger.error("event %s was not delivered and is parked: %s", event.id, text)
            return others
        self._note(lambda: self._store.outbox.failed(event, text, None))
        pause_ms = min(RETRY_MS << (event.tries - 1), RETRY_MAX_MS)
        logger.warning("event %s was not delivered, next try in %s ms: %s", event.id, pause_ms, text)
        resource = event.what.resource
        self._held[resource] = [event, *(other for other in others if other.what.resource == resource)]
        self._worker.queue.put(event, self._clock() + pause_ms)
        return [other for other in others if other.what.resource != resource]


def publication(event: PendingEvent) -> Publication:
    """Returns an event as EventBridge takes it."""
    what = event.what
    # A blocked queue is announced with the ARN of its first job and its own.
    is_blocked_queue = what.detail_type == QUEUE_BLOCKED
    resources = [what.detail["jobArn"], what.resource] if is_blocked_queue else [what.resource]
    return Publication(what.detail_type, resources, what.detail, event.time_ms)


def answer(outbox: Outbox | None) -> tuple[int, dict[str, Any]]:
    """Answers a request for the parked events: the HTTP status and the JSON body."""
    parked = [] if outbox is None else outbox.parked()
    return 200, {
        "events": [
            {
                "detailType": one.event.what.detail_type,
                "resource": one.event.what.resource,
                "tries": one.event.tries,
                "error": one.error,
                "parkedAt": one.parked_at_ms,
            }
            for one in parked
        ]
    }
