"""RUNNABLE jobs whose instances are launching. They are in no line until the instances are ready."""

from dataclasses import dataclass, field

from batch_engine.core.capacity.autoscaler import Scaling
from batch_engine.core.capacity.fleet import Instance, InstanceState, need_of
from batch_engine.core.model.jobs import Job, JobStatus, WaitReason
from batch_engine.core.state.registry import Registry


@dataclass(slots=True)
class _Gang:
    """A multi-node job whose instances are reserved, each for a node, until all of them are ready."""

    job: Job
    instances: list[str]
    missing: set[str] = field(default_factory=set)


class Launching:
    """The jobs that have their room on launching instances.

    Args:
        registry: knows the jobs.
        scaling: launches instances and reserves their room.
    """

    def __init__(self, registry: Registry, scaling: Scaling) -> None:
        self._registry = registry
        self._scaling = scaling
        self._held: dict[str, dict[str, Job]] = {}
        self._gangs: dict[str, _Gang] = {}

    def hold(self, job: Job, instance: Instance) -> None:
        """Reserves room for a job on a launching instance, which other jobs may share."""
        self._scaling.put(instance, job.id, need_of(job))
        self._wait(job, f"instance {instance.id} ({instance.type}) is launching")

    def hold_gang(self, job: Job, nodes: list[Job], instances: list[Instance]) -> None:
        """Reserves the instances of a multi-node job until the last of them is ready."""
        gang = _Gang(job, [instance.id for instance in instances])
        for node, instance in zip(nodes, instances, strict=True):
            if instance.state is InstanceState.LAUNCHING:
                gang.missing.add(instance.id)
            self._scaling.reserve_whole(instance, node.id)
        self._gangs[job.id] = gang
        self._wait(job, f"{len(gang.missing)} of {len(nodes)} instances are launching")

    def _wait(self, job: Job, sentence: str) -> None:
        self._held.setdefault(job.queue, {})[job.id] = job
        self._registry.index.provided(job)
        job.wait_reason = WaitReason.INSTANCE_LAUNCHING
        job.status_reason = f"{job.wait_reason} - {sentence}"
        self._registry.touch(job)

    def ready(self, instance_id: str) -> list[Job]:
        """Makes an instance that has joined its cluster READY.

        Returns:
            The RUNNABLE jobs to put back in their lines.
        """
        gang = self._gang_on_instance(instance_id)
        if gang is None:
            return self._take_back(self._scaling.ready(instance_id))
        gang.missing.discard(instance_id)
        return [] if gang.missing else self._break_up(gang)

    def gone(self, instance_id: str) -> list[Job]:
        """Gives up an instance that will never be ready.

        Returns:
            The RUNNABLE jobs to put back in their lines.
        """
        gang = self._gang_on_instance(instance_id)
        if gang is None:
            return self._take_back(self._scaling.ready(instance_id))
        gang.missing.discard(instance_id)
        return self._break_up(gang)

    def _gang_on_instance(self, instance_id: str) -> _Gang | None:
        instance = self._scaling.instances.get(instance_id)
        for job_id in instance.jobs if instance is not None else ():
            node = self._registry.jobs.get(job_id)  # a job that was cancelled may be forgotten by now
            if node is not None and node.node_index is not None and instance_id in self._instances_of(node):
                return self._gangs[node.parent_id or ""]
        return None

    def _instances_of(self, node: Job) -> list[str]:
        gang = self._gangs.get(node.parent_id or "")
        return [] if gang is None else gang.instances

    def _break_up(self, gang: _Gang) -> list[Job]:
        """Releases the instances that are reserved for a job."""
        del self._gangs[gang.job.id]
        for instance_id in gang.instances:
            if instance_id in gang.missing:
                self._scaling.release_reservation(instance_id)
            else:
                self._scaling.ready(instance_id)
        return self._take_back([gang.job.id])

    def _take_back(self, job_ids: list[str]) -> list[Job]:
        found = []
        for job_id in job_ids:
            job = self._registry.jobs.get(job_id)
            if job is None:
                continue
            self._held.get(job.queue, {}).pop(job_id, None)
            self._registry.index.clear_provided(job)
            if job.status is JobStatus.RUNNABLE:
                job.wait_reason = job.status_reason = None
                self._registry.touch(job)
                found.append(job)
        return found

    def of_queue(self, queue: str) -> list[Job]:
        """Returns the RUNNABLE jobs of a queue whose instances are being launched."""
        return [job for job in self._held.get(queue, {}).values() if job.status is JobStatus.RUNNABLE]

    def first(self, queue: str) -> Job | None:
        """Returns the earliest job of a queue that waits for instances."""
        held = self._held.get(queue)
        while held:
            job = next(iter(held.values()))
            if job.status is JobStatus.RUNNABLE:
                return job
            del held[job.id]
        return None

    def drop(self, queue: str) -> None:
        """Forgets a deleted queue."""
        self._held.pop(queue, None)
