"""Settings of compute environments on EC2 instances, Spot or On-Demand."""

from __future__ import annotations

import re
from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from batch_stack.settings.base.values import MaxVcpus, PlatformCapability
from batch_stack.settings.compute.base import WITH_EFA, InstanceType, InstanceTypesSettings, without_scratch
from batch_stack.settings.compute.instance_types import efa_interfaces_of, family_of, has_gpu

# The images of Amazon Linux 2023 do not support these: GPUs with ARM, of AMD, and old ones of NVIDIA.
_NO_IMAGE = re.compile(r"a1|p[23](dn)?|p6e-.*|g[23]s?|g4ad|g5g|mac.*")
# A cluster placement group takes neither burstable nor flexible instance types.
_NO_PLACEMENT_GROUP = re.compile(r"t\d.*|.*-flex")


class Ec2Settings(InstanceTypesSettings):
    """A compute environment on EC2 instances, Spot or On-Demand."""

    min_vcpus: Annotated[int, Field(ge=0, le=100_000)] = 0
    """vCPUs that run even without jobs, and are paid for around the clock."""
    ebs_gib: Annotated[int, Field(ge=30, le=16_384)] = 50
    """Size in GiB of each instance's volume (encrypted gp3), for images and scratch. The AMI's own snapshot
    is 30 GiB: a smaller volume cannot start."""
    nvme_scratch: bool = False
    """Joins the instances' NVMe disks into one volume for /scratch of every job. All instance types need such
    disks."""
    placement_group: bool = False
    """Adds a cluster placement group, for multi-node parallel jobs: instances close together, in one
    Availability Zone, which must offer the instance types.
    https://docs.aws.amazon.com/batch/latest/userguide/multi-node-parallel-jobs.html"""
    placement_zone: Annotated[int, Field(ge=1, le=6)] = 1
    """The placement group's Availability Zone among those of the network, counted from 1."""
    efa: bool = False
    """Adds Elastic Fabric Adapters for the nodes of multi-node parallel jobs, one on each network card. It
    needs a placement group, and instance types by their full names that all have the same number of adapters.
    The jobs' images bring libfabric. It cannot be changed: add another compute environment.
    https://docs.aws.amazon.com/batch/latest/userguide/efa.html"""
    update_timeout_minutes: Annotated[int, Field(ge=1, le=7200)] = 60
    """The minutes that jobs on old instances have when an edit brings new ones (types, disks, subnets). Then
    they are ended, and retried from their beginning. With more minutes, old instances stay longer.
    https://docs.aws.amazon.com/batch/latest/APIReference/API_UpdatePolicy.html"""

    platform_capability: ClassVar[PlatformCapability] = "ec2"
    # Instances and volumes have a tag of the launch template.
    is_budgetable: ClassVar[bool] = True

    @property
    def required_zone(self) -> int | None:
        """The zone of the placement group, if there is one."""
        return self.placement_zone if self.placement_group else None

    @property
    def efa_interfaces(self) -> int:
        """The number of Elastic Fabric Adapters of each instance."""
        return efa_interfaces_of(self.instance_types[0]) if self.efa else 0

    @property
    def idle_vcpus(self) -> int:
        """The vCPUs that run without jobs."""
        return self.min_vcpus

    @property
    def update_grace_minutes(self) -> int | None:
        """The minutes that jobs on old instances have when an edit brings new ones."""
        return self.update_timeout_minutes

    @property
    def has_gpu(self) -> bool:
        """Whether some of its instance types have GPUs."""
        return any(has_gpu(name) for name in self.instance_types)

    @property
    def lacks_gpu(self) -> bool:
        """Whether some of its instance types have no GPU."""
        return not all(has_gpu(name) for name in self.instance_types)

    @model_validator(mode="after")
    def _types_fit(self) -> Ec2Settings:
        self.refuse_types(_without_image)
        if self.nvme_scratch:
            self.refuse_types(without_scratch)
        if self.efa:
            self._check_efa()
        if self.placement_group:
            self.refuse_types(_without_placement)
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
        self.refuse_types(self._without_efa)

    def _without_efa(self, name: str) -> str | None:
        count, first = efa_interfaces_of(name), self.efa_interfaces
        if not count:
            whole = "" if "." in name else " by its full name (not all sizes of a family have it),"
            return f"be an instance type with EFA{whole} because efa is true"
        if count != first:
            return (
                f"have {first} EFA interfaces like {self.instance_types[0]}, because all use one launch "
                f"template, and it has {count}"
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


def _without_placement(name: str) -> str | None:
    if _NO_PLACEMENT_GROUP.fullmatch(family_of(name)):
        return "be neither burstable (t3) nor flexible (m7i-flex), because placement_group is true"
    return None


class SpotSettings(Ec2Settings):
    """A compute environment on Spot instances, with many instance types, so that some have capacity."""

    type: Literal["spot"] = "spot"
    """Spare EC2 capacity, up to 90 % cheaper, which AWS may reclaim at two minutes' notice."""
    max_vcpus: MaxVcpus = 128
    """The most vCPUs that run at once. AWS Batch may exceed it by one instance.
    https://docs.aws.amazon.com/batch/latest/APIReference/API_ComputeResource.html"""
    instance_types: list[InstanceType] = Field(
        default=["c5", "c6a", "c6i", "m5", "m6a", "m6i", "r5", "r6i"], min_length=1
    )
    """Instance families, instance types or bundles. With more of them, Spot capacity runs out less often."""

    @property
    def is_reclaimable(self) -> bool:
        """True: at two minutes' notice."""
        return True

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

    runs_multi_node: ClassVar[bool] = True

    type: Literal["on_demand"] = "on_demand"
    """EC2 instances that run until their jobs have ended."""
    instance_types: list[InstanceType] = Field(default=["c6i", "m6i", "r6i"], min_length=1)
    """Instance families (`m6i`), instance types (`m6i.large`), or `default_x86_64` and `default_arm64`. All
    have one CPU architecture."""

    @property
    def fixed_kind(self) -> str:
        """The type, and whether it has EFA, which decides where its security groups are."""
        return f"{self.type}{WITH_EFA}" if self.efa else self.type

    @property
    def connects_nodes(self) -> bool:
        """Whether there is a placement group, whose security group admits its own members."""
        return self.placement_group
