"""Settings of compute environments: where jobs run."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import Field, model_validator

from batch_stack.settings.base import Architecture, Arn, MaxVcpus, Platform, SettingsModel

InstanceType = Annotated[
    str,
    Field(
        pattern=r"^(default_x86_64|default_arm64|[a-z][a-z0-9-]*[0-9][a-z0-9-]*(\.[a-z0-9-]+)?)$",
        description="an instance family (m6i), an instance type (m6i.large), default_x86_64 or default_arm64",
    ),
]

_ARM_FAMILY = re.compile(r"(a1|[a-z]+\d+g[a-z]*)")


def architecture_of(instance_type: str) -> Architecture:
    """The CPU architecture that an instance type's or family's name tells."""
    family = instance_type.partition(".")[0]
    arm = instance_type == "default_arm64" or _ARM_FAMILY.fullmatch(family)
    return "arm64" if arm else "x86_64"


class _InstanceTypes(SettingsModel):
    max_vcpus: MaxVcpus = 64
    instance_types: list[InstanceType] = Field(default=["default_x86_64"], min_length=1)

    @property
    def architecture(self) -> Architecture:
        """The CPU architecture of the instance types; there is one only."""
        return architecture_of(self.instance_types[0])

    @model_validator(mode="after")
    def _one_architecture(self) -> _InstanceTypes:
        for index, name in enumerate(self.instance_types):
            if architecture_of(name) != self.architecture:
                raise ValueError(
                    f"instance_types[{index}] must be {self.architecture} like {self.instance_types[0]}, "
                    f"got {name!r}, which is {architecture_of(name)}: one architecture is allowed here"
                )
        return self


class Ec2Settings(_InstanceTypes):
    """A compute environment on EC2 instances, Spot or On-Demand."""

    # More than none is paid for around the clock.
    min_vcpus: Annotated[int, Field(ge=0, le=100_000)] = 0
    # The AMI's own snapshot is 30 GiB: a smaller volume cannot start.
    ebs_gib: Annotated[int, Field(ge=30, le=16_384)] = 50
    # The instances' own NVMe disks as one volume, mounted as the jobs' scratch folder.
    nvme_scratch: bool = False
    # A cluster placement group, in one Availability Zone: for multi-node parallel jobs.
    placement_group: bool = False

    @property
    def platform(self) -> Platform:
        """EC2."""
        return "ec2"

    @model_validator(mode="after")
    def _range_of_vcpus(self) -> Ec2Settings:
        if self.min_vcpus > self.max_vcpus:
            raise ValueError(
                f"min_vcpus must be between 0 and max_vcpus, which is {self.max_vcpus}, got {self.min_vcpus}"
            )
        return self


class SpotSettings(Ec2Settings):
    """A compute environment on Spot instances: many instance types, so that some always have capacity."""

    type: Literal["spot"] = "spot"
    max_vcpus: MaxVcpus = 128
    instance_types: list[InstanceType] = Field(
        default=["c5", "c6a", "c6i", "m5", "m6a", "m6i", "r5", "r6i"], min_length=1
    )


class OnDemandSettings(Ec2Settings):
    """A compute environment on On-Demand instances."""

    type: Literal["on_demand"] = "on_demand"
    instance_types: list[InstanceType] = Field(default=["c6i", "m6i", "r6i"], min_length=1)


class FargateSettings(SettingsModel):
    """A compute environment on Fargate: no instances, one task per job."""

    type: Literal["fargate", "fargate_spot"] = "fargate"
    max_vcpus: MaxVcpus = 16
    architecture: Architecture = "x86_64"

    @property
    def platform(self) -> Platform:
        """Fargate."""
        return "fargate"


class ManagedInstancesSettings(_InstanceTypes):
    """A compute environment on ECS Managed Instances, which AWS patches; `max_vcpus` counts jobs' vCPUs."""

    type: Literal["managed_instances"]
    instance_types: list[InstanceType] = Field(default=["c6i", "m6i", "r6i"], min_length=1)
    spot: bool = False
    storage_gib: Annotated[int, Field(ge=30, le=16_384)] = 80

    @property
    def platform(self) -> Platform:
        """ECS Managed Instances."""
        return "managed_instances"


class UnmanagedSettings(SettingsModel):
    """A compute environment whose container instances somebody else starts and stops."""

    type: Literal["unmanaged"]
    architecture: Architecture = "x86_64"
    # What fair share counts with; without it a compute reservation has nothing to reserve.
    vcpus: Annotated[int, Field(ge=0, le=100_000)] | None = None

    @property
    def platform(self) -> Platform:
        """EC2, which need not be AWS Batch's."""
        return "ec2"


class ExistingComputeSettings(SettingsModel):
    """A compute environment of another stack, by its ARN."""

    type: Literal["existing"]
    arn: Arn
    platform: Platform = "ec2"
    architecture: Architecture = "x86_64"
    # Both are for the checks at synthesis: without them a job that is too large is not noticed.
    max_vcpus: MaxVcpus | None = None
    instance_types: list[InstanceType] = []


ComputeEnvironmentSettings = Annotated[
    SpotSettings
    | OnDemandSettings
    | FargateSettings
    | ManagedInstancesSettings
    | UnmanagedSettings
    | ExistingComputeSettings,
    Field(discriminator="type"),
]

DEFAULT_COMPUTE: dict[str, ComputeEnvironmentSettings] = {
    "spot": SpotSettings(),
    "on_demand": OnDemandSettings(),
    "fargate": FargateSettings(),
}
