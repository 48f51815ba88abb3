"""The events that ``Scheduler.handle`` takes in. They carry all changes, and are never changed themselves."""

from collections.abc import Mapping
from dataclasses import field

from batch_engine.core.model.jobs import Job
from batch_engine.core.model.resources import Resource
from batch_engine.core.model.value import value


@value
class JobSubmitted:
    """SubmitJob was accepted. ``job`` is in SUBMITTED and not yet in the registry; neither are its ``nodes``.

    The scheduler keeps these objects. Later only their states change, and ``tags`` keeps the tags of the
    submission, so that ``as_submitted`` returns the original event.
    """

    job: Job
    nodes: tuple[Job, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)

    def as_submitted(self) -> "JobSubmitted":
        """Returns the event with new jobs in the state of their submission."""
        job = self.job.as_submitted()
        job.tags = dict(self.tags)
        return JobSubmitted(job, tuple(node.as_submitted() for node in self.nodes), self.tags)


@value
class JobCancelled:
    """CancelJob was called."""

    job_id: str
    reason: str


@value
class JobTerminated:
    """TerminateJob was called."""

    job_id: str
    reason: str


@value
class ResourcesChanged:
    """Resources were created, updated or deleted. An empty event makes the scheduler check all of them.

    Args:
        put: the resources that are new or have new values. The scheduler stores copies.
        removed: the resources that are gone.
    """

    put: tuple[Resource, ...] = ()
    removed: tuple[Resource, ...] = ()


@value
class TagsChanged:
    """The tags of a resource or of a job were replaced by ``tags``."""

    arn: str
    tags: Mapping[str, str]


@value
class QueueDeleted:
    """DeleteJobQueue was called for a queue that may still hold jobs."""

    queue: str


@value
class AttemptStarted:
    """The container of an attempt is up."""

    job_id: str
    attempt: int


@value
class AttemptFinished:
    """An attempt is over: its container ended, or never came up.

    ``exit_code`` is None if the container did not report one.
    """

    job_id: str
    attempt: int
    exit_code: int | None
    reason: str | None = None
    status_reason: str = "Essential container in task exited"


@value
class HostLost:
    """The machine under an attempt is gone, and the attempt with it: a Spot reclaim, a crash, a power cut."""

    job_id: str
    attempt: int


@value
class InstanceReady:
    """An instance that a LaunchInstance action asked for has joined its cluster."""

    instance_id: str


@value
class InstanceLost:
    """An instance is gone, and every attempt on it."""

    instance_id: str


@value
class InstanceInterrupted:
    """EC2 takes an instance back ``notice_s`` seconds from now: Spot's two-minute warning."""

    instance_id: str
    notice_s: float


@value
class AttemptInterrupted:
    """The host under one attempt is taken back ``notice_s`` seconds from now, as Fargate Spot does it."""

    job_id: str
    attempt: int
    notice_s: float


@value
class CapacityChanged:
    """The instance types that EC2 cannot launch from now on."""

    unavailable_types: frozenset[str]


@value
class RolesChanged:
    """The IAM roles and instance profiles that AWS Batch cannot use from now on, as environments name them.

    ``unusable``: it cannot assume them. ``denied``: they do not allow it to launch instances.
    """

    unusable: frozenset[str] = frozenset()
    denied: frozenset[str] = frozenset()


@value
class Woken:
    """The time of a WakeAt action has come."""


Event = (
    JobSubmitted
    | JobCancelled
    | JobTerminated
    | AttemptStarted
    | AttemptFinished
    | HostLost
    | ResourcesChanged
    | TagsChanged
    | QueueDeleted
    | InstanceReady
    | InstanceLost
    | InstanceInterrupted
    | AttemptInterrupted
    | CapacityChanged
    | RolesChanged
    | Woken
)

REQUESTS = (JobSubmitted, JobCancelled, JobTerminated, ResourcesChanged, TagsChanged, QueueDeleted)
"""The events that an API operation waits for: one that fails is refused, and leaves everything as it was."""
