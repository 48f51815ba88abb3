"""The reasons why a compute environment does not take a job at present.

https://docs.aws.amazon.com/batch/latest/userguide/job_stuck_in_runnable.html
"""

from dataclasses import dataclass, field
from functools import lru_cache

from batch_engine.core.model.jobs import WaitReason


@dataclass(frozen=True, slots=True)
class Refusal:
    """The reason why a job is not placed now, as a value and as a sentence.

    ``status_reason`` joins both, as the job shows it. The functions that return refusals are cached: on a
    full machine the heads of a queue wait, one after the other, for the same reason.
    """

    reason: WaitReason
    sentence: str
    status_reason: str = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "status_reason", f"{self.reason} - {self.sentence}")


def vcpus(milli: int) -> str:
    """Returns thousandths of a vCPU as vCPUs, in words for people."""
    return f"{milli / 1000:g}"


@lru_cache(maxsize=1)
def too_large() -> Refusal:
    """Returns the refusal of a job that is larger than maxvCpus."""
    return Refusal(
        WaitReason.COMPUTE_ENVIRONMENT_MAX_RESOURCE,
        "CE(s) associated with the job queue cannot meet the CPU requirement of the job.",
    )


@lru_cache(maxsize=64)
def instances_full(
    environment: str, milli_vcpus: int, limit_milli_vcpus: int, need_milli_vcpus: int, need_mib: int
) -> Refusal:
    """Returns the refusal of an environment whose instances are all taken and that cannot launch another."""
    return Refusal(
        WaitReason.COMPUTE_ENVIRONMENT_FULL,
        f"compute environment {environment} has instances of {vcpus(milli_vcpus)} vCPUs, "
        f"its maxvCpus are {vcpus(limit_milli_vcpus)} and no instance has room for "
        f"{vcpus(need_milli_vcpus)} vCPUs and {need_mib} MiB",
    )


@lru_cache(maxsize=64)
def vcpus_full(environment: str, used: int, limit: int, needed: int) -> Refusal:
    """Returns the refusal of an environment without instances whose jobs use its maxvCpus."""
    return Refusal(
        WaitReason.COMPUTE_ENVIRONMENT_FULL,
        f"compute environment {environment} has {vcpus(used)} of {vcpus(limit)} vCPUs in use "
        f"and the job needs {vcpus(needed)}",
    )


@lru_cache(maxsize=64)
def host_vcpus_full(used: int, limit: int, needed: int) -> Refusal:
    """Returns the refusal of a machine whose cores are taken."""
    return Refusal(
        WaitReason.HOST_FULL,
        f"this machine has {vcpus(used)} of {vcpus(limit)} vCPUs in use and the job needs {vcpus(needed)}",
    )


@lru_cache(maxsize=64)
def host_memory_full(used_mib: int, limit_mib: int, needed_mib: int) -> Refusal:
    """Returns the refusal of a machine whose memory is taken."""
    return Refusal(
        WaitReason.HOST_FULL,
        f"this machine has {used_mib} of {limit_mib} MiB in use and the job needs {needed_mib}",
    )


@lru_cache(maxsize=64)
def behind(job_id: str) -> Refusal:
    """Returns the refusal of a job while the instance of an earlier one is launching."""
    return Refusal(WaitReason.BEHIND_OTHERS, f"job {job_id} is first and its instance is launching")


def resource_requirement(unknown: tuple[str, ...]) -> Refusal:
    """Returns the refusal of an environment whose instance types are all too small."""
    sentence = (
        "The job resource requirement (vCPU/memory/GPU) is higher than that can be met by the CE(s) attached "
        "to the job queue."
    )
    if unknown:
        sentence += f" Instance types that this engine does not know are not used: {', '.join(unknown)}."
    return Refusal(WaitReason.JOB_RESOURCE_REQUIREMENT, sentence)


def unsupported() -> Refusal:
    """Returns the refusal of an environment whose instance types do not run its image."""
    return Refusal(
        WaitReason.INSTANCE_CONFIGURATION_UNSUPPORTED,
        "Your compute environment associated with this job queue has an unsupported instance type "
        "configuration.",
    )


_URGENCY = (
    WaitReason.QUEUE_WITHOUT_COMPUTE,
    WaitReason.COMPUTE_ENVIRONMENT_DISABLED,
    WaitReason.JOB_RESOURCE_REQUIREMENT,
    WaitReason.COMPUTE_ENVIRONMENT_MAX_RESOURCE,
    WaitReason.INSTANCE_CONFIGURATION_UNSUPPORTED,
    WaitReason.SERVICE_ROLE_PERMISSIONS,
    WaitReason.UNDETERMINED,
    WaitReason.INSUFFICIENT_INSTANCE_CAPACITY,
)


def most_actionable(refusals: list[Refusal]) -> Refusal:
    """Returns the most actionable one of several environments' refusals.

    A wait that ends by itself comes first, then reasons that one change would remove, then the rest.
    """
    if not refusals:
        return invalid()
    if len(refusals) == 1:
        return refusals[0]
    return max(
        refusals,
        key=lambda item: _URGENCY.index(item.reason) if item.reason in _URGENCY else len(_URGENCY),
    )


def invalid() -> Refusal:
    """Returns the refusal of a queue without a VALID compute environment."""
    return Refusal(WaitReason.QUEUE_WITHOUT_COMPUTE, "CE(s) associated with the job queue are invalid.")
