"""The changes that requests of API operations make, and their undoing."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from typing import Any

from batch_engine.core.model.events import (
    JobCancelled,
    JobTerminated,
    QueueDeleted,
    ResourcesChanged,
    TagsChanged,
)
from batch_engine.core.model.jobs import JOB_STATE, Job
from batch_engine.core.model.resources import (
    INACTIVE_KEPT_MS,
    ComputeEnvironment,
    ConsumableResource,
    JobDefinition,
    JobQueue,
    Resource,
    SchedulingPolicy,
)
from batch_engine.core.scheduling.lifecycle import Lifecycle
from batch_engine.core.state.decisions import Journal
from batch_engine.core.state.wakeups import DefinitionExpires, Wakeups

_SCHEDULED = (ComputeEnvironment, JobQueue, SchedulingPolicy, ConsumableResource)
"""The kinds of resources on which placement depends."""


class Requests:
    """Carries out requests, and undoes a request that fails: an error means that nothing has changed.

    Args:
        journal: takes the decisions.
        lifecycle: ends jobs.
        wakeups: holds the times at which job definitions expire.
    """

    def __init__(self, journal: Journal, lifecycle: Lifecycle, wakeups: Wakeups) -> None:
        self._journal = journal
        self._registry = journal.registry
        self._lifecycle = lifecycle
        self._wakeups = wakeups
        self._undo: list[Callable[[], None]] = []
        self._undo_of = 0

    def take_over(self) -> None:
        """Sets the wake-ups at which INACTIVE job definitions expire."""
        for revisions in self._registry.job_definitions.values():
            for definition in revisions.values():
                self._watch(definition)

    def cancelled(self, event: JobCancelled) -> None:
        """Takes in JobCancelled; see ``Lifecycle.cancelled``."""
        self._keep(self._family_of(event.job_id))
        self._lifecycle.cancelled(event.job_id, event.reason)

    def terminated(self, event: JobTerminated) -> None:
        """Takes in JobTerminated; see ``Lifecycle.terminated``."""
        self._keep(self._family_of(event.job_id))
        self._lifecycle.terminated(event.job_id, event.reason)

    def queue_deleted(self, event: QueueDeleted) -> None:
        """Takes in QueueDeleted; see ``Lifecycle.queue_deleted``."""
        queue = self._registry.job_queues[event.queue]
        self._keep([job for job in self._registry.jobs.values() if job.queue == event.queue])
        self._undo.append(
            partial(self._restore, queue, {"status": queue.status, "status_reason": queue.status_reason})
        )
        self._lifecycle.queue_deleted(event.queue)

    def tags_changed(self, event: TagsChanged) -> None:
        """Replaces the tags of a resource or a job."""
        self._begin()
        entity = self._registry.find(event.arn)
        if isinstance(entity, JobDefinition):
            self._undo.append(partial(self._restore, entity, {"body": entity.body}))
            entity.body = {**entity.body, "tags": dict(event.tags)}
        elif entity is not None:
            self._undo.append(partial(self._restore, entity, {"tags": entity.tags}))
            entity.tags = dict(event.tags)
        if entity is not None:
            self._registry.touch(entity)

    def resources(self, event: ResourcesChanged) -> bool:
        """Stores resources and removes others.

        Returns:
            Whether placement depends on them.
        """
        self._begin()
        for resource in (*event.put, *event.removed):
            known = self._registry.known(resource)
            self._undo.append(partial(self._put_back, resource, known))
        for resource in event.put:
            self._registry.put(resource)
            if isinstance(resource, JobDefinition):
                self._watch(resource)
        for resource in event.removed:
            known = self._registry.known(resource)
            if known is not None:
                self._registry.forget(known)
        concerned = (*event.put, *event.removed)
        return not concerned or any(isinstance(resource, _SCHEDULED) for resource in concerned)

    def definition_expires(self, arn: str) -> None:
        """Removes a job definition that has been INACTIVE for the time that AWS Batch keeps it."""
        definition = self._registry.find(arn)
        if isinstance(definition, JobDefinition) and not definition.active:
            self._registry.forget(definition)

    def _watch(self, definition: JobDefinition) -> None:
        if definition.inactive_since_ms is not None:
            expires_ms = definition.inactive_since_ms + INACTIVE_KEPT_MS
            self._wakeups.at(expires_ms, DefinitionExpires(definition.arn))

    def undo(self) -> None:
        """Restores everything that the last request has changed."""
        while self._undo and self._undo_of == self._journal.record.seq:
            self._undo.pop()()

    def _begin(self) -> None:
        self._undo, self._undo_of = [], self._journal.record.seq

    def _family_of(self, job_id: str) -> list[Job]:
        jobs = self._registry.jobs
        job = jobs.get(job_id.partition(":")[0].partition("#")[0])
        return [] if job is None else self._registry.family(job)

    def _keep(self, jobs: Iterable[Job]) -> None:
        self._begin()
        before = {job.id: _twin(job) for job in jobs}
        self._undo.append(partial(self._restore_jobs, before))

    def _restore_jobs(self, before: dict[str, Job]) -> None:
        jobs = self._registry.jobs
        made = [job for job in jobs.values() if job.parent_id in before and job.id not in before]
        for job in made:
            del jobs[job.id]
            self._registry.changed.pop(job.id, None)
        for job_id, twin in before.items():
            self._restore(jobs[job_id], {member: getattr(twin, member) for member in JOB_STATE})

    def _restore(self, entity: Any, members: dict[str, Any]) -> None:
        for member, value in members.items():
            setattr(entity, member, value)
        self._registry.touch(entity)

    def _put_back(self, resource: Resource, known: Resource | None) -> None:
        if known is not None:
            self._registry.add(known)
            self._registry.touch(known)
        elif (added := self._registry.known(resource)) is not None:
            self._registry.forget(added)


def _twin(job: Job) -> Job:
    return replace(job, attempts=[replace(attempt) for attempt in job.attempts], moves=[*job.moves])
