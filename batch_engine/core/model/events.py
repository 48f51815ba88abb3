"""What can happen: everything that ``Scheduler.handle`` is told."""

from dataclasses import dataclass

from batch_engine.core.model.jobs import Job


@dataclass(frozen=True, slots=True)
class JobSubmitted:
    """SubmitJob was accepted; ``job`` stands in SUBMITTED and is not yet known to the scheduler, nor are the
    nodes of a multi-node parallel job."""

    job: Job
    nodes: tuple[Job, ...] = ()


@dataclass(frozen=True, slots=True)
class JobCancelled:
    """CancelJob was called."""

    job_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class JobTerminated:
    """TerminateJob was called."""

    job_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class AttemptStarted:
    """The container of an attempt is up."""

    job_id: str
    attempt: int


@dataclass(frozen=True, slots=True)
class AttemptFinished:
    """An attempt is over: its container ended, or never came up.

    ``exit_code`` is None where the container did not report one.
    """

    job_id: str
    attempt: int
    exit_code: int | None
    reason: str | None = None
    status_reason: str = "Essential container in task exited"


@dataclass(frozen=True, slots=True)
class HostLost:
    """The machine under an attempt is gone, and the attempt with it: a Spot reclaim, a crash, a power cut."""

    job_id: str
    attempt: int


@dataclass(frozen=True, slots=True)
class TimerFired:
    """A timer that a SetTimer action asked for has run out."""

    job_id: str
    attempt: int


@dataclass(frozen=True, slots=True)
class ResourcesChanged:
    """A compute environment or a queue was created, changed or deleted."""


@dataclass(frozen=True, slots=True)
class QueueDeleted:
    """DeleteJobQueue was called for a queue that may still hold jobs."""

    queue: str


@dataclass(frozen=True, slots=True)
class InstanceReady:
    """An instance that a LaunchInstance action asked for has joined its cluster."""

    instance_id: str


@dataclass(frozen=True, slots=True)
class InstanceLost:
    """An instance is gone, and every attempt on it."""

    instance_id: str


@dataclass(frozen=True, slots=True)
class InstanceInterrupted:
    """EC2 takes an instance back ``notice_s`` seconds from now: Spot's two-minute warning."""

    instance_id: str
    notice_s: float


@dataclass(frozen=True, slots=True)
class AttemptInterrupted:
    """The host under one attempt is taken back ``notice_s`` seconds from now, as Fargate Spot does it."""

    job_id: str
    attempt: int
    notice_s: float


@dataclass(frozen=True, slots=True)
class CapacityChanged:
    """Which instance types cannot be had from now on."""

    unavailable_types: frozenset[str]


@dataclass(frozen=True, slots=True)
class RolesChanged:
    """Which IAM roles (and instance profiles) AWS Batch cannot assume from now on, and which of those that it
    assumes do not allow it what it needs; as compute environments name them."""

    unusable: frozenset[str] = frozenset()
    denied: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Woken:
    """The moment that a WakeAt action asked for has come."""


Event = (
    JobSubmitted
    | JobCancelled
    | JobTerminated
    | AttemptStarted
    | AttemptFinished
    | HostLost
    | TimerFired
    | ResourcesChanged
    | QueueDeleted
    | InstanceReady
    | InstanceLost
    | InstanceInterrupted
    | AttemptInterrupted
    | CapacityChanged
    | RolesChanged
    | Woken
)
