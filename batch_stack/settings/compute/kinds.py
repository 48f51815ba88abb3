"""Settings of all kinds of compute environments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal, get_args

from pydantic import Field, model_validator

from batch_stack.settings.base.values import (
    Architecture,
    ComputeEnvironmentArn,
    MaxVcpus,
    PlatformCapability,
    State,
)
from batch_stack.settings.compute.base import (
    ComputeSettings,
    InstanceType,
    InstanceTypesSettings,
    SwitchableSettings,
    without_scratch,
)
from batch_stack.settings.compute.ec2 import OnDemandSettings, SpotSettings
from batch_stack.settings.compute.instance_types import architecture_of


class FargateSettings(SwitchableSettings):
    """A compute environment on Fargate, without instances: each job is a task."""

    type: Literal["fargate", "fargate_spot"] = "fargate"
    """`fargate_spot` is cheaper, and AWS may reclaim a job's capacity at two minutes' notice."""
    max_vcpus: MaxVcpus = 16
    """The most vCPUs that run at once."""
    architecture: Architecture = "x86_64"
    """The CPU architecture of the jobs' images."""

    platform_capability: ClassVar[PlatformCapability] = "fargate"

    @property
    def instance_types(self) -> Sequence[str]:
        """Empty: there are no instances."""
        return ()

    @property
    def is_reclaimable(self) -> bool:
        """Whether it is Fargate Spot."""
        return self.type == "fargate_spot"


class ManagedInstancesSettings(InstanceTypesSettings):
    """A compute environment on ECS Managed Instances, which AWS patches. `max_vcpus` counts jobs' vCPUs."""

    type: Literal["managed_instances"] = "managed_instances"
    """EC2 instances that Amazon ECS chooses, patches and replaces."""
    instance_types: list[InstanceType] = Field(default=["c6i", "m6i", "r6i"], min_length=1)
    """Instance families or types that Amazon ECS takes, of one CPU architecture."""
    spot: bool = False
    """Spot capacity in place of On-Demand. A change would replace the compute environment."""
    storage_gib: Annotated[int, Field(ge=30, le=16_384)] = 80
    """Size in GiB of each instance's data volume, for images and scratch."""
    nvme_scratch: bool = False
    """Puts images and scratch on the instances' NVMe disks instead. All instance types need such disks."""

    platform_capability: ClassVar[PlatformCapability] = "managed_instances"

    @property
    def fixed_kind(self) -> str:
        """The type, and whether it is Spot capacity."""
        return f"{self.type} (spot)" if self.spot else self.type

    @property
    def is_reclaimable(self) -> bool:
        """Whether it is Spot capacity."""
        return self.spot

    @model_validator(mode="after")
    def _types_are_amazon_ecs(self) -> ManagedInstancesSettings:
        self.refuse_types(_only_for_batch)
        if self.nvme_scratch:
            self.refuse_types(without_scratch)
        return self


def _only_for_batch(name: str) -> str | None:
    if name.startswith("default_"):
        return "be an instance type or family that Amazon ECS knows"
    return None


class UnmanagedSettings(SwitchableSettings):
    """A compute environment whose container instances you start and stop yourself."""

    type: Literal["unmanaged"] = "unmanaged"
    """Your own container instances, registered in the cluster that AWS Batch creates."""
    architecture: Architecture = "x86_64"
    """The CPU architecture of the container instances."""
    vcpus: Annotated[int, Field(ge=0, le=100_000)] | None = None
    """The vCPUs that fair share assumes; a compute reservation needs them."""

    platform_capability: ClassVar[PlatformCapability] = "ec2"

    @property
    def max_vcpus(self) -> None:
        """None: the number of instances is not known."""
        return

    @property
    def instance_types(self) -> Sequence[str]:
        """Empty: the types are not known."""
        return ()


class ExistingComputeSettings(ComputeSettings):
    """A compute environment of another stack, by its ARN."""

    is_provisioned: ClassVar[bool] = False
    # The ARN does not show it, so it is assumed.
    runs_multi_node: ClassVar[bool] = True

    type: Literal["existing"] = "existing"
    """A compute environment that the platform does not own or change."""
    arn: ComputeEnvironmentArn
    """The compute environment's ARN."""
    platform: PlatformCapability = "ec2"
    """The platform capability; its queue takes only job definitions for it."""
    architecture: Architecture = "x86_64"
    """The CPU architecture of its instances."""
    max_vcpus: MaxVcpus | None = None
    """Its vCPU limit, with which checks at synthesis find jobs that are too large."""
    instance_types: list[InstanceType] = []
    """Its instance types, for the same checks."""

    @property
    def platform_capability(self) -> PlatformCapability:
        """The value of `platform`."""
        return self.platform

    @property
    def state(self) -> State:
        """Enabled, as far as is known."""
        return "enabled"

    @model_validator(mode="after")
    def _types_fit_platform_and_architecture(self) -> ExistingComputeSettings:
        if self.instance_types and self.platform == "fargate":
            raise ValueError(f"instance_types must not be given on fargate, got {self.instance_types[0]!r}")
        for index, name in enumerate(self.instance_types):
            if architecture_of(name) != self.architecture:
                raise ValueError(
                    f"instance_types[{index}] must be {self.architecture}, as architecture says, got "
                    f"{name!r}, which is {architecture_of(name)}"
                )
        return self


ComputeEnvironmentSettings = Annotated[
    SpotSettings
    | OnDemandSettings
    | FargateSettings
    | ManagedInstancesSettings
    | UnmanagedSettings
    | ExistingComputeSettings,
    Field(discriminator="type"),
]

KINDS: tuple[type[ComputeSettings], ...] = get_args(get_args(ComputeEnvironmentSettings)[0])
"""The settings of all kinds of compute environments."""

DEFAULT_COMPUTE: dict[str, ComputeEnvironmentSettings] = {
    "spot": SpotSettings(),
    "on_demand": OnDemandSettings(),
    "fargate": FargateSettings(),
}
