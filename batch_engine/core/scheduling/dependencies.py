"""Dependencies between jobs.

https://docs.aws.amazon.com/batch/latest/userguide/job_dependencies.html
"""

from enum import Enum

from batch_engine.core.model.errors import ClientError
from batch_engine.core.model.jobs import Dependency, Job, JobStatus
from batch_engine.core.model.wire import Wire
from batch_engine.core.state import arrays
from batch_engine.core.state.registry import Registry

MAX_DEPENDENCIES = 20
N_TO_N, SEQUENTIAL = "N_TO_N", "SEQUENTIAL"
DEPENDENT_FAILED_REASON = "Dependent Job failed"


class Verdict(Enum):
    """The state of the dependencies of a job."""

    WAIT = "WAIT"
    MET = "MET"
    FAILED = "FAILED"


def parse(registry: Registry, wires: list[Wire] | None, array_size: int | None) -> tuple[Dependency, ...]:
    """Reads and checks ``dependsOn``.

    Args:
        registry: the resources and jobs.
        wires: ``dependsOn`` as on the wire.
        array_size: the size of the job that waits; None if it is not an array.

    Raises:
        ClientError: there are too many entries, a job is unknown, or a type does not suit the jobs.
    """
    if len(wires or []) > MAX_DEPENDENCIES:
        raise ClientError(f"dependsOn must have at most {MAX_DEPENDENCIES} entries, got {len(wires or [])}")
    return tuple(
        _parse_one(registry, wire, array_size, f"dependsOn[{place}]")
        for place, wire in enumerate(wires or [])
    )


def _parse_one(registry: Registry, wire: Wire, array_size: int | None, where: str) -> Dependency:
    job_id, kind = wire.get("jobId") or None, wire.get("type") or None
    if kind not in (None, N_TO_N, SEQUENTIAL):
        raise ClientError(f"{where}.type must be {N_TO_N} or {SEQUENTIAL}, got {kind}")
    if kind is not None and array_size is None:
        raise ClientError(f"{where}.type {kind} is only for array jobs")
    if kind == SEQUENTIAL:
        if job_id is not None:
            raise ClientError(f"{where}.jobId cannot be given with type {SEQUENTIAL}")
        return Dependency(None, kind)
    if job_id is None:
        raise ClientError(f"{where}.jobId is required")
    job = arrays.find(registry, job_id)
    if job is None:
        raise ClientError(f"{where}.jobId: job {job_id} does not exist")
    if job.node_index is not None:
        raise ClientError(f"{where}.jobId: {job_id} is a node, name the whole job {job.parent_id}")
    if kind == N_TO_N and not job.is_array:
        raise ClientError(f"{where}.type {N_TO_N} needs an array job, and job {job_id} is not one")
    if kind == N_TO_N and job.array_size != array_size:
        raise ClientError(
            f"{where}.type {N_TO_N} needs arrays of equal size: job {job_id} has {job.array_size} children "
            f"and this job {array_size}"
        )
    return Dependency(job.id, kind)


class Dependencies:
    """The index from a job to the jobs that depend on it.

    Args:
        registry: the jobs.
    """

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._dependents: dict[str, list[str]] = {}
        self._pairs: dict[str, list[str]] = {}
        self._unmet: dict[str, set[str]] = {}

    def watch(self, job: Job) -> Verdict:
        """Follows the dependencies of a job, and returns the state of those on whole jobs."""
        unmet: set[str] = set()
        for dependency in job.depends_on:
            if dependency.job_id is None:
                continue
            if dependency.type == N_TO_N:
                self._pairs.setdefault(dependency.job_id, []).append(job.id)
                continue
            status = self._status(dependency.job_id)
            if status is JobStatus.FAILED:
                return Verdict.FAILED
            if status is not JobStatus.SUCCEEDED:
                unmet.add(dependency.job_id)
        for job_id in unmet:
            self._dependents.setdefault(job_id, []).append(job.id)
        if unmet:
            self._unmet[job.id] = unmet
        return Verdict.WAIT if unmet else Verdict.MET

    def verdict(self, job: Job) -> Verdict:
        """Returns the present state of the dependencies on whole jobs."""
        found = [
            self._status(item.job_id)
            for item in job.depends_on
            if item.job_id is not None and item.type != N_TO_N
        ]
        if JobStatus.FAILED in found:
            return Verdict.FAILED
        return Verdict.MET if all(status is JobStatus.SUCCEEDED for status in found) else Verdict.WAIT

    def _status(self, job_id: str) -> JobStatus:
        """Returns the status of a job. A forgotten job SUCCEEDED, or its dependents have FAILED."""
        job = arrays.find(self._registry, job_id)
        return JobStatus.SUCCEEDED if job is None else job.status

    def ended(self, job: Job) -> list[tuple[Job, Verdict]]:
        """Returns the jobs that waited for this whole job, each with the state of its dependencies."""
        concerned: list[tuple[Job, Verdict]] = []
        if job.id not in self._dependents:
            return concerned
        for waiting_id in self._dependents.pop(job.id):
            unmet = self._unmet.get(waiting_id)
            if unmet is None:  # a job that failed with another one may be forgotten by now
                continue
            waiting = self._registry.jobs[waiting_id]
            if job.status is JobStatus.FAILED:
                concerned.append((waiting, Verdict.FAILED))
                continue
            unmet.discard(job.id)
            if not unmet:
                del self._unmet[waiting_id]
                concerned.append((waiting, Verdict.MET))
        return concerned

    def pairs(self, parent_id: str) -> list[Job]:
        """Returns the arrays whose children wait for the children of this one with the same index."""
        waiting = self._pairs.get(parent_id)
        return [] if waiting is None else [self._registry.jobs[job_id] for job_id in waiting]

    def is_awaited(self, job: Job) -> bool:
        """Returns whether an array that has not ended waits for the children of this one."""
        return job.id in self._pairs

    def stop_waiting(self, job: Job) -> None:
        """Removes the dependencies of a job that has ended."""
        self._unmet.pop(job.id, None)
        for dependency in job.depends_on:
            waiting = self._pairs.get(dependency.job_id or "", [])
            if job.id in waiting:
                waiting.remove(job.id)
                if not waiting:
                    del self._pairs[dependency.job_id or ""]

    def of_child(self, parent: Job, index: int) -> Verdict:
        """Returns the state of all dependencies of one child of an array."""
        if self._unmet.get(parent.id):
            return Verdict.WAIT
        verdict = Verdict.MET
        for dependency in parent.depends_on:
            if dependency.type == N_TO_N:
                status = self._status(f"{dependency.job_id}:{index}")
            elif dependency.type == SEQUENTIAL and index > 0:
                status = self._status(f"{parent.id}:{index - 1}")
            else:
                continue
            if status is JobStatus.FAILED:
                return Verdict.FAILED
            if status is not JobStatus.SUCCEEDED:
                verdict = Verdict.WAIT
        return verdict


def is_sequential(parent: Job) -> bool:
    """Returns whether the children of an array run one after the other."""
    return any(dependency.type == SEQUENTIAL for dependency in parent.depends_on)


def is_child_by_child(parent: Job) -> bool:
    """Returns whether the children of an array are released one by one."""
    return any(dependency.type is not None for dependency in parent.depends_on)
