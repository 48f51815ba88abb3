"""Takes instances away from jobs, as Spot does: an API of ours for tests.

``POST /_batch-stack/interrupt`` with ``{"job": id, "noticeSeconds": 120}`` (or ``instance``, or
``computeEnvironment``) answers ``{"jobs": [...]}``, the ids of the interrupted jobs.
"""

import json
from collections.abc import Callable
from typing import Any

from batch_engine.core.model.events import AttemptInterrupted, Event
from batch_engine.core.model.jobs import Job
from batch_engine.core.state.registry import Registry

PATH = "/_batch-stack/interrupt"
DEFAULT_NOTICE_S = 120.0
_TARGETS = ("job", "instance", "computeEnvironment")

Answer = tuple[int, dict[str, Any]]


class InterruptError(Exception):
    """No job can be interrupted there, or the request is not valid."""


def placed_jobs(registry: Registry, target: str, name: str) -> list[Job]:
    """Returns the placed jobs that an interruption concerns.

    Args:
        registry: the resources and jobs.
        target: ``job``, ``instance`` or ``computeEnvironment``.
        name: its id; for a job or a compute environment also its ARN.

    Raises:
        InterruptError: no job is placed there.
    """
    bare = name.rpartition("/")[2] if name.startswith("arn:") else name
    placed = [job for job in registry.jobs.values() if job.status.is_placed]
    if target == "job":
        found = [job for job in placed if job.id == bare]
        # All jobs on an instance are lost with it.
        hosts = {job.attempt.instance_id for job in found} - {""}
        found += [job for job in placed if job.attempt.instance_id in hosts and job.id != bare]
    elif target == "instance":
        found = [job for job in placed if job.attempt.instance_id == bare]
    else:
        found = [job for job in placed if job.attempt.compute_environment == bare]
    if not found:
        raise InterruptError(_reason_for_none(registry, target, bare))
    return found


def _reason_for_none(registry: Registry, target: str, name: str) -> str:
    if target == "job":
        job = registry.jobs.get(name)
        if job is None and not _is_untouched_child(registry, name):
            return f"there is no job with the id {name}"
        state = "has not started" if job is None else f"is {job.status}"
        return f"the job {name} {state}: only one that is STARTING or RUNNING has an instance to lose"
    if target == "computeEnvironment" and name not in registry.compute_environments:
        known = ", ".join(registry.compute_environments) or "(none defined)"
        return f"the compute environment must be one of {known}, got {name}"
    place = "compute environment" if target == "computeEnvironment" else target
    return f"no job is STARTING or RUNNING on the {place} {name}"


def _is_untouched_child(registry: Registry, name: str) -> bool:
    """Returns whether a name is that of an array child without an entry of its own yet."""
    parent, _, index = name.rpartition(":")
    array = registry.arrays.get(parent)
    return array is not None and index.isdecimal() and int(index) < array.size


def events_for(jobs: list[Job], notice_s: float) -> list[Event]:
    """Returns the events for the core, which takes the whole instance if there is one."""
    return [AttemptInterrupted(job.id, job.attempt.number, notice_s) for job in jobs]


def json_object(body: bytes) -> dict[str, Any]:
    """Reads the body of a request to one of our own paths.

    Raises:
        ValueError: it is not a JSON object.
    """
    try:
        request = json.loads(body or b"{}")
    except RecursionError:
        raise ValueError("the request must be a JSON object, got one that is nested too deeply") from None
    if not isinstance(request, dict):
        raise ValueError(f"the request must be a JSON object, got {body[:100].decode(errors='replace')}")
    return request


def answer(interrupt: Callable[[str, str, float], list[str]], body: bytes) -> Answer:
    """Answers one request.

    Args:
        interrupt: ``Engine.interrupt``.
        body: the request's JSON.
    """
    try:
        request = json_object(body)
        given = [target for target in _TARGETS if request.get(target)]
        if len(given) != 1:
            raise InterruptError(f"exactly one of {', '.join(_TARGETS)} must be given, got {len(given)}")
        notice_s = float(request.get("noticeSeconds", DEFAULT_NOTICE_S))
        if not 0 <= notice_s <= 3600:
            raise InterruptError(f"noticeSeconds must be between 0 and 3600, got {notice_s:g}")
        return 200, {"jobs": interrupt(given[0], str(request[given[0]]), notice_s)}
    except (InterruptError, ValueError, TypeError, OverflowError) as error:
        return 400, {"message": str(error)}
