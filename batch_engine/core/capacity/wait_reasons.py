"""The ways in which a compute environment does not take a job just now.

https://docs.aws.amazon.com/batch/latest/userguide/job_stuck_in_runnable.html
"""

from dataclasses import dataclass

from batch_engine.core.model.jobs import WaitReason


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a job is not placed now: a reason to act on and a sentence to read."""

    reason: WaitReason
    sentence: str


def vcpus(milli: int) -> str:
    """Thousandths of a vCPU, to read."""
    return f"{milli / 1000:g}"


def too_large() -> Refusal:
    """maxvCpus can never hold the job."""
    return Refusal(
        WaitReason.COMPUTE_ENVIRONMENT_MAX_RESOURCE,
        "CE(s) associated with the job queue cannot meet the CPU requirement of the job.",
    )


def resource_requirement(unknown: tuple[str, ...]) -> Refusal:
    """No instance type that the environment may launch is large enough."""
    sentence = (
        "The job resource requirement (vCPU/memory/GPU) is higher than that can be met by the CE(s) attached "
        "to the job queue."
    )
    if unknown:
        sentence += f" Instance types that this engine does not know are not used: {', '.join(unknown)}."
    return Refusal(WaitReason.JOB_RESOURCE_REQUIREMENT, sentence)


def unsupported() -> Refusal:
    """The types that the environment names do not run its image."""
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


def telling(refusals: list[Refusal]) -> Refusal:
    """The one of several environments' refusals that says most.

    A wait that will end by itself comes first, then what one change would cure, then the rest.
    """
    if not refusals:
        return invalid()
    return max(
        refusals,
        key=lambda item: _URGENCY.index(item.reason) if item.reason in _URGENCY else len(_URGENCY),
    )


def invalid() -> Refusal:
    """No compute environment of a queue is VALID."""
    return Refusal(WaitReason.QUEUE_WITHOUT_COMPUTE, "CE(s) associated with the job queue are invalid.")
