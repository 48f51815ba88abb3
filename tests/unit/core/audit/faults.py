"""Raises an exception once, at any line that the core runs for an event, and checks what is left."""

import sys
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any

import batch_engine.core
from batch_engine.core.audit.invariants import violations
from batch_engine.core.capacity.fleet import InstanceState
from batch_engine.core.model.actions import (
    Action,
    JobMoved,
    LaunchInstance,
    PublishJobState,
    StartAttempt,
    StopAttempt,
    TerminateInstance,
)
from batch_engine.core.model.events import (
    REQUESTS,
    AttemptFinished,
    AttemptStarted,
    CapacityChanged,
    Event,
    InstanceReady,
    JobSubmitted,
    ResourcesChanged,
    RolesChanged,
    Woken,
)
from batch_engine.core.model.jobs import Job, JobStatus
from batch_engine.core.model.resources import State
from batch_engine.core.scheduling.scheduler import INTERNAL_ERROR, Scheduler
from tests.unit.core.audit.same_state import resources_of

CORE = str(Path(batch_engine.core.__file__).parent)
KEPT_REASONS = ("Dependent Job failed", "Array Child Job failed")


class InjectedError(Exception):
    """The fault."""


class Injector:
    """Counts the lines that the core runs, and raises at one of them.

    The three lines of ``Scheduler.handle`` itself do not count: they are what catches an exception.

    Args:
        at: the number of the line; None only counts.
    """

    def __init__(self, at: int | None = None) -> None:
        self.at = at
        self.lines = 0

    def __call__(self, frame: FrameType, event: str, arg: Any) -> Any:
        code = frame.f_code
        if not code.co_filename.startswith(CORE) or code is Scheduler.handle.__code__:
            return self if code is Scheduler.handle.__code__ else None
        if event == "line":
            if self.lines == self.at:
                self.lines += 1
                raise InjectedError(f"{Path(code.co_filename).name}:{frame.f_lineno}")
            self.lines += 1
        return self

    def run(self, scheduler: Scheduler, event: Event, now_ms: int) -> list[Action]:
        before = sys.gettrace()
        sys.settrace(self)
        try:
            return Scheduler.handle(scheduler, event, now_ms)
        finally:
            sys.settrace(before)


def twin(scheduler: Scheduler, event: Event) -> tuple[Scheduler, Event]:
    """A scheduler in the same state, and the event with jobs of its own."""
    shared = [scheduler._setup.catalogue, scheduler._journal._render]
    memo = {id(item): item for item in shared}
    memo[id(scheduler._setup.forgotten)] = None
    memo[id(scheduler.log)] = type(scheduler.log)(keep=1)
    copied: Scheduler = deepcopy(scheduler, memo)
    copied.log.count = scheduler.log.count
    return copied, event.as_submitted() if isinstance(event, JobSubmitted) else event


def lines_of(scheduler: Scheduler, event: Event, now_ms: int) -> int:
    """How many lines the core runs to take in an event."""
    copied, own = twin(scheduler, event)
    injector = Injector()
    injector.run(copied, own, now_ms)
    return injector.lines


def check_fault(scheduler: Scheduler, event: Event, now_ms: int, at: int) -> Scheduler | None:
    """Take in an event with a fault at one line, and check that nothing is lost.

    Returns:
        The scheduler that met the fault; None if the line was not run.
    """
    faulty, own = twin(scheduler, event)
    actions = Injector(at).run(faulty, own, now_ms)
    if not faulty.log.faults:
        return None
    broken = [*violations(faulty), *_lost(scheduler, faulty, own), *_undelivered(scheduler, faulty, actions)]
    if faulty.refusal is not None:
        broken += _not_undone(scheduler, faulty)
    elif isinstance(event, REQUESTS):
        broken += _not_done(faulty, own)
    if (
        isinstance(event, CapacityChanged)
        and faulty.restrictions.unavailable_types != event.unavailable_types
    ):
        broken.append("the change of capacity is lost")
    if isinstance(event, RolesChanged) and faulty.restrictions.denied_roles != event.denied:
        broken.append("the change of roles is lost")
    trace = faulty.log.last(1)[0].faults[-1].trace
    assert len(faulty.log.last(1)[0].faults) == 1, f"recovery failed, too:\n{trace}"
    brief = [action for action in actions if not isinstance(action, PublishJobState)]
    assert broken == [], f"{own} with a fault at line {at}: {broken}\n{brief}\n{trace}"
    return faulty


def _lost(before: Scheduler, after: Scheduler, event: Event) -> Iterator[str]:
    """Jobs that are not there any more, or FAILED without being at hand."""
    gone = set(before.registry.jobs) - set(after.registry.jobs)
    if before._setup.keep_ended_ms is None and gone:
        yield f"jobs {gone} have vanished"
    concerned = {
        job.id.partition(":")[0].partition("#")[0]
        for job in _failed_by_fault(after)
        if job.id not in before.registry.jobs or before.registry.jobs[job.id].status is not JobStatus.FAILED
    }
    hosts = {job.attempt.instance_id for job in _failed_by_fault(after) if job.attempts}
    if len(concerned) > 1 and len(hosts) > 1:
        yield f"several jobs have FAILED by one fault: {concerned}"
    if isinstance(event, JobSubmitted) and (after.refusal is None) != (event.job.id in after.registry.jobs):
        yield f"the submission of {event.job.id} is neither done nor refused"


