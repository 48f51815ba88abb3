"""Jobs of AWS Batch and their attempts.

Wire-shaped parts that no decision depends on are plain dictionaries with AWS's own camelCase members.
Times are epoch milliseconds, vCPUs are thousandths, so that a sum of quarter vCPUs is exact.
"""

from dataclasses import dataclass, field, fields
from enum import StrEnum

from batch_engine.core.model.resources import Platform
from batch_engine.core.model.wire import Wire


class JobStatus(StrEnum):
    """The states of a job.

    https://docs.aws.amazon.com/batch/latest/userguide/job_states.html
    """

    SUBMITTED = "SUBMITTED"
    PENDING = "PENDING"
    RUNNABLE = "RUNNABLE"
    STARTING = "STARTING"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"

    # These are read dozens of times a job, and an enumeration's own properties and hash are slow.
    __hash__ = str.__hash__

    def __init__(self, value: str) -> None:
        self.is_terminal = value in ("SUCCEEDED", "FAILED")
        """Whether a job in this state can never leave it."""
        self.is_placed = value in ("STARTING", "RUNNING")
        """Whether a job in this state holds capacity."""
        self.place = len(type(self).__members__)
        """The place in this table: ``STATUSES[status.place]`` is the status."""


STATUSES = tuple(JobStatus)
_PLACE_BITS = 3


def move_of(at_ms: int, status: JobStatus) -> int:
    """Returns a moment in epoch milliseconds and a status as one number.

    A hundred thousand jobs make half a million moves, and the garbage collector would look at every tuple
    again and again.
    """
    return at_ms << _PLACE_BITS | status.place


class RetryAction(StrEnum):
    """The actions of an ``evaluateOnExit`` entry."""

    RETRY = "RETRY"
    EXIT = "EXIT"


@dataclass(frozen=True, slots=True)
class EvaluateOnExit:
    """One condition of a retry strategy; None means that the field was not given."""

    action: RetryAction
    on_status_reason: str | None = None
    on_reason: str | None = None
    on_exit_code: str | None = None


@dataclass(frozen=True, slots=True)
class RetryStrategy:
    """The number of attempts of a job, and the failures after which it is retried."""

    attempts: int = 1
    evaluate_on_exit: tuple[EvaluateOnExit, ...] = ()


@dataclass(slots=True)
class Attempt:
    """One try at a job, from its placement to its end.

    ``task_id`` is None if it follows from the job (see ``tasks``): only attempts that an earlier version of
    the program saved have one of their own.
    """

    number: int
    compute_environment: str
    instance_id: str
    container_instance_arn: str | None
    cluster_arn: str
    task_id: str | None = None
    private_ipv4: str | None = None
    main_private_ipv4: str | None = None
    started_at_ms: int | None = None
    stopped_at_ms: int | None = None
    exit_code: int | None = None
    reason: str | None = None
    status_reason: str | None = None


class WaitReason(StrEnum):
    """The reasons why a RUNNABLE job is not placed at present."""

    BEHIND_OTHERS = "BEHIND_OTHERS"
    QUEUE_WITHOUT_COMPUTE = "ACTION_REQUIRED"
    COMPUTE_ENVIRONMENT_DISABLED = "COMPUTE_ENVIRONMENT_DISABLED"
    COMPUTE_ENVIRONMENT_FULL = "COMPUTE_ENVIRONMENT_FULL"
    COMPUTE_ENVIRONMENT_MAX_RESOURCE = "MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE"
    JOB_RESOURCE_REQUIREMENT = "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT"
    INSUFFICIENT_INSTANCE_CAPACITY = "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY"
    INSTANCE_CONFIGURATION_UNSUPPORTED = "MISCONFIGURATION:EC2_INSTANCE_CONFIGURATION_UNSUPPORTED"
    SERVICE_ROLE_PERMISSIONS = "MISCONFIGURATION:SERVICE_ROLE_PERMISSIONS"
    UNDETERMINED = "UNDETERMINED"
    INSTANCE_LAUNCHING = "INSTANCE_LAUNCHING"
    SHARE_RESERVATION = "SHARE_RESERVATION"
    CONSUMABLE_RESOURCE = "CONSUMABLE_RESOURCE"
    HOST_FULL = "HOST_FULL"

    # These are read for each job at the head of its queue; an attribute costs a tenth of a property.
    def __init__(self, value: str) -> None:
        self.is_blocked = ":" in value or value in ("ACTION_REQUIRED", "UNDETERMINED")
        """Whether AWS Batch itself calls a queue blocked for this reason, and not merely busy."""
        short = "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY"
        bounded = value if self.is_blocked else None
        self.limited_as: str | None = short if value == "CONSUMABLE_RESOURCE" else bounded
        """The ``reason`` of the queue's ``jobStateTimeLimitActions`` that bounds this wait; None for a wait
        that AWS Batch does not bound. A consumable resource that is not free counts as missing capacity."""


