"""Resources of AWS Batch: compute environments, queues, policies, definitions and their like.

Wire-shaped parts that no decision depends on are plain dictionaries with AWS's own camelCase members.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from batch_engine.core.model.wire import Wire

PASSING = frozenset(("CREATING", "UPDATING", "DELETING"))
"""The statuses of compute environments and queues that end by themselves."""
USABLE = frozenset(("VALID", "UPDATING"))
"""The statuses in which compute environments and queues take jobs."""


class State(StrEnum):
    """The states of a compute environment or a queue."""

    ENABLED = "ENABLED"
    DISABLED = "DISABLED"


class Platform(StrEnum):
    """The platforms of compute environments and job definitions."""

    EC2 = "EC2"
    FARGATE = "FARGATE"


@dataclass(slots=True)
class ComputeEnvironment:
    """A compute environment. ``resources`` is the wire form of its ``computeResources``."""

    name: str
    arn: str
    uuid: str
    ecs_cluster_arn: str
    type: str
    state: State
    resources: Wire
    created_order: int = 0
    service_role: str | None = None
    unmanaged_vcpus: int | None = None
    update_policy: Wire | None = None
    eks: Wire | None = None
    extra: Wire = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    status: str = "VALID"
    status_reason: str = "ComputeEnvironment Healthy"

    @property
    def is_usable(self) -> bool:
        """Returns whether jobs can be placed, provided that the environment is ENABLED."""
        return self.status in USABLE

    @property
    def platform(self) -> Platform:
        """Returns EC2 (Spot, On-Demand, unmanaged) or FARGATE (and Fargate Spot)."""
        return Platform.FARGATE if self.resources.get("type", "EC2").startswith("FARGATE") else Platform.EC2

    @property
    def max_milli_vcpus(self) -> int | None:
        """Returns the most milli-vCPUs in use at once; None for an unmanaged environment, without a limit."""
        limit = self.resources.get("maxvCpus")
        return None if limit is None else int(limit) * 1000


@dataclass(slots=True)
class JobQueue:
    """A job queue, with the names of its compute environments in the order in which they are tried."""

    name: str
    arn: str
    priority: int
    state: State
    compute_environments: list[str]
    created_order: int = 0
    scheduling_policy_arn: str | None = None
    queue_type: str | None = None
    service_environments: list[str] = field(default_factory=list)
    time_limit_actions: list[Wire] = field(default_factory=list)
    tags: dict[str, str] = field(default_factory=dict)
    status: str = "VALID"
    status_reason: str = "JobQueue Healthy"

    @property
    def is_usable(self) -> bool:
        """Returns whether jobs are placed and, provided that the queue is ENABLED, can be submitted."""
        return self.status in USABLE


@dataclass(slots=True)
class ServiceEnvironment:
    """Capacity of SageMaker that a queue of service jobs draws on."""

    name: str
    arn: str
    type: str
    state: State
    capacity_limits: list[Wire]
    created_order: int = 0
    tags: dict[str, str] = field(default_factory=dict)
    status: str = "VALID"


@dataclass(slots=True)
class QuotaShare:
    """A virtual queue within a queue of service jobs; ``body`` holds its limits, sharing and pre-emption."""

    name: str
    arn: str
    queue: str
    state: State
    body: Wire
    created_order: int = 0
    tags: dict[str, str] = field(default_factory=dict)
    status: str = "VALID"


@dataclass(slots=True)
class ConsumableResource:
    """Something countable that jobs lock, such as licences.

    ``tokens`` are the client tokens of recent updates, each with its time.
    """

    name: str
    arn: str
    total: int
    type: str
    created_at_ms: int
    created_order: int = 0
    in_use: int = 0
    tokens: dict[str, int] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)

    @property
    def available(self) -> int:
        """Returns the quantity that a job could lock now."""
        return max(0, self.total - self.in_use)


@dataclass(slots=True)
class SchedulingPolicy:
    """A fair-share or quota-share policy, in its wire form."""

    name: str
    arn: str
    body: Wire
    created_order: int = 0
    tags: dict[str, str] = field(default_factory=dict)


INACTIVE_KEPT_MS = 180 * 24 * 3600 * 1000
"""How long AWS Batch keeps a job definition that was deregistered, in milliseconds."""


@dataclass(slots=True)
class JobDefinition:
    """One revision of a job definition; ``body`` is the request of RegisterJobDefinition."""

    name: str
    revision: int
    arn: str
    body: Wire
    created_order: int = 0
    active: bool = True
    inactive_since_ms: int | None = None


Resource = (
    ComputeEnvironment
    | JobQueue
    | SchedulingPolicy
    | ConsumableResource
    | ServiceEnvironment
    | QuotaShare
    | JobDefinition
)
