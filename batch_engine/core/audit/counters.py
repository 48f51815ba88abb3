"""Totals over the jobs, to check the counters that the engine keeps."""

from collections import Counter
from collections.abc import Callable, Iterator
from enum import StrEnum
from typing import NamedTuple

from batch_engine.core.capacity.autoscaler import has_fleet
from batch_engine.core.capacity.fleet import InstanceState
from batch_engine.core.model.jobs import Job, JobStatus
from batch_engine.core.scheduling.scheduler import Scheduler
from batch_engine.core.state.registry import Registry


class FigureKind(StrEnum):
    """The kinds of counters."""

    IN_USE = "milli-vCPUs in use"
    OF_SHARE = "milli-vCPUs of the share"
    OF_FAIR_SHARE = "milli-vCPUs for fair share, of the share"
    LISTED = "jobs listed as"
    CHILDREN = "children that are"
    LOCKED = "units locked"
    HOSTED = "jobs on the instance"
    ON_MACHINE = "jobs on the machine"


class Figure(NamedTuple):
    """One counter: its kind, its resource, and the part of the resource."""

    kind: FigureKind
    of: str
    part: str = ""

    def __str__(self) -> str:
        return f"{self.of}: {self.kind} {self.part}".rstrip()


def share_of(job: Job, registry: Registry) -> tuple[tuple[Figure, int], ...]:
    """Returns the amount that one job adds to each figure."""
    found: list[tuple[Figure, int]] = []
    if job.parent_id is None:
        found.append((Figure(FigureKind.LISTED, job.queue, job.status), 1))
    elif job.array_index is not None:
        found.append((Figure(FigureKind.CHILDREN, job.parent_id, job.status), 1))
    if job.status.is_placed:
        place = job.attempt.compute_environment
        found.append((Figure(FigureKind.IN_USE, place), job.milli_vcpus))
        if job.share_identifier is not None:
            found.append((Figure(FigureKind.OF_FAIR_SHARE, job.queue, job.share_identifier), job.milli_vcpus))
        if not job.is_gang:
            found.append(
                (Figure(FigureKind.OF_SHARE, job.queue, job.share_identifier or ""), job.milli_vcpus)
            )
            found.append((Figure(FigureKind.ON_MACHINE, ""), 1))
            environment = registry.compute_environments.get(place)
            if environment is not None and has_fleet(environment):
                found.append((Figure(FigureKind.HOSTED, job.attempt.instance_id), 1))
    if job.holds_consumables:
        found.extend(
            (Figure(FigureKind.LOCKED, name), quantity) for name, quantity in job.consumables.items()
        )
    return tuple(found)


def _in_use(scheduler: Scheduler, name: str, _: str) -> int:
    return scheduler.dispatcher.capacity.in_use_milli_vcpus.get(name, 0)


def _of_share(scheduler: Scheduler, queue: str, share: str) -> int:
    return scheduler.registry.index.milli_vcpus_by_share(queue).get(share, 0)


def _of_fair_share(scheduler: Scheduler, queue: str, share: str) -> int | None:
    use = scheduler.dispatcher.shares.use
    return use.running_milli(queue, share) if queue in scheduler.registry.job_queues else None


def _listed(scheduler: Scheduler, queue: str, status: str) -> int:
    return scheduler.registry.index.count(queue).get(JobStatus(status), 0)


def _children(scheduler: Scheduler, parent_id: str, status: str) -> int | None:
    run = scheduler.registry.arrays.get(parent_id)
    if run is None:
        return None
    return run.counts[JobStatus(status)] - run.untouched(JobStatus(status))


def _locked(scheduler: Scheduler, name: str, _: str) -> int | None:
    resource = scheduler.registry.consumable_resources.get(name)
    return None if resource is None else resource.in_use


def _hosted(scheduler: Scheduler, instance_id: str, _: str) -> int:
    instance = scheduler.dispatcher.scaling.instances.get(instance_id)
    return 0 if instance is None or instance.state is InstanceState.LAUNCHING else len(instance.jobs)