class StopCause(StrEnum):
    """The reasons why the engine stops an attempt; the first one decides how the job ends."""

    TERMINATED = "TERMINATED"
    TIMED_OUT = "TIMED_OUT"
    HOST_LOST = "HOST_LOST"
    MAIN_ENDED = "MAIN_ENDED"


@dataclass(frozen=True, slots=True)
class Dependency:
    """One entry of ``dependsOn``: a job to wait for, or the order of an array's own children."""

    job_id: str | None = None
    type: str | None = None


@dataclass(slots=True)
class Job:
    """A job: its request, its state and its history.

    An array's parent has an ``array_size`` and no ``array_index``; its children have both, and share the
    parent's container, parameters and retry strategy: ten thousand children hold one copy.
    """

    id: str
    name: str
    queue: str
    definition_arn: str
    order: int
    created_at_ms: int
    platform: Platform
    milli_vcpus: int
    memory_mib: int
    container: Wire = field(default_factory=dict)
    retry: RetryStrategy = field(default_factory=RetryStrategy)
    parameters: dict[str, str] = field(default_factory=dict)
    gpus: int = 0
    timeout_s: int | None = None
    propagate_tags: bool = False
    scheduling_priority: int | None = None
    share_identifier: str | None = None
    consumables: dict[str, int] = field(default_factory=dict)
    depends_on: tuple[Dependency, ...] = ()
    parent_id: str | None = None
    array_size: int | None = None
    array_index: int | None = None
    num_nodes: int | None = None
    main_node: int | None = None
    node_index: int | None = None
    node_properties: Wire | None = None
    ecs_container: str | None = None
    start_refusal: str | None = None
    serial: int = 0
    tags: dict[str, str] = field(default_factory=dict)
    status: JobStatus = JobStatus.SUBMITTED
    status_reason: str | None = None
    wait_reason: WaitReason | None = None
    waits_since_ms: int | None = None
    holds_consumables: bool = False
    stop_cause: StopCause | None = None
    stop_reason: str | None = None
    is_cancelled: bool = False
    is_terminated: bool = False
    started_at_ms: int | None = None
    stopped_at_ms: int | None = None
    attempts: list[Attempt] = field(default_factory=list)
    moves: list[int] = field(default_factory=list)

    def as_submitted(self) -> "Job":
        """Returns a new job with the same request, in the state of its submission and without tags."""
        return Job(order=0, **{member: getattr(self, member) for member in _ASKED_FOR})

    @property
    def arn(self) -> str:
        """Returns the ARN. Each call builds it, because most ARNs are never read."""
        return f"{self.definition_arn.partition(':job-definition/')[0]}:job/{self.id}"

    @property
    def is_array(self) -> bool:
        """Returns whether this is an array's parent: it never runs, its children do."""
        return self.array_size is not None and self.array_index is None

    @property
    def is_gang(self) -> bool:
        """Returns whether this is a multi-node parallel job: its nodes run, and hold what it uses."""
        return self.num_nodes is not None and self.node_index is None

    @property
    def history(self) -> list[tuple[int, JobStatus]]:
        """Returns the states that the job has had, each with its time in epoch milliseconds."""
        return [(move >> _PLACE_BITS, STATUSES[move & 2**_PLACE_BITS - 1]) for move in self.moves]

    @property
    def last_moved_ms(self) -> int:
        """Returns when the job came to its present state, in epoch milliseconds."""
        return self.moves[-1] >> _PLACE_BITS

    @property
    def attempt(self) -> Attempt:
        """Returns the latest attempt; only a job that was placed at least once has one."""
        return self.attempts[-1]


JOB_STATE = frozenset(
    {
        "order",
        "tags",
        "status",
        "status_reason",
        "wait_reason",
        "waits_since_ms",
        "holds_consumables",
        "stop_cause",
        "stop_reason",
        "is_cancelled",
        "is_terminated",
        "started_at_ms",
        "stopped_at_ms",
        "attempts",
        "moves",
    }
)
"""The members of a job that change after its submission; the others never do."""

_ASKED_FOR = [item.name for item in fields(Job) if item.name not in JOB_STATE and item.name != "serial"]
