"""Who uses how much: vCPUs by compute environment, vCPUs and memory of the machine underneath."""

from dataclasses import dataclass, field

from batch_engine.core.model import ComputeEnvironment, Job, State, WaitReason


@dataclass(frozen=True, slots=True)
class HostLimits:
    """What the machine underneath can run at once; None is no limit, as in AWS itself."""

    milli_vcpus: int | None = None
    memory_mib: int | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a job is not placed now: a reason to act on and a sentence to read."""

    reason: WaitReason
    sentence: str


def _vcpus(milli: int) -> str:
    return f"{milli / 1000:g}"


@dataclass(slots=True)
class Capacity:
    """Counts what placed jobs hold. A job larger than the whole machine holds all of it and so runs alone."""

    host: HostLimits = field(default_factory=HostLimits)
    in_use_milli_vcpus: dict[str, int] = field(default_factory=dict)
    host_milli_vcpus: int = 0
    host_memory_mib: int = 0

    def _host_share(self, job: Job) -> tuple[int, int]:
        milli_vcpus, memory_mib = job.milli_vcpus, job.memory_mib
        if self.host.milli_vcpus is not None:
            milli_vcpus = min(milli_vcpus, self.host.milli_vcpus)
        if self.host.memory_mib is not None:
            memory_mib = min(memory_mib, self.host.memory_mib)
        return milli_vcpus, memory_mib

    def refusal(self, job: Job, environment: ComputeEnvironment) -> Refusal | None:
        """Why a compute environment does not take a job just now, or None where it does."""
        limit = environment.max_milli_vcpus
        if environment.status != "VALID" or environment.state is State.DISABLED:
            state = environment.state if environment.status == "VALID" else environment.status
            return Refusal(
                WaitReason.QUEUE_WITHOUT_COMPUTE, f"compute environment {environment.name} is {state}"
            )
        if limit is not None and job.milli_vcpus > limit:
            return Refusal(
                WaitReason.COMPUTE_ENVIRONMENT_MAX_RESOURCE,
                "CE(s) associated with the job queue cannot meet the CPU requirement of the job.",
            )
        used = self.in_use_milli_vcpus.get(environment.name, 0)
        if limit is not None and used + job.milli_vcpus > limit:
            return Refusal(
                WaitReason.COMPUTE_ENVIRONMENT_FULL,
                f"compute environment {environment.name} has {_vcpus(used)} of {_vcpus(limit)} vCPUs in use "
                f"and the job needs {_vcpus(job.milli_vcpus)}",
            )
        return self._host_refusal(job)

    def _host_refusal(self, job: Job) -> Refusal | None:
        milli_vcpus, memory_mib = self._host_share(job)
        if self.host.milli_vcpus is not None and self.host_milli_vcpus + milli_vcpus > self.host.milli_vcpus:
            return Refusal(
                WaitReason.HOST_FULL,
                f"this machine has {_vcpus(self.host_milli_vcpus)} of {_vcpus(self.host.milli_vcpus)} vCPUs "
                f"in use and the job needs {_vcpus(job.milli_vcpus)}",
            )
        if self.host.memory_mib is not None and self.host_memory_mib + memory_mib > self.host.memory_mib:
            return Refusal(
                WaitReason.HOST_FULL,
                f"this machine has {self.host_memory_mib} of {self.host.memory_mib} MiB in use "
                f"and the job needs {job.memory_mib}",
            )
        return None

    def take(self, job: Job, environment: str) -> None:
        """Count a job as placed."""
        self._count(job, environment, 1)

    def release(self, job: Job, environment: str) -> None:
        """Count it as gone."""
        self._count(job, environment, -1)

    def _count(self, job: Job, environment: str, sign: int) -> None:
        milli_vcpus, memory_mib = self._host_share(job)
        self.in_use_milli_vcpus[environment] = (
            self.in_use_milli_vcpus.get(environment, 0) + sign * job.milli_vcpus
        )
        self.host_milli_vcpus += sign * milli_vcpus
        self.host_memory_mib += sign * memory_mib
