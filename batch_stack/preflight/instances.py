"""The instance types of compute environments, and the resources that containers need."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from batch_engine.catalogue.instances import InstanceFacts
from batch_stack.settings.compute.base import ComputeSettings
from batch_stack.settings.compute.instance_types import facts_of
from batch_stack.settings.jobs import JobSettings
from batch_stack.settings.workload import Workload

AGENT_MEMORY_MIB = 32
"""The memory that AWS Batch keeps for the ECS agent:
https://docs.aws.amazon.com/batch/latest/userguide/memory-management.html"""

_KERNEL_SHARE = 0.075
"""The approximate part of an instance's memory that hypervisor and kernel keep. It differs between types."""


@dataclass(frozen=True, slots=True)
class Request:
    """The resources that a container needs on its instance."""

    vcpus: float
    memory_mib: int
    gpus: int

    def fits(self, item: InstanceFacts) -> bool:
        """Returns whether the container fits the type by its data sheet, minus the agent's memory."""
        return (
            self.vcpus <= item.vcpus
            and self.memory_mib <= item.memory_mib - AGENT_MEMORY_MIB
            and self.gpus <= item.gpus
        )

    def surely_fits(self, item: InstanceFacts) -> bool:
        """Returns whether the container also fits if the kernel's memory is subtracted."""
        usable_mib = int(item.memory_mib * (1 - _KERNEL_SHARE)) - AGENT_MEMORY_MIB
        return self.fits(item) and self.memory_mib <= usable_mib


def request_of(job: JobSettings) -> Request:
    """Returns the resources that the container of a job needs on its instance."""
    return Request(job.vcpu, job.memory_mib, job.gpus)


def known_types(settings: ComputeSettings, *, within_limit: bool = True) -> Sequence[InstanceFacts] | None:
    """Returns the instance types of a compute environment.

    Args:
        settings: the compute environment.
        within_limit: whether to leave out types larger than its vCPU limit, which it never starts.

    Returns:
        The types; None if there are no instances, or if the table lacks a type.
    """
    found: dict[str, InstanceFacts] = {}
    for name in settings.instance_types:
        facts = facts_of(name)
        if not facts:
            return None
        found.update((item.name, item) for item in facts)
    most = settings.max_vcpus if within_limit else None
    return [item for item in found.values() if most is None or item.vcpus <= most] if found else None


def types_of_tier(workload: Workload, tier: str) -> list[InstanceFacts] | None:
    """Returns the instance types of all compute environments of a tier, or None if some are not known."""
    found: list[InstanceFacts] = []
    for compute in workload.compute_of(tier).values():
        types = known_types(compute)
        if types is None:
            return None
        found.extend(types)
    return found
