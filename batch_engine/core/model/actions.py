"""What is to be done about it: everything that ``Scheduler.handle`` answers."""

import math
from dataclasses import dataclass

from batch_engine.core.model.jobs import Job, StopCause
from batch_engine.core.model.wire import Wire

STOP_GRACE_S = 30
"""Between SIGTERM and SIGKILL: the stop timeout of ECS, where a container names no other."""


def stop_grace_s(job: Job, notice_s: float = math.inf) -> float:
    """Between SIGTERM and SIGKILL of a job's container: its ``stopTimeout``, while its host is there.

    https://docs.aws.amazon.com/batch/latest/APIReference/API_TaskContainerProperties.html

    Args:
        job: a job or a node, with a container of its own.
        notice_s: seconds until its host is gone.
    """
    return min(float(job.container.get("stopTimeout", STOP_GRACE_S)), notice_s)


@dataclass(frozen=True, slots=True)
class StartAttempt:
    """Start the container of an attempt, on the compute environment that it was placed on."""

    job_id: str
    attempt: int


@dataclass(frozen=True, slots=True)
class StopAttempt:
    """Stop it: SIGTERM, and SIGKILL ``grace_s`` seconds later."""

    job_id: str
    attempt: int
    cause: StopCause
    grace_s: float = STOP_GRACE_S


@dataclass(frozen=True, slots=True)
class SetTimer:
    """Say ``TimerFired`` at ``at_ms``, unless the attempt is over by then."""

    job_id: str
    attempt: int
    at_ms: int


@dataclass(frozen=True, slots=True)
class PublishJobState:
    """Tell the world: the "Batch Job State Change" event.

    ``detail`` is the job as it stood at that very moment: one call of ``handle`` may move a job twice.
    """

    job_id: str
    detail: Wire


@dataclass(frozen=True, slots=True)
class PublishQueueBlocked:
    """Tell the world that the head of a queue cannot run: the "Batch Job Queue Blocked" event."""

    job_id: str
    queue_arn: str
    detail: Wire


@dataclass(frozen=True, slots=True)
class LaunchInstance:
    """A compute environment needs one more instance; where that takes time, ``InstanceReady`` ends it."""

    instance_id: str
    instance_type: str
    compute_environment: str


@dataclass(frozen=True, slots=True)
class TerminateInstance:
    """An instance is given back."""

    instance_id: str
    compute_environment: str


@dataclass(frozen=True, slots=True)
class WakeAt:
    """Say ``Woken`` at ``at_ms``."""

    at_ms: int


Action = (
    StartAttempt
    | StopAttempt
    | SetTimer
    | PublishJobState
    | PublishQueueBlocked
    | LaunchInstance
    | TerminateInstance
    | WakeAt
)
