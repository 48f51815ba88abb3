"""The invariants that hold after every event."""

from collections import Counter
from collections.abc import Iterator, Mapping

from batch_engine.core.audit.capacity_invariants import (
    capacity_violations,
    lasting_milli_vcpus,
    limit_violations,
)
from batch_engine.core.audit.counters import Tally
from batch_engine.core.audit.demand_invariants import demand_violations
from batch_engine.core.audit.job_invariants import job_violations
from batch_engine.core.model.jobs import Job, JobStatus
from batch_engine.core.scheduling.scheduler import Scheduler
from batch_engine.core.state.registry import ForgottenJob

ALWAYS_WHOLE = 150
"""The number of jobs up to which all of them are checked after every event."""
SHARE_LOOKED_AT = 20
"""With more jobs, all are checked after every jobs / 20 events, which keeps the cost of an event low."""


def violations(scheduler: Scheduler) -> list[str]:
    """Returns every invariant that does not hold, in words."""
    return list(_whole(scheduler, Tally(scheduler.registry), {}))


class Audit:
    """Checks a scheduler after each event: the jobs of the event, and sometimes all jobs.

    ``Registry.changed`` names the jobs and resources of the event; the caller empties it after each check, as
    the store does after a save. A changed job that is not named there would not be saved either: the next
    check of all jobs reports it.

    Args:
        scheduler: the scheduler, with any jobs and resources.
    """

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._tally = Tally(scheduler.registry)
        self._since = 0
        self._lasting: dict[str, int] = {}

    def after_event(self) -> list[str]:
        """Checks after an event, and returns every invariant that does not hold, in words."""
        self._since += 1
        known = len(self._scheduler.registry.jobs)
        if known <= ALWAYS_WHOLE or self._since * SHARE_LOOKED_AT >= known:
            return self.whole()
        return list(self._check_changed())

    def whole(self) -> list[str]:
        """Checks all jobs and resources."""
        self._since = 0
        self._follow()
        unnoticed = [
            f"job {job.id} is {job.status} and was not marked to be saved" for job in self._tally.unnoticed()
        ]
        found = [*unnoticed, *_whole(self._scheduler, self._tally, self._lasting)]
        names = self._scheduler.registry.compute_environments
        self._lasting = {name: lasting_milli_vcpus(self._scheduler, name) for name in names}
        return found

    def _follow(self) -> tuple[list[Job], set[str]]:
        registry = self._scheduler.registry
        jobs = [entity for entity in registry.changed.values() if isinstance(entity, Job)]
        figures = {figure for job in jobs for figure in self._tally.follow(job)}
        for entity in registry.changed.values():
            if isinstance(entity, ForgottenJob):
                figures |= self._tally.forget(entity.id)
        return jobs, {
            found
            for figure in figures
            if (found := self._tally.disagreement(self._scheduler, figure)) is not None
        }

    def _check_changed(self) -> Iterator[str]:
        jobs, disagreements = self._follow()
        yield from disagreements
        yield from limit_violations(self._scheduler)
        concerned = {job.id: job for job in jobs}
        for job in jobs:
            if job.parent_id is not None:
                concerned[job.parent_id] = self._scheduler.registry.jobs[job.parent_id]
        for job in concerned.values():
            yield from job_violations(self._scheduler, job)


def _whole(scheduler: Scheduler, tally: Tally, lasting: Mapping[str, int]) -> Iterator[str]:
    for job in scheduler.registry.jobs.values():
        yield from job_violations(scheduler, job)
    yield from tally.disagreements(scheduler)
    yield from limit_violations(scheduler)
    yield from capacity_violations(scheduler, lasting)
    yield from demand_violations(scheduler)
    yield from _check_lines(scheduler)


def _check_lines(scheduler: Scheduler) -> Iterator[str]:
    """Checks that a RUNNABLE job is in one line, and an array while it has untouched released children."""
    registry, dispatcher = scheduler.registry, scheduler.dispatcher
    standing: Counter[str] = Counter()
    for queue in registry.job_queues:
        standing.update(job.id for job in dispatcher.lines.standing(queue))
        standing.update(job.id for job in dispatcher.held(queue))
    for job in registry.jobs.values():
        waits = job.status is JobStatus.RUNNABLE and job.node_index is None
        if job.is_array:
            waits = registry.arrays[job.id].peek() is not None
        if standing[job.id] != waits:
            yield f"job {job.id} is {job.status} and is {standing[job.id]} times in a line"