def _failed_by_fault(scheduler: Scheduler) -> list[Job]:
    return [
        job
        for job in scheduler.registry.jobs.values()
        if job.status is JobStatus.FAILED and (job.status_reason or "").startswith(INTERNAL_ERROR)
    ]


def _undelivered(before: Scheduler, after: Scheduler, actions: list[Action]) -> Iterator[str]:
    """Decisions that are not among the actions."""
    started = {(item.job_id, item.attempt) for item in actions if isinstance(item, StartAttempt)}
    stopped = {(item.job_id, item.attempt) for item in actions if isinstance(item, StopAttempt)}
    moved = {item.job_id: item.after for item in actions if isinstance(item, JobMoved)}
    for job in after.registry.jobs.values():
        old = before.registry.jobs.get(job.id)
        if (old is None or old.status is not job.status) and job.status not in (
            moved.get(job.id),
            JobStatus.PENDING if job.array_index is not None else None,
        ):
            yield f"job {job.id} is {job.status} and was said to be {moved.get(job.id)}"
        if job.is_gang or not job.attempts:
            continue
        was_placed = old is not None and old.status.is_placed and old.attempt.number == job.attempt.number
        key = job.id, job.attempt.number
        is_first = job.node_index in (None, job.main_node)
        if job.status is JobStatus.STARTING and is_first and not was_placed and key not in started:
            yield f"job {job.id} is STARTING and nothing starts it"
        if was_placed and job.status is JobStatus.FAILED and job in _failed_by_fault(after):
            open_before = old is not None and old.attempt.stopped_at_ms is None
            if open_before and key not in stopped and job.attempt.status_reason == job.status_reason:
                yield f"job {job.id} has FAILED and nothing stops it"
    yield from _undelivered_instances(before, after, actions)


def _undelivered_instances(before: Scheduler, after: Scheduler, actions: list[Action]) -> Iterator[str]:
    launched = {item.instance_id for item in actions if isinstance(item, LaunchInstance)}
    ended = {item.instance_id for item in actions if isinstance(item, TerminateInstance)}
    old, new = before.dispatcher.scaling.instances, after.dispatcher.scaling.instances
    known = {name for name, instance in old.items() if instance.type}
    if lost := {name for name in new.keys() - old.keys() if new[name].type} - launched:
        yield f"instances {lost} are there and nothing launches them"
    if lost := (known | launched) - new.keys() - ended:
        yield f"instances {lost} are gone and nothing terminates them"
    if kept := ended & new.keys():
        yield f"instances {kept} are terminated and still there"


def _not_undone(before: Scheduler, after: Scheduler) -> Iterator[str]:
    """What a request has changed although it was refused. What follows from other jobs may go on."""
    if resources_of(before.registry) != resources_of(after.registry):
        yield "a refused request has changed resources"
    for job_id, old in before.registry.jobs.items():
        new = after.registry.jobs.get(job_id)
        flags = ("is_cancelled", "is_terminated", "stop_cause", "stop_reason", "tags", "order")
        if new is not None and any(getattr(old, flag) != getattr(new, flag) for flag in flags):
            yield f"a refused request has changed job {job_id}"


def _not_done(after: Scheduler, event: Event) -> Iterator[str]:
    if isinstance(event, JobSubmitted) and event.job.id not in after.registry.jobs:
        yield f"job {event.job.id} was accepted and is not there"


def run_out(scheduler: Scheduler, now_ms: int) -> None:
    """With everything there and time to spare, every job ends."""

    def tell(event: Event) -> None:
        Scheduler.handle(scheduler, event, now_ms)

    registry = scheduler.registry
    environments = [replace(item, state=State.ENABLED) for item in registry.compute_environments.values()]
    seats = [replace(item, total=10) for item in registry.consumable_resources.values()]
    tell(ResourcesChanged(put=(*environments, *seats)))
    tell(CapacityChanged(frozenset()))
    tell(RolesChanged())
    for _ in range(300):
        alive = [job for job in scheduler.registry.jobs.values() if not job.status.is_terminal]
        if not alive:
            return
        now_ms += 61_000
        tell(Woken())
        for item in list(scheduler.dispatcher.scaling.instances.values()):
            if item.state is InstanceState.LAUNCHING:
                tell(InstanceReady(item.id))
        for job in alive:
            if job.status.is_placed:
                number = job.attempt.number
                tell(AttemptStarted(job.id, number))
                tell(AttemptFinished(job.id, number, 0))
    stuck = [(job.id, job.status, job.queue, job.status_reason) for job in alive]
    raise AssertionError(f"still waiting: {stuck}")
