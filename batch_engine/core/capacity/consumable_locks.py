"""Locks on consumable resources: a job holds them from STARTING until its end.

https://docs.aws.amazon.com/batch/latest/userguide/resource-aware-scheduling.html
"""

from collections import Counter

from batch_engine.core.capacity.wait_reasons import Refusal
from batch_engine.core.model.jobs import Job, WaitReason
from batch_engine.core.state.registry import Registry

NON_REPLENISHABLE = "NON_REPLENISHABLE"


class Consumables:
    """The locks of all jobs on consumable resources.

    Args:
        registry: holds the consumable resources.
    """

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def refusal(self, job: Job) -> Refusal | None:
        """Returns why a job has to wait for a resource, or None; a retried job still holds its locks.

        A multi-node job asks for the sum of all its nodes; the nodes then lock their quantities one by one.
        """
        if not job.consumables or job.holds_consumables:
            return None
        for name, quantity in job.consumables.items():
            resource = self._registry.consumable_resources.get(name)
            if resource is None:
                return Refusal(WaitReason.CONSUMABLE_RESOURCE, f"consumable resource {name} does not exist")
            if quantity > resource.available:
                return Refusal(
                    WaitReason.CONSUMABLE_RESOURCE,
                    f"{resource.available} of consumable resource {name} are available and the job needs "
                    f"{quantity}",
                )
        return None

    def lock(self, job: Job) -> None:
        """Locks the resources of a job that is placed."""
        if not job.consumables or job.holds_consumables:
            return
        job.holds_consumables = True
        for name, quantity in job.consumables.items():
            resource = self._registry.consumable_resources[name]
            resource.in_use += quantity
            self._registry.touch(resource)

    def free(self, job: Job) -> None:
        """Frees the resources of a job that has ended; those that are not replenishable are used up."""
        if not job.holds_consumables:
            return
        job.holds_consumables = False
        self._registry.touch(job)
        for name, quantity in job.consumables.items():
            resource = self._registry.consumable_resources.get(name)
            if resource is None:
                continue
            resource.in_use -= quantity
            if resource.type == NON_REPLENISHABLE:
                resource.total = max(0, resource.total - quantity)
            self._registry.touch(resource)

    def count_again(self) -> None:
        """Counts the locks of all jobs again, after a fault that may have left a lock half taken or freed."""
        held: Counter[str] = Counter()
        for job in self._registry.jobs.values():
            if job.status.is_terminal:
                self.free(job)
            elif job.holds_consumables:
                held.update(job.consumables)
        for name, resource in self._registry.consumable_resources.items():
            resource.in_use = held[name]
            self._registry.touch(resource)
