"""All that the engine knows, and what of it has changed since it was last saved."""

from dataclasses import dataclass, field

from batch_engine.core.model.jobs import Job
from batch_engine.core.model.resources import (
    ComputeEnvironment,
    ConsumableResource,
    JobDefinition,
    JobQueue,
    QuotaShare,
    SchedulingPolicy,
    ServiceEnvironment,
)
from batch_engine.core.model.wire import Wire
from batch_engine.core.state.array_progress import ArrayRun
from batch_engine.core.state.job_index import JobIndex

Entity = (
    ComputeEnvironment
    | JobQueue
    | SchedulingPolicy
    | ConsumableResource
    | ServiceEnvironment
    | QuotaShare
    | JobDefinition
    | Job
)


@dataclass(frozen=True, slots=True)
class ForgottenJob:
    """A job that has left the registry, with the children of an array: what the store needs to delete it.

    Args:
        id: the job's id.
        serial: its ``serial``.
    """

    id: str
    serial: int


@dataclass(slots=True)
class Registry:
    """The resources and the jobs of one account in one Region, by name or id.

    Whoever changes an entity calls ``touch`` or ``forget``; the store empties ``changed`` after each
    transaction. Deregistered job definitions stay for as long as they do in AWS Batch.
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
        """A place behind everything that exists."""
        self.last_order += 1
        return self.last_order

    def front_order(self) -> int:
        """A place before everything that waits: where a retried job goes."""
        self.first_order -= 1
        return self.first_order

    def add(self, entity: Entity) -> None:
        """Take in an entity, new or read back from the store."""
        match entity:
            case ComputeEnvironment():
                self.compute_environments[entity.name] = entity
                self._seen(entity.created_order)
            case JobQueue():
                self.job_queues[entity.name] = entity
                self._seen(entity.created_order)
            case SchedulingPolicy():
                self.scheduling_policies[entity.arn] = entity
                self._seen(entity.created_order)
            case JobDefinition():
                self.job_definitions.setdefault(entity.name, {})[entity.revision] = entity
                self._seen(entity.created_order)
            case Job():
                # Most jobs of a definition run the same container: they hold one copy of it.
                latest = self._containers.setdefault(entity.definition_arn, entity.container)
                if latest is entity.container or latest == entity.container:
                    entity.container = latest
                else:
                    self._containers[entity.definition_arn] = entity.container
                self._seen(entity.order)
                if entity.id not in self.jobs:
                    entity.serial = entity.serial or self.next_order()
                    self._seen(entity.serial)
                    self.index.add(entity)
                self.jobs[entity.id] = entity
            case ServiceEnvironment():
                self.service_environments[entity.name] = entity
                self._seen(entity.created_order)
            case QuotaShare():
                self.quota_shares[entity.arn] = entity
                self._seen(entity.created_order)
            case ConsumableResource():
                self.consumable_resources[entity.name] = entity
                self._seen(entity.created_order)

    def _seen(self, order: int) -> None:
        self.last_order = max(self.last_order, order)
        self.first_order = min(self.first_order, order)

    def touch(self, entity: Entity) -> None:
        """Note that an entity has changed and must be saved."""
        self.changed[entity.id if isinstance(entity, Job) else entity.arn] = entity

    def forget(
        self,
        entity: ComputeEnvironment
        | JobQueue
        | SchedulingPolicy
        | ConsumableResource
        | ServiceEnvironment
        | QuotaShare
        | JobDefinition,
    ) -> None:
        """Remove an entity for good."""
        match entity:
            case ComputeEnvironment():
                del self.compute_environments[entity.name]
            case JobQueue():
                del self.job_queues[entity.name]
                self.index.drop_queue(entity.name)
                for share in [share for share in self.quota_shares.values() if share.queue == entity.name]:
                    self.forget(share)
            case SchedulingPolicy():
                del self.scheduling_policies[entity.arn]
            case JobDefinition():
                del self.job_definitions[entity.name][entity.revision]
            case ServiceEnvironment():
                del self.service_environments[entity.name]
            case QuotaShare():
                del self.quota_shares[entity.arn]
            case ConsumableResource():
                del self.consumable_resources[entity.name]
        self.changed[entity.arn] = None

    def forget_job(self, job_id: str) -> None:
        """Remove an ended job for good, if it has a ``Job`` of its own.

        The store deletes the children of an array with the array: they are no change of their own.
        """
        job = self.jobs.pop(job_id, None)
        if job is None:
            return
        self.index.remove(job)
        self.arrays.pop(job_id, None)
        if job.array_index is None:
            self.changed[job.arn] = ForgottenJob(job.id, job.serial)
        else:
            self.changed.pop(job.arn, None)

    def queues_of(self, compute_environment: str) -> list[JobQueue]:
        """The queues that a compute environment serves."""
        return [
            queue for queue in self.job_queues.values() if compute_environment in queue.compute_environments
        ]
