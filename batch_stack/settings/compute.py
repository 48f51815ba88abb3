"""Settings of compute environments: where jobs run."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Literal

from pydantic import Field, model_validator

from batch_stack.settings.base.model import SettingsModel
from batch_stack.settings.base.values import (
    Architecture,
    ComputeEnvironmentArn,
    MaxVcpus,
    PlatformCapability,
    State,
)
from batch_stack.settings.instance_types import (
    architecture_of,
    efa_interfaces_of,
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

# The images of Amazon Linux 2023 leave these out: of GPUs, those with ARM, of AMD, and NVIDIA's old ones.
_NO_IMAGE = re.compile(r"a1|p[23](dn)?|p6e-.*|g[23]s?|g4ad|g5g|mac.*")
# Of current types a cluster placement group takes neither burstable nor flexible ones.
_NO_PLACEMENT_GROUP = re.compile(r"t\d.*|.*-flex")


class _Switchable(SettingsModel):
    state: State = "enabled"
    """A disabled one finishes what runs in it and starts nothing more. It begins as an enabled one."""


class _InstanceTypes(_Switchable):
    max_vcpus: MaxVcpus = 64
    """vCPUs that run at once at most. AWS Batch may go over it by one instance.
    https://docs.aws.amazon.com/batch/latest/APIReference/API_ComputeResource.html"""
    instance_types: list[InstanceType] = Field(default=["default_x86_64"], min_length=1)
    """Instance families (`m6i`), instance types (`m6i.large`), or `default_x86_64` and `default_arm64`, which
    stand for current general-purpose families. One CPU architecture throughout.
    https://docs.aws.amazon.com/batch/latest/userguide/instance-type-compute-table.html"""

    @property
    def architecture(self) -> Architecture:
        """The CPU architecture of the instance types; there is one only."""
        return architecture_of(self.instance_types[0])

    @model_validator(mode="after")
    def _one_architecture(self) -> _InstanceTypes:
        for index, name in enumerate(self.instance_types):
            if name in self.instance_types[:index]:
                raise ValueError(
                    f"instance_types[{index}] must differ from those before it, got {name!r} again"
                )
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

    min_vcpus: Annotated[int, Field(ge=0, le=100_000)] = 0
    """vCPUs that are kept running without jobs: more than none is paid for around the clock."""
    ebs_gib: Annotated[int, Field(ge=30, le=16_384)] = 50
    """Size in GiB of each instance's volume (encrypted gp3), for images and scratch. The AMI's own snapshot
    is 30 GiB: a smaller volume cannot start."""
    nvme_scratch: bool = False
    """The instances' own NVMe disks as one volume, which /scratch of every job is then on. All instance types
    need such disks."""
    placement_group: bool = False
    """A cluster placement group, for multi-node parallel jobs: instances close together, in one Availability
    Zone, which must offer the instance types.
    https://docs.aws.amazon.com/batch/latest/userguide/multi-node-parallel-jobs.html"""
    placement_zone: Annotated[int, Field(ge=1, le=6)] = 1
    """Which of the network's Availability Zones the placement group is in, counted from 1."""
    efa: bool = False
    """Elastic Fabric Adapters for the nodes of multi-node parallel jobs, one on each network card. It takes a
    placement group, and instance types by their full names, all with as many adapters. The jobs' images bring
    libfabric. It cannot be changed: add another compute environment.
    https://docs.aws.amazon.com/batch/latest/userguide/efa.html"""
    update_timeout_minutes: Annotated[int, Field(ge=1, le=7200)] = 60
    """How many minutes jobs on old instances have left when an edit brings new ones (types, disks, subnets).
    Then they are ended, and tried again from their beginning. With more, old instances stay longer.
    https://docs.aws.amazon.com/batch/latest/APIReference/API_UpdatePolicy.html"""

    @property
    def platform_capability(self) -> PlatformCapability:
        """EC2."""
        return "ec2"

    @property
    def efa_interfaces(self) -> int:
        """How many EFA interfaces each instance has."""
        return efa_interfaces_of(self.instance_types[0]) if self.efa else 0

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
        if self.efa:
            self._check_efa()
        if self.placement_group:
            self._refuse(_without_placement)
        elif "placement_zone" in self.model_fields_set:
            raise ValueError(
                f"placement_zone must not be given without placement_group, got {self.placement_zone}"
            )
        return self

    def _check_efa(self) -> None:
        if not self.placement_group:
            raise ValueError(
                "placement_group must be true with efa, whose traffic does not leave an Availability Zone, "
                "got False"
            )
        self._refuse(self._without_efa)

    def _without_efa(self, name: str) -> str | None:
        count, first = efa_interfaces_of(name), self.efa_interfaces
        if not count:
            whole = "" if "." in name else " by its full name, for not all sizes of a family have it,"
            return f"be an instance type with EFA{whole} because efa is true"
        if count != first:
            return (
                f"have {first} EFA interfaces like {self.instance_types[0]}, because one launch template is "
                f"for all, and it has {count}"
            )
        return None

    @model_validator(mode="after")
    def _range_of_vcpus(self) -> Ec2Settings:
        if self.min_vcpus > self.max_vcpus:
            raise ValueError(
                f"min_vcpus must be between 0 and max_vcpus, which is {self.max_vcpus}, got {self.min_vcpus}"
            )
        if self.min_vcpus and self.state == "disabled":
            raise ValueError(
                f"min_vcpus must be 0 with state disabled, got {self.min_vcpus}: they would be paid for, and "
                "nothing would run on them"
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
    """Spare EC2 capacity, up to 90 % cheaper, which AWS takes back at two minutes' notice."""
    max_vcpus: MaxVcpus = 128
    """vCPUs that run at once at most. AWS Batch may go over it by one instance.
    https://docs.aws.amazon.com/batch/latest/APIReference/API_ComputeResource.html"""
    instance_types: list[InstanceType] = Field(
        default=["c5", "c6a", "c6i", "m5", "m6a", "m6i", "r5", "r6i"], min_length=1
    )
    """Instance families, instance types or bundles, as elsewhere: the more there are, the more rarely Spot
    runs dry."""

    def _check_efa(self) -> None:
        raise ValueError(
            "efa must be false on Spot, where AWS Batch runs no multi-node parallel jobs, got True"
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
    """EC2 instances that stay until their jobs have ended."""
    instance_types: list[InstanceType] = Field(default=["c6i", "m6i", "r6i"], min_length=1)
    """Instance families (`m6i`), instance types (`m6i.large`), or `default_x86_64` and `default_arm64`. One
    CPU architecture throughout."""


class FargateSettings(_Switchable):
    """A compute environment on Fargate: no instances, one task per job."""

    type: Literal["fargate", "fargate_spot"] = "fargate"
    """`fargate_spot` is cheaper, and AWS may take a job's capacity back at two minutes' notice."""
    max_vcpus: MaxVcpus = 16
    """vCPUs that run at once at most."""
    architecture: Architecture = "x86_64"
    """The CPU architecture of the jobs' images."""

    @property
    def platform_capability(self) -> PlatformCapability:
        """Fargate."""
        return "fargate"


class ManagedInstancesSettings(_InstanceTypes):
    """A compute environment on ECS Managed Instances, which AWS patches; `max_vcpus` counts jobs' vCPUs."""

    type: Literal["managed_instances"]
    """EC2 instances that Amazon ECS chooses, patches and replaces."""
    instance_types: list[InstanceType] = Field(default=["c6i", "m6i", "r6i"], min_length=1)
    """Instance families or types that Amazon ECS knows, of one CPU architecture."""
    spot: bool = False
    """Spot capacity instead of On-Demand; a change of this would replace the compute environment."""
    storage_gib: Annotated[int, Field(ge=30, le=16_384)] = 80
    """Size in GiB of each instance's data volume, for images and scratch."""
    nvme_scratch: bool = False
    """The instances' own NVMe disks hold images and scratch instead. All instance types need such disks."""

    @property
    def platform_capability(self) -> PlatformCapability:
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
    """Your own container instances, registered in the cluster that AWS Batch makes."""
    architecture: Architecture = "x86_64"
    """The CPU architecture of the container instances."""
    vcpus: Annotated[int, Field(ge=0, le=100_000)] | None = None
    """What fair share counts with; without it a compute reservation has nothing to reserve."""

    @property
    def platform_capability(self) -> PlatformCapability:
        """EC2, which need not be AWS Batch's."""
        return "ec2"


class ExistingComputeSettings(SettingsModel):
    """A compute environment of another stack, by its ARN."""

    type: Literal["existing"]
    """A compute environment that somebody else owns; nothing about it is changed."""
    arn: ComputeEnvironmentArn
    """The compute environment's ARN."""
    platform: PlatformCapability = "ec2"
    """What it runs jobs on; its queue takes job definitions of this platform."""
    architecture: Architecture = "x86_64"
    """The CPU architecture of its instances."""
    max_vcpus: MaxVcpus | None = None
    """Its vCPU limit, for the checks at synthesis: without it a job that is too large is not noticed."""
    instance_types: list[InstanceType] = []
    """Its instance types, for the checks at synthesis likewise."""

    @property
    def platform_capability(self) -> PlatformCapability:
        """What `platform` says."""
        return self.platform

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> ExistingComputeSettings:
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

DEFAULT_COMPUTE: dict[str, ComputeEnvironmentSettings] = {
    "spot": SpotSettings(),
    "on_demand": OnDemandSettings(),
    "fargate": FargateSettings(),
}
