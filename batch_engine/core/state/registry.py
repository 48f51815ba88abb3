"""All resources and jobs, and which of them have changed since they were last saved."""

from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass, field
from typing import Any

from batch_engine.core.model.jobs import Job
from batch_engine.core.model.resources import (
    ComputeEnvironment,
    ConsumableResource,
    JobDefinition,
    JobQueue,
    QuotaShare,
    Resource,
    SchedulingPolicy,
    ServiceEnvironment,
)
from batch_engine.core.model.wire import Wire
from batch_engine.core.state.array_progress import ArrayRun
from batch_engine.core.state.job_index import JobIndex

Entity = Resource | Job


@dataclass(frozen=True, slots=True)
class ForgottenJob:
    """A job that has left the registry, with the children of an array: the store needs this to delete it.

    Args:
        id: the job's id.
        serial: its ``serial``.
    """

    id: str
    serial: int


@dataclass(slots=True)
class Registry:
    """The resources and the jobs of one account in one Region, by name or id.

    Only ``Scheduler.handle`` changes them. Code that changes an entity calls ``touch``; the store empties
    ``changed`` after each transaction.
    """

    compute_environments: dict[str, ComputeEnvironment] = field(default_factory=dict)
    job_queues: dict[str, JobQueue] = field(default_factory=dict)
    scheduling_policies: dict[str, SchedulingPolicy] = field(default_factory=dict)
    job_definitions: dict[str, dict[int, JobDefinition]] = field(default_factory=dict)
    jobs: dict[str, Job] = field(default_factory=dict)
    arrays: dict[str, ArrayRun] = field(default_factory=dict)
    changed: dict[str, Entity | ForgottenJob | None] = field(default_factory=dict)
    service_environments: dict[str, ServiceEnvironment] = field(default_factory=dict)
    quota_shares: dict[str, QuotaShare] = field(default_factory=dict)
    consumable_resources: dict[str, ConsumableResource] = field(default_factory=dict)
    index: JobIndex = field(default_factory=JobIndex)
    last_order: int = 0
    first_order: int = 0
    _containers: dict[str, Wire] = field(default_factory=dict)

    def next_order(self) -> int:
        """Returns a place behind everything that exists."""
        self.last_order += 1
        return self.last_order

    def front_order(self) -> int:
        """Returns a place before every waiting job, for a retried job."""
        self.first_order -= 1
        return self.first_order

    def add(self, entity: Entity) -> None:
        """Takes in an entity, new or read back from the store."""
        if isinstance(entity, Job):
            self._add_job(entity)
            return
        home, key = self._home(entity)
        home[key] = entity
        entity.created_order = entity.created_order or self.next_order()
        self._seen(entity.created_order)

    def _add_job(self, job: Job) -> None:
        # Most jobs of a definition run the same container: they share one copy.
        latest = self._containers.setdefault(job.definition_arn, job.container)
        if latest is job.container or latest == job.container:
            job.container = latest
        else:
            self._containers[job.definition_arn] = job.container
        self._seen(job.order)
        if job.id not in self.jobs:
            if job.serial:
                self._seen(job.serial)
            else:
                job.serial = self.next_order()
            self.index.add(job)
        self.jobs[job.id] = job

    def _home(self, resource: Resource) -> tuple[dict[Any, Any], str | int]:
        if isinstance(resource, JobDefinition):
            return self.job_definitions.setdefault(resource.name, {}), resource.revision
        if isinstance(resource, SchedulingPolicy):
            return self.scheduling_policies, resource.arn
        if isinstance(resource, QuotaShare):
            return self.quota_shares, resource.arn
        homes: dict[type, dict[str, Any]] = {
            ComputeEnvironment: self.compute_environments,
            JobQueue: self.job_queues,
            ServiceEnvironment: self.service_environments,
            ConsumableResource: self.consumable_resources,
        }
        return homes[type(resource)], resource.name

    def put(self, resource: Resource) -> None:
        """Stores a copy of a resource, in place of the one with the same name, and marks it to be saved."""
        own = copy(resource)
        self.add(own)
        self.touch(own)

    def known(self, resource: Resource) -> Resource | None:
        """Returns the resource that is stored under the name of this one, if there is one."""
        home, key = self._home(resource)
        found: Resource | None = home.get(key)
        return found

    def find(self, arn: str) -> Entity | None:
        """Returns the resource or the job with an ARN of this account and Region."""
        kind, _, name = arn.rpartition(":batch:")[2].partition(":")[2].partition(":")[2].partition("/")
        if kind == "job-definition":
            bare, _, revision = name.partition(":")
            is_number = revision.isascii() and revision.isdigit()
            return self.job_definitions.get(bare, {}).get(int(revision)) if is_number else None
        homes: dict[str, Mapping[str, Entity]] = {
            "compute-environment": self.compute_environments,
            "job-queue": self.job_queues,
            "service-environment": self.service_environments,
            "consumable-resource": self.consumable_resources,
            "job": self.jobs,
        }
        found = homes.get(kind, {}).get(name)
        return found or self.quota_shares.get(arn) or self.scheduling_policies.get(arn)

    def _seen(self, order: int) -> None:
        if order > self.last_order:
            self.last_order = order
        elif order < self.first_order:
            self.first_order = order

    def touch(self, entity: Entity) -> None:
        """Notes that an entity has changed and must be saved."""
        self.changed[entity.id if isinstance(entity, Job) else entity.arn] = entity

    def forget(self, resource: Resource) -> None:
        """Removes a resource for good."""
        home, key = self._home(resource)
        home.pop(key, None)
        self.changed[resource.arn] = None
        if isinstance(resource, JobQueue):
            self.index.drop_queue(resource.name)
            for share in [share for share in self.quota_shares.values() if share.queue == resource.name]:
                self.forget(share)

    def family(self, job: Job) -> list[Job]:
        """Returns a job with its children that have a ``Job`` of their own, or with its nodes."""
        if job.is_array:
            made = self.arrays[job.id].made
            ids = [f"{job.id}:{index}" for index in range(len(made)) if made[index]]
        else:
            ids = [f"{job.id}#{index}" for index in range(job.num_nodes or 0)] if job.is_gang else []
        return [job, *(self.jobs[each] for each in ids if each in self.jobs)]

    def forget_job(self, job_id: str) -> None:
        """Removes an ended job for good, if it has a ``Job`` of its own.

        The store deletes the children of an array with the array, so they are not marked as changed.
        """
        job = self.jobs.pop(job_id, None)
        if job is None:
            return
        self.index.remove(job)
        self.arrays.pop(job_id, None)
        if job.array_index is None:
            self.changed[job.id] = ForgottenJob(job.id, job.serial)
        else:
            self.changed.pop(job.id, None)

    def queues_of(self, compute_environment: str) -> list[JobQueue]:
        """Returns the queues that use a compute environment."""
        return [
            queue for queue in self.job_queues.values() if compute_environment in queue.compute_environments
        ]
