"""The settings of a batch platform, typed and checked. Knows nothing of CDK."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from batch_stack import settings_checks

Platform = Literal["ec2", "fargate"]
TierName = Literal["critical", "standard", "bulk"]
QueueName = Literal["critical", "standard", "bulk", "fargate"]
OnDelete = Literal["retain", "destroy"]
LogRetentionDays = Literal[
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653
]

DEFAULT_RETRY_ATTEMPTS = 3

COMPUTE_ENVIRONMENTS: dict[QueueName, tuple[str, ...]] = {
    "critical": ("on_demand",),
    "standard": ("spot", "on_demand"),
    "bulk": ("spot",),
    "fargate": ("fargate",),
}
"""Which compute environments each queue uses, in order."""

MaxVcpus = Annotated[int, Field(ge=1, le=100_000)]
# The range of the jobStateTimeLimitActions of a queue: CreateJobQueue, maxTimeSeconds.
TimeLimit = Annotated[int, Field(ge=600, le=86_400)]
Priority = Annotated[int, Field(ge=0, le=1000)]
Attempts = Annotated[int, Field(ge=1, le=10)]
ExpiryDays = Annotated[int, Field(ge=1, le=3650)]
InstanceType = Annotated[
    str,
    Field(
        pattern=r"^(default_x86_64|default_arm64|[a-z][a-z0-9-]*[0-9][a-z0-9-]*(\.[a-z0-9-]+)?)$",
        description="an instance family (m6i), an instance type (m6i.large), default_x86_64 or default_arm64",
    ),
]
Email = Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+$", description="an e-mail address")]

_ARM_FAMILY = re.compile(r"(a1|[a-z]+\d+g[a-z]*)")
_MEMORY_MIB_BY_FARGATE_VCPU: dict[float, range | tuple[int, ...]] = {
    0.25: (512, 1024, 2048),
    0.5: range(1024, 4097, 1024),
    1: range(2048, 8193, 1024),
    2: range(4096, 16385, 1024),
    4: range(8192, 30721, 1024),
    8: range(16384, 61441, 4096),
    16: range(32768, 122881, 8192),
    32: (61440, 122880, 249856),
}


def _architecture(instance_type: str) -> Literal["x86_64", "arm64"]:
    family = instance_type.partition(".")[0]
    arm = instance_type == "default_arm64" or _ARM_FAMILY.fullmatch(family)
    return "arm64" if arm else "x86_64"


def _any_of(values: range | tuple[int, ...]) -> str:
    if isinstance(values, range):
        return f"between {values[0]} and {values[-1]} in steps of {values.step}"
    return "one of " + ", ".join(map(str, values))


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Ec2Settings(_Model):
    """A compute environment on EC2 instances, Spot or On-Demand."""

    max_vcpus: MaxVcpus = 64
    instance_types: list[InstanceType] = Field(default=["default_x86_64"], min_length=1)
    # The AMI's own snapshot is 30 GiB: a smaller volume cannot start.
    ebs_gib: Annotated[int, Field(ge=30, le=16_384)] = 50

    @property
    def architecture(self) -> Literal["x86_64", "arm64"]:
        """The CPU architecture of the instance types; the settings hold one architecture only."""
        return _architecture(self.instance_types[0])

    @model_validator(mode="after")
    def _one_architecture(self) -> Ec2Settings:
        for index, name in enumerate(self.instance_types):
            if _architecture(name) != self.architecture:
                raise ValueError(
                    f"instance_types[{index}] must be {self.architecture} like {self.instance_types[0]}, "
                    f"got {name!r}, which is {_architecture(name)}: one architecture is allowed here"
                )
        return self


class SpotSettings(Ec2Settings):
    """A compute environment on Spot instances: many instance types, so that some always have capacity."""

    max_vcpus: MaxVcpus = 128
    instance_types: list[InstanceType] = Field(
        default=["c5", "c6a", "c6i", "m5", "m6a", "m6i", "r5", "r6i"], min_length=1
    )


class OnDemandSettings(Ec2Settings):
    """A compute environment on On-Demand instances."""

    instance_types: list[InstanceType] = Field(default=["c6i", "m6i", "r6i"], min_length=1)


class FargateSettings(_Model):
    """A compute environment on Fargate."""

    max_vcpus: MaxVcpus = 16
    spot: bool = False


class ComputeSettings(_Model):
    """The compute environments: where jobs run."""

    spot: SpotSettings = SpotSettings()
    on_demand: OnDemandSettings = OnDemandSettings()
    fargate: FargateSettings = FargateSettings()

    @model_validator(mode="after")
    def _one_architecture(self) -> ComputeSettings:
        if self.spot.architecture != self.on_demand.architecture:
            raise ValueError(
                f"on_demand.instance_types must be {self.spot.architecture} like spot.instance_types, got "
                f"{self.on_demand.instance_types}: the standard tier's queue uses both compute environments"
            )
        return self


class TimeLimitSettings(_Model):
    """Seconds a job stuck at the head of a queue stays RUNNABLE before it is cancelled, by reason."""

    insufficient_instance_capacity_s: TimeLimit = 86_400
    compute_environment_max_resource_s: TimeLimit = 600
    job_resource_requirement_s: TimeLimit = 600


class QueueSettings(_Model):
    """A job queue. Among queues on the same compute environment, the higher priority is served first."""

    priority: Priority
    retry_attempts: Attempts = DEFAULT_RETRY_ATTEMPTS
    time_limits: TimeLimitSettings = TimeLimitSettings()


class CriticalSettings(QueueSettings):
    """The queue of the critical tier."""

    priority: Priority = 300


class StandardSettings(QueueSettings):
    """The queue of the standard tier."""

    priority: Priority = 200


class BulkSettings(QueueSettings):
    """The queue of the bulk tier. Spot reclaims instances at will, hence the extra attempts."""

    priority: Priority = 100
    retry_attempts: Attempts = 5


class FargateQueueSettings(QueueSettings):
    """The queue on Fargate."""

    priority: Priority = 50


class TierSettings(_Model):
    """The priority tiers: critical is On-Demand, standard is Spot then On-Demand, bulk is Spot."""

    critical: CriticalSettings = CriticalSettings()
    standard: StandardSettings = StandardSettings()
    bulk: BulkSettings = BulkSettings()


class JobSettings(_Model):
    """A job definition whose image is built from a folder of `containers/`."""

    folder: Annotated[
        str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$", description="the name of a folder of containers/")
    ]
    platform: Platform = "ec2"
    vcpu: Annotated[float, Field(ge=0.25, le=448)] = 1
    memory_mib: Annotated[int, Field(ge=4, le=25_165_824)] = 2048
    timeout_s: Annotated[int, Field(ge=60)] = 3600
    retry_attempts: Attempts | None = None
    command: list[Annotated[str, Field(min_length=1, description="text of at least one character")]] = []
    environment: dict[str, str] = {}

    @model_validator(mode="after")
    def _resources_fit_the_platform(self) -> JobSettings:
        if self.platform == "ec2":
            if self.vcpu != int(self.vcpu):
                raise ValueError(f"vcpu must be a whole number of at least 1 on ec2, got {self.vcpu:g}")
            return self
        if self.vcpu not in _MEMORY_MIB_BY_FARGATE_VCPU:
            allowed = ", ".join(f"{vcpu:g}" for vcpu in _MEMORY_MIB_BY_FARGATE_VCPU)
            raise ValueError(f"vcpu must be one of {allowed} on fargate, got {self.vcpu:g}")
        memories_mib = _MEMORY_MIB_BY_FARGATE_VCPU[self.vcpu]
        if self.memory_mib not in memories_mib:
            raise ValueError(
                f"memory_mib must be {_any_of(memories_mib)} on fargate with vcpu {self.vcpu:g}, "
                f"got {self.memory_mib}"
            )
        return self

    @model_validator(mode="after")
    def _no_reserved_variable(self) -> JobSettings:
        for name in self.environment:
            if name.startswith("AWS_BATCH"):
                raise ValueError(f"environment must not set {name!r}: the prefix AWS_BATCH is reserved")
        return self


class StorageSettings(_Model):
    """The input and the output bucket."""

    versioning: bool = True
    noncurrent_expiry_days: ExpiryDays = 30
    input_expiry_days: ExpiryDays | None = None
    output_expiry_days: ExpiryDays | None = None
    on_delete: OnDelete = "retain"


class TriggerSettings(_Model):
    """Objects created under a prefix of the input bucket become jobs."""

    prefix: Annotated[str, Field(max_length=1024)] = ""
    job: str
    tier: QueueName = "standard"


class NotificationSettings(_Model):
    """Who hears of failed jobs and blocked queues."""

    emails: list[Email] = []


class Settings(_Model):
    """Everything `batch.yaml` can say. Each field has a default; unknown fields are refused."""

    name: Annotated[
        str,
        Field(
            pattern=r"^[A-Za-z][A-Za-z0-9-]{0,127}$",
            description="a stack name: a letter, then letters, digits or hyphens, at most 128 characters",
        ),
    ] = "batch-stack"
    compute: ComputeSettings = ComputeSettings()
    tiers: TierSettings = TierSettings()
    fargate_queue: FargateQueueSettings = FargateQueueSettings()
    jobs: dict[str, JobSettings] = {}
    storage: StorageSettings = StorageSettings()
    triggers: dict[str, TriggerSettings] = {}
    notifications: NotificationSettings = NotificationSettings()
    log_retention_days: LogRetentionDays = 30

    def queue(self, name: QueueName) -> QueueSettings:
        """The settings of a queue by its name."""
        queues: dict[QueueName, QueueSettings] = {
            "critical": self.tiers.critical,
            "standard": self.tiers.standard,
            "bulk": self.tiers.bulk,
            "fargate": self.fargate_queue,
        }
        return queues[name]

    def queues_for(self, platform: Platform) -> list[QueueName]:
        """The queues that jobs of a platform can be submitted to."""
        return [name for name in COMPUTE_ENVIRONMENTS if (name == "fargate") == (platform == "fargate")]

    def max_vcpus(self, queue: QueueName) -> dict[str, int]:
        """The vCPU limits of the compute environments that a queue uses, by their paths in the settings."""
        return {
            f"compute.{name}.max_vcpus": getattr(self.compute, name).max_vcpus
            for name in COMPUTE_ENVIRONMENTS[queue]
        }

    def retry_attempts(self, job: str) -> int:
        """Attempts of a job: its own setting, else the highest of the queues its triggers use, else 3."""
        own = self.jobs[job].retry_attempts
        if own is not None:
            return own
        queues = [self.queue(trigger.tier) for trigger in self.triggers.values() if trigger.job == job]
        return max((queue.retry_attempts for queue in queues), default=DEFAULT_RETRY_ATTEMPTS)

    @model_validator(mode="after")
    def _parts_fit_together(self) -> Settings:
        settings_checks.check_names(self)
        settings_checks.check_priorities(self)
        settings_checks.check_triggers(self)
        settings_checks.check_vcpus(self)
        return self
