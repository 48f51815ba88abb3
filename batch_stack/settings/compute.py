"""Settings of compute environments: where jobs run."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Literal

from pydantic import Field, model_validator

from batch_stack.settings.base import Architecture, Arn, MaxVcpus, Platform, SettingsModel, State
from batch_stack.settings.instance_types import (
    architecture_of,
    family_of,
    has_gpu,
    without_local_disk,
)

InstanceType = Annotated[
    str,
    Field(
        pattern=r"^(default_x86_64|default_arm64|[a-z][a-z0-9-]*[0-9][a-z0-9-]*(\.[a-z0-9-]+)?)$",
        description="an instance family (m6i), an instance type (m6i.large), default_x86_64 or default_arm64",
    ),
]

# The images of Amazon Linux 2023 leave these out: of GPUs, Graviton ones and those of P3 and G3.
_NO_IMAGE = re.compile(r"a1|p3(dn)?|g3s?|g5g")
# Of current types a cluster placement group takes neither burstable nor flexible ones.
_NO_PLACEMENT_GROUP = re.compile(r"t\d.*|.*-flex")


class _Switchable(SettingsModel):
    # A disabled one finishes what runs in it and starts nothing more.
    state: State = "enabled"


class _InstanceTypes(_Switchable):
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

    def _refuse(self, refused: Callable[[str], str | None]) -> None:
        """Raise for the first instance type that has something against it."""
        for index, name in enumerate(self.instance_types):
            why = refused(name)
            if why is not None:
                raise ValueError(f"instance_types[{index}] must {why}, got {name!r}")


class Ec2Settings(_InstanceTypes):
    """A compute environment on EC2 instances, Spot or On-Demand."""

    # More than none is paid for around the clock.
    min_vcpus: Annotated[int, Field(ge=0, le=100_000)] = 0
    # The AMI's own snapshot is 30 GiB: a smaller volume cannot start.
    ebs_gib: Annotated[int, Field(ge=30, le=16_384)] = 50
    # The instances' own NVMe disks as one volume, which /scratch of every job is then on.
    nvme_scratch: bool = False
    # A cluster placement group, for multi-node parallel jobs: instances close together, in one of the
    # network's Availability Zones, counted from 1, which must offer the instance types.
    placement_group: bool = False
    placement_zone: Annotated[int, Field(ge=1, le=6)] = 1

    @property
    def platform(self) -> Platform:
        """EC2."""
        return "ec2"

    @property
    def has_gpu(self) -> bool:
        """Whether some of the instance types have GPUs."""
        return any(has_gpu(name) for name in self.instance_types)

    @property
    def lacks_gpu(self) -> bool:
        """Whether some of the instance types have no GPU."""
        return not all(has_gpu(name) for name in self.instance_types)

    @model_validator(mode="after")
    def _types_fit(self) -> Ec2Settings:
        self._refuse(_without_image)
        if self.nvme_scratch:
            self._refuse(_without_scratch)
        if self.placement_group:
            self._refuse(_without_placement)
        return self

    @model_validator(mode="after")
    def _range_of_vcpus(self) -> Ec2Settings:
        if self.min_vcpus > self.max_vcpus:
            raise ValueError(
                f"min_vcpus must be between 0 and max_vcpus, which is {self.max_vcpus}, got {self.min_vcpus}"
            )
        return self


def _without_image(name: str) -> str | None:
    if _NO_IMAGE.fullmatch(family_of(name)):
        return "be of a family that AWS Batch's images of Amazon Linux 2023 support"
    return None


def _without_scratch(name: str) -> str | None:
    diskless = without_local_disk(name)
    if diskless is None:
        return None
    which = "it has" if diskless == name else f"{diskless} has"
    return f"have NVMe disks of its own, because nvme_scratch is true, and {which} none"


def _without_placement(name: str) -> str | None:
    if _NO_PLACEMENT_GROUP.fullmatch(family_of(name)):
        return "be neither burstable (t3) nor flexible (m7i-flex), because placement_group is true"
    return None


class SpotSettings(Ec2Settings):
    """A compute environment on Spot instances: many instance types, so that some always have capacity."""

    type: Literal["spot"] = "spot"
    max_vcpus: MaxVcpus = 128
    instance_types: list[InstanceType] = Field(
        default=["c5", "c6a", "c6i", "m5", "m6a", "m6i", "r5", "r6i"], min_length=1
    )

    @model_validator(mode="after")
    def _no_nodes(self) -> SpotSettings:
        if self.placement_group:
            raise ValueError(
                "placement_group must be false on Spot, where AWS Batch runs no multi-node parallel jobs, "
                "got True"
            )
        return self


class OnDemandSettings(Ec2Settings):
    """A compute environment on On-Demand instances."""

    type: Literal["on_demand"] = "on_demand"
    instance_types: list[InstanceType] = Field(default=["c6i", "m6i", "r6i"], min_length=1)


class FargateSettings(_Switchable):
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
    # The instances' own NVMe disks, where they have any, hold images and scratch instead.
    nvme_scratch: bool = False

    @property
    def platform(self) -> Platform:
        """ECS Managed Instances."""
        return "managed_instances"

    @model_validator(mode="after")
    def _types_are_amazon_ecs(self) -> ManagedInstancesSettings:
        self._refuse(_only_for_batch)
        if self.nvme_scratch:
            self._refuse(_without_scratch)
        return self


def _only_for_batch(name: str) -> str | None:
    if name.startswith("default_"):
        return "be an instance type or family that Amazon ECS knows"
    return None


class UnmanagedSettings(_Switchable):
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
