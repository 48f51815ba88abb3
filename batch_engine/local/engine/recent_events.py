"""Shows the event log: the last events, the actions that each one led to, and internal errors.

``POST /_batch-stack/events`` with ``{"last": 20, "job": id}`` answers the events and two counts.
Each event has its number as ``event``, and so has each of its actions. Without ``job`` the answer has the
events of all jobs.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import fields
from typing import Any

from batch_engine.core.model.actions import Action, PublishJobState, PublishQueueBlocked
from batch_engine.core.model.events import Event, JobSubmitted, ResourcesChanged
from batch_engine.core.state.log import EventLog, Record
from batch_engine.local.engine.interrupt import Answer, json_object

PATH = "/_batch-stack/events"
DEFAULT_LAST = 20
MAX_LAST = 10_000


class EventsError(Exception):
    """The request does not say which events it is about."""


def recent_events(log: EventLog, last: int, job: str | None) -> dict[str, Any]:
    """Returns the last events as JSON, oldest first.

    Args:
        log: the event log.
        last: the number of events.
        job: the id of a job whose events are returned, with those of its children and nodes; None for all.
    """
    found = log.last(last) if job is None else _of_job(log, job)[-last:] if last else []
    return {"events": [_record(each) for each in found], "count": log.count, "faults": log.faults}


def _of_job(log: EventLog, job: str) -> list[Record]:
    return [record for record in log if any(_is_of(each, job) for each in _job_ids(record))]


def _is_of(job_id: str, job: str) -> bool:
    return job_id == job or job_id.startswith((f"{job}:", f"{job}#"))


def _job_ids(record: Record) -> Iterable[str]:
    if isinstance(record.event, JobSubmitted):
        yield record.event.job.id
    for item in (record.event, *record.actions):
        job_id = getattr(item, "job_id", None)
        if job_id is not None:
            yield job_id


def _record(record: Record) -> dict[str, Any]:
    shown = {
        "event": record.seq,
        "timeMs": record.now_ms,
        "kind": type(record.event).__name__,
        **_event(record.event),
        "actions": [_action(action) for action in record.actions],
    }
    if record.faults:
        shown["faults"] = [
            {"reason": fault.reason, "refused": fault.refused, "trace": fault.trace}
            for fault in record.faults
        ]
    return shown


def _event(event: Event) -> dict[str, Any]:
    if isinstance(event, JobSubmitted):
        job = event.job
        return {"jobId": job.id, "jobName": job.name, "queue": job.queue, "nodes": len(event.nodes)}
    if isinstance(event, ResourcesChanged):
        return {
            "put": [resource.arn for resource in event.put],
            "removed": [resource.arn for resource in event.removed],
        }
    return _members(event)


def _action(action: Action) -> dict[str, Any]:
    shown = {"kind": type(action).__name__, **_members(action)}
    if isinstance(action, PublishJobState | PublishQueueBlocked):
        shown["status"] = shown.pop("detail")["status"]
    return shown


def _members(item: Any) -> dict[str, Any]:
    shown = {}
    for member in fields(item):
        value = getattr(item, member.name)
        shown[_camel(member.name)] = sorted(value) if isinstance(value, frozenset) else value
    return shown


def _camel(name: str) -> str:
    return re.sub(r"_(.)", lambda found: found.group(1).upper(), name)


def answer(read: Callable[[int, str | None], dict[str, Any]], body: bytes) -> Answer:
    """Answers one request.

    Args:
        read: ``Engine.recent_events``.
        body: the request's JSON.
    """
    try:
        request = json_object(body)
        last, job = request.get("last", DEFAULT_LAST), request.get("job")
        if type(last) is not int or not 0 <= last <= MAX_LAST:
            raise EventsError(f"last must be a whole number between 0 and {MAX_LAST}, got {last!r}")
        if job is not None and not isinstance(job, str):
            raise EventsError(f"job must be a job id, got {job!r}")
        return 200, read(last, job)
    except (EventsError, ValueError) as error:
        return 400, {"message": str(error)}