def _on_machine(scheduler: Scheduler, _: str, __: str) -> int:
    return scheduler.dispatcher.capacity.jobs_on_host


_COUNTERS: dict[FigureKind, Callable[[Scheduler, str, str], int | None]] = {
    FigureKind.IN_USE: _in_use,
    FigureKind.OF_SHARE: _of_share,
    FigureKind.OF_FAIR_SHARE: _of_fair_share,
    FigureKind.LISTED: _listed,
    FigureKind.CHILDREN: _children,
    FigureKind.LOCKED: _locked,
    FigureKind.HOSTED: _hosted,
    FigureKind.ON_MACHINE: _on_machine,
}
"""The engine's count of each kind; None if it no longer counts, because the resource is gone."""


def figures(scheduler: Scheduler) -> Iterator[Figure]:
    """Yields every figure that the engine may count, whether or not a job adds to it."""
    registry, dispatcher = scheduler.registry, scheduler.dispatcher
    yield Figure(FigureKind.ON_MACHINE, "")
    for name in dispatcher.capacity.in_use_milli_vcpus:
        yield Figure(FigureKind.IN_USE, name)
    for name in registry.job_queues:
        for share in registry.index.milli_vcpus_by_share(name):
            yield Figure(FigureKind.OF_SHARE, name, share)
        for status in registry.index.count(name):
            yield Figure(FigureKind.LISTED, name, status)
    for parent_id in registry.arrays:
        for status in JobStatus:
            yield Figure(FigureKind.CHILDREN, parent_id, status)
    for name in registry.consumable_resources:
        yield Figure(FigureKind.LOCKED, name)
    for instance_id in dispatcher.scaling.instances:
        yield Figure(FigureKind.HOSTED, instance_id)


class Tally:
    """Running totals over jobs, independent of the engine's own.

    Args:
        registry: the jobs and their places.
    """

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._totals: Counter[Figure] = Counter()
        self._of: dict[str, tuple[tuple[Figure, int], ...]] = {}
        for job in registry.jobs.values():
            self.follow(job)

    def follow(self, job: Job) -> set[Figure]:
        """Counts a job in its present state.

        Returns:
            The figures that this changes.
        """
        before, now = self._of.get(job.id), share_of(job, self._registry)
        if before == now:
            return set()
        before = before or ()
        for figure, amount in before:
            self._totals[figure] -= amount
        for figure, amount in now:
            self._totals[figure] += amount
        self._of[job.id] = now
        return {figure for figure, _ in (*before, *now)}

    def forget(self, job_id: str) -> set[Figure]:
        """Stops counting a forgotten job and its children.

        Returns:
            The figures that this changes.
        """
        gone = [each for each in self._of if each == job_id or each.startswith(f"{job_id}:")]
        found = {figure for each in gone for figure, _ in self._of[each]}
        for each in gone:
            for figure, amount in self._of.pop(each):
                self._totals[figure] -= amount
        return found

    def unnoticed(self) -> Iterator[Job]:
        """Yields the jobs whose state is not the one that was counted last."""
        for job in self._registry.jobs.values():
            if self._of.get(job.id) != share_of(job, self._registry):
                yield job

    def disagreement(self, scheduler: Scheduler, figure: Figure) -> str | None:
        """Returns the difference between the engine's count and this one, in words."""
        engine, jobs = _COUNTERS[figure.kind](scheduler, figure.of, figure.part), self._totals[figure]
        return None if engine in (None, jobs) else f"{figure} counts {engine}, its jobs make {jobs}"

    def disagreements(self, scheduler: Scheduler) -> Iterator[str]:
        """Yields every figure that does not agree."""
        for figure in {*self._totals, *figures(scheduler)}:
            if (found := self.disagreement(scheduler, figure)) is not None:
                yield found
