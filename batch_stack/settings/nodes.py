"""Settings of the nodes of multi-node parallel jobs."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from batch_stack.settings.base.model import SettingsModel
from batch_stack.settings.base.values import Gpus, MemoryMib, NonEmpty, Variable, Vcpu

_Nodes = Annotated[
    str, Field(pattern=r"^\d+(:\d*)?$", description="a node or a range of nodes: 0, 0:3 or 4: for the rest")
]


class NodeGroupSettings(SettingsModel):
    """Nodes of a multi-node parallel job that differ from the others."""

    nodes: _Nodes
    """The nodes, counted from 0: one (`0`), a range (`1:3`), or all from one on (`4:`)."""
    vcpu: Vcpu | None = None
    """vCPUs of each of these nodes; by default the job's."""
    memory_mib: MemoryMib | None = None
    """Memory in MiB of each of these nodes; by default the job's."""
    gpus: Gpus | None = None
    """GPUs of each of these nodes; by default the job's."""
    command: list[NonEmpty] | None = None
    """Their command; by default the job's."""
    environment: dict[str, Variable] = {}
    """Environment variables besides the job's; they replace those with the same name."""


class NodesSettings(SettingsModel):
    """The nodes of a multi-node parallel job. All are alike, except those in groups.

    https://docs.aws.amazon.com/batch/latest/userguide/multi-node-parallel-jobs.html
    """

    count: Annotated[int, Field(ge=2, le=1000)]
    """The number of nodes. All start together, on one instance each."""
    main: Annotated[int, Field(ge=0, le=999)] = 0
    """The main node, counted from 0: when it ends, the job ends."""
    instance_type: NonEmpty | None = None
    """The instance type of all nodes, one that the compute environment has; by default AWS Batch chooses."""
    groups: Annotated[list[NodeGroupSettings], Field(max_length=4)] = []
    """Nodes that differ from the others. AWS Batch takes five ranges of nodes; the first one has all
    nodes."""

    @model_validator(mode="after")
    def _main_node_exists(self) -> NodesSettings:
        if self.main >= self.count:
            raise ValueError(f"main must be between 0 and {self.count - 1}, got {self.main}")
        return self

    @model_validator(mode="after")
    def _groups_are_of_these_nodes(self) -> NodesSettings:
        owners: dict[int, str] = {}
        for index, group in enumerate(self.groups):
            place = f"groups[{index}].nodes"
            if group.vcpu is not None and group.vcpu != int(group.vcpu):
                raise ValueError(
                    f"groups[{index}].vcpu must be a whole number of at least 1, got {group.vcpu:g}"
                )
            first, last = self.bounds(group)
            if not first <= last < self.count:
                raise ValueError(
                    f"{place} must be within 0:{self.count - 1}, the first not above the last, "
                    f"got {group.nodes!r}"
                )
            for node in range(first, last + 1):
                other = owners.setdefault(node, group.nodes)
                if other != group.nodes:
                    raise ValueError(f"{place} must not overlap {other!r}, got {group.nodes!r}")
        return self

    def bounds(self, group: NodeGroupSettings) -> tuple[int, int]:
        """Returns the first and the last node of a group, counted from 0."""
        first, colon, last = group.nodes.partition(":")
        if not colon:
            return int(first), int(first)
        return int(first), int(last) if last else self.count - 1
