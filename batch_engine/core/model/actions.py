"""The decisions that ``Scheduler.handle`` returns.

Each action carries ``event``, the number of the event in the event log that led to it.
"""

import math
from dataclasses import field

from batch_engine.core.model.jobs import Job, JobStatus, StopCause
from batch_engine.core.model.value import value
from batch_engine.core.model.wire import Wire

STOP_GRACE_S = 30
"""Seconds between SIGTERM and SIGKILL where a container sets no ``stopTimeout``: the default of ECS."""


def stop_grace_s(job: Job, notice_s: float = math.inf) -> float:
    """Returns the seconds between SIGTERM and SIGKILL of a container: its ``stopTimeout`` if it has a host.

    https://docs.aws.amazon.com/batch/latest/APIReference/API_TaskContainerProperties.html

    Args:
        job: a job or a node, with a container of its own.
        notice_s: the seconds until its host is gone; infinite if the host stays.
    """
    return min(float(job.container.get("stopTimeout", STOP_GRACE_S)), notice_s)


@value
class StartAttempt:
    """Starts the container of an attempt on the compute environment where it was placed."""

    job_id: str
    attempt: int
    event: int = field(default=0, compare=False)


@value
class StopAttempt:
    """Stops the container of an attempt: SIGTERM, then SIGKILL ``grace_s`` seconds later."""

    job_id: str
    attempt: int
    cause: StopCause
    grace_s: float = STOP_GRACE_S
    event: int = field(default=0, compare=False)


@value
class JobMoved:
    """Reports that a job has moved to another state."""

    job_id: str
    before: JobStatus
    after: JobStatus
    reason: str | None
    event: int = field(default=0, compare=False)


@value
class PublishJobState:
    """Publishes the "Batch Job State Change" event.

    ``detail`` is the job as it was at that moment: one call of ``handle`` may move a job twice.
    """

    job_id: str
    detail: Wire
    event: int = field(default=0, compare=False)


@value
class PublishQueueBlocked:
    """Publishes the "Batch Job Queue Blocked" event: the head of a queue cannot run."""

    job_id: str
    queue_arn: str
    detail: Wire
    event: int = field(default=0, compare=False)


@value
class LaunchInstance:
    """Launches an instance for a compute environment; if that takes time, ``InstanceReady`` follows."""

    instance_id: str
    instance_type: str
    compute_environment: str
    event: int = field(default=0, compare=False)


@value
class TerminateInstance:
    """Terminates an instance."""

    instance_id: str
    compute_environment: str
    event: int = field(default=0, compare=False)


@value
class WakeAt:
    """Asks for a ``Woken`` event at ``at_ms``."""

    at_ms: int
    event: int = field(default=0, compare=False)


Action = (
    StartAttempt
    | StopAttempt
    | JobMoved
    | PublishJobState
    | PublishQueueBlocked
    | LaunchInstance
    | TerminateInstance
    | WakeAt
)
