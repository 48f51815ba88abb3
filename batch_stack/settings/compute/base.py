"""Base classes of compute environments' settings, with the properties that every kind has."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field, model_validator

from batch_stack.settings.base.model import SettingsModel
from batch_stack.settings.base.values import Architecture, MaxVcpus, PlatformCapability, State
from batch_stack.settings.compute.instance_types import architecture_of, without_local_disk

InstanceType = Annotated[
    str,
    Field(
        pattern=r"^(default_x86_64|default_arm64|[a-z][a-z0-9-]*[0-9][a-z0-9-]*(\.[a-z0-9-]+)?)$",
        description="an instance family (m6i), an instance type (m6i.large), default_x86_64 or default_arm64",
    ),
]

WITH_EFA = " (efa)"
"""The end of the `fixed_kind` of a compute environment with EFA."""


class ComputeSettings(SettingsModel):
    """Settings of a compute environment of any kind, with properties for checks and constructs.

    A kind overrides the properties in which it differs.
    """

    if TYPE_CHECKING:
        # Every kind has these, as fields or as properties. pydantic takes no field that hides a property.

        @property
        def type(self) -> str:
            """The type, as `batch.yaml` names it."""

        @property
        def state(self) -> State:
            """Whether jobs start there."""

        @property
        def platform_capability(self) -> PlatformCapability:
            """The platform capability; a queue takes one only."""

        @property
        def architecture(self) -> Architecture:
            """The CPU architecture; a queue takes one only."""

        @property
        def max_vcpus(self) -> int | None:
            """The largest number of vCPUs that run at once; None if it is not known."""

        @property
        def instance_types(self) -> Sequence[str]:
            """The instance types and families, as far as they are known."""

    is_provisioned: ClassVar[bool] = True
    """The platform creates it."""
    is_budgetable: ClassVar[bool] = False
    """Instances and volumes have the cost tag, by which budgets count."""
    runs_multi_node: ClassVar[bool] = False
    """AWS Batch runs multi-node parallel jobs there."""

    @property
    def fixed_kind(self) -> str:
        """The type, and all other facts whose change would replace the compute environment."""
        return self.type

    @property
    def is_reclaimable(self) -> bool:
        """Whether AWS may take its capacity back while jobs run on it."""
        return False

    @property
    def connects_nodes(self) -> bool:
        """Whether nodes of a job may connect to each other, as far as the settings show."""
        return True

    @property
    def required_zone(self) -> int | None:
        """The Availability Zone in which it needs a subnet, counted from 1; None if it takes any zone."""
        return None

    @property
    def efa_interfaces(self) -> int:
        """The number of Elastic Fabric Adapters of each instance."""
        return 0

    @property
    def idle_vcpus(self) -> int:
        """The vCPUs that run without jobs."""
        return 0

    @property
    def update_grace_minutes(self) -> int | None:
        """The minutes that jobs on old instances have after an edit brings new ones; None if no edit does."""
        return None


class SwitchableSettings(ComputeSettings):
    """Settings of a compute environment that can be disabled."""

    state: State = "enabled"
    """A disabled compute environment finishes its jobs and starts no more. It has to be created enabled."""


class InstanceTypesSettings(SwitchableSettings):
    """Settings of a compute environment on instances of one CPU architecture."""

    max_vcpus: MaxVcpus = 64
    """The most vCPUs that run at once. AWS Batch may exceed it by one instance.
    https://docs.aws.amazon.com/batch/latest/APIReference/API_ComputeResource.html"""
    instance_types: list[InstanceType] = Field(default=["default_x86_64"], min_length=1)
    """Instance families (`m6i`), instance types (`m6i.large`), or `default_x86_64` and `default_arm64` for
    current general-purpose families. All have one CPU architecture.
    https://docs.aws.amazon.com/batch/latest/userguide/instance-type-compute-table.html"""

    @property
    def architecture(self) -> Architecture:
        """The CPU architecture of all its instance types."""
        return architecture_of(self.instance_types[0])

    @model_validator(mode="after")
    def _one_architecture(self) -> InstanceTypesSettings:
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

    def refuse_types(self, refused: Callable[[str], str | None]) -> None:
        """Raises an error for the first instance type that does not fit.

        Args:
            refused: returns the requirement that an instance type does not meet, or None if it fits.

        Raises:
            ValueError: an instance type does not fit; the message begins with its place.
        """
        for index, name in enumerate(self.instance_types):
            why = refused(name)
            if why is not None:
                raise ValueError(f"instance_types[{index}] must {why}, got {name!r}")


def without_scratch(name: str) -> str | None:
    """Returns the requirement of `nvme_scratch` that an instance type does not meet, or None."""
    diskless = without_local_disk(name)
    if diskless is None:
        return None
    which = "it has" if diskless == name else f"{diskless} has"
    return f"have NVMe disks of its own, because nvme_scratch is true, and {which} none"
