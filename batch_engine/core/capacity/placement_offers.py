"""Offers for a job: an existing instance, or the type of an instance to launch.

https://docs.aws.amazon.com/batch/latest/userguide/allocation-strategies.html
"""

from dataclasses import dataclass
from itertools import islice

from batch_engine.core.capacity.fleet import Fleet, Instance, InstanceState, Need
from batch_engine.core.capacity.launch_plan import REMEMBERED, Demand, Fit, ScalingPlan
from batch_engine.core.capacity.wait_reasons import (
    Refusal,
    instances_full,
    resource_requirement,
    too_large,
    unsupported,
)
from batch_engine.core.model.instance_types import Catalogue, InstanceType
from batch_engine.core.model.jobs import WaitReason
from batch_engine.core.model.resources import ComputeEnvironment
from batch_engine.core.model.value import value
from batch_engine.core.state.registry import Registry


@dataclass(frozen=True, slots=True)
class ScalingSettings:
    """The settings of launching and terminating instances.

    Args:
        launch_takes_time: an instance is ready at its ``InstanceReady`` event, and not at once.
        idle_s: how long an instance without jobs is kept, in seconds. AWS publishes no figure: the five
            minutes are ours.
        settle_s: the least time that a compute environment or a queue is CREATING, UPDATING or DELETING, in
            seconds.
    """

    launch_takes_time: bool = False
    idle_s: int = 300
    settle_s: float = 0


@dataclass(slots=True)
class Restrictions:
    """The things that AWS Batch cannot have or use at present.

    Args:
        unavailable_types: instance types that EC2 has none of.
        unusable_roles: roles and instance profiles that AWS Batch cannot assume.
        denied_roles: service roles that do not allow AWS Batch to launch instances.
    """

    unavailable_types: frozenset[str] = frozenset()
    unusable_roles: frozenset[str] = frozenset()
    denied_roles: frozenset[str] = frozenset()


@value
class Offer:
    """An offer for a job: an existing instance, the type of one to launch, or neither on Fargate."""

    instance: Instance | None = None
    launch: InstanceType | None = None


ANYWHERE = Offer()
"""The offer of an environment without instances of its own."""


def has_fleet(environment: ComputeEnvironment) -> bool:
    """Returns whether AWS Batch launches instances for an environment; if not, only its jobs are counted."""
    return environment.type == "MANAGED" and environment.resources.get("type") in ("EC2", "SPOT")


class Offers:
    """The room in the fleets of compute environments, and the room that they could launch.

    Args:
        registry: the resources and jobs.
        catalogue: the known instance types.
        restrictions: the things that AWS Batch cannot have or use at present.
    """

    def __init__(self, registry: Registry, catalogue: Catalogue, restrictions: Restrictions) -> None:
        self.restrictions = restrictions
        self.fleets: dict[str, Fleet] = {}
        self.plans: dict[str, ScalingPlan] = {}
        self._registry = registry
        self._catalogue = catalogue

    def fleet(self, name: str) -> Fleet:
        """Returns the instances of a compute environment."""
        fleet = self.fleets.get(name)
        if fleet is None:
            fleet = self.fleets[name] = Fleet()
        return fleet

    def _plan(self, environment: ComputeEnvironment) -> ScalingPlan:
        plan = self.plans.get(environment.name)
        if plan is None:
            plan = self.plans[environment.name] = ScalingPlan.of(environment, self._catalogue)
        return plan

    def _fitting(self, need: Need, environment: ComputeEnvironment, count: int = 1) -> list[Fit] | Refusal:
        """Returns the types that could be launched for ``count`` jobs, or why there will never be one."""
        plan = self._plan(environment)
        found = plan.within.get((need, count))
        if found is None:
            if len(plan.within) >= REMEMBERED:
                plan.within.clear()
            limit = environment.max_milli_vcpus or 0
            found = plan.within[need, count] = self._fitting_within(plan, need, limit, count)
        return found

    @staticmethod
    def _fitting_within(plan: ScalingPlan, need: Need, limit: int, count: int) -> list[Fit] | Refusal:
        if need.milli_vcpus * count > limit:
            return too_large()
        fitting = plan.fitting(need)
        if not fitting:
            return unsupported() if plan.unsupported else resource_requirement(plan.unknown)
        if plan.strict:
            fitting = [one for one in fitting if one.type.item.vcpus * 1000 * count <= limit]
        return fitting or too_large()

    def _available(self, items: list[InstanceType]) -> list[InstanceType] | Refusal:
        available = [item for item in items if item.name not in self.restrictions.unavailable_types]
        if available:
            return available
        names = ", ".join(item.name for item in items[:5])
        return Refusal(
            WaitReason.INSUFFICIENT_INSTANCE_CAPACITY,
            f"Service cannot fulfill the capacity requested for instance type [{names}]",
        )

    def candidates(
        self, need: Need, environment: ComputeEnvironment, demand: Demand
    ) -> list[InstanceType] | Refusal:
        """Returns the types that could be launched now for a job and others like it, by preference."""
        fitting, plan = self._fitting(need, environment), self._plan(environment)
        if isinstance(fitting, Refusal):
            return fitting
        if plan.single:
            return self._available(plan.sized(fitting, demand)[:1])
        available = self._available([one.type.item for one in fitting])
        if isinstance(available, Refusal):
            return available
        names = {item.name for item in available}
        return plan.sized([one for one in fitting if one.type.item.name in names], demand)

    def demand(self, need: Need, environment: ComputeEnvironment, wanted_milli_vcpus: int) -> Demand:
        """Returns the wanted vCPUs, within maxvCpus, as a number of jobs like this one."""
        fleet = self.fleet(environment.name)
        room = (environment.max_milli_vcpus or 0) - fleet.milli_vcpus + fleet.idle_milli_vcpus
        return Demand(max(1, min(wanted_milli_vcpus, room) // need.milli_vcpus), room)

    def offer(self, need: Need, environment: ComputeEnvironment, queue: str) -> Offer | Refusal:
        """Returns where a job would go now: on an instance with room, or on one to launch.

        Args:
            need: the job's vCPUs, memory and GPUs.
            environment: the compute environment.
            queue: the queue whose RUNNABLE jobs are the demand.
        """
        fleet = self.fleet(environment.name)
        # AWS Batch calls a job blocked only while no instance takes it, so instances come first.
        instance = fleet.room(need, InstanceState.READY) or fleet.room(need, InstanceState.LAUNCHING)
        if instance is not None:
            return Offer(instance)
        used = fleet.milli_vcpus - fleet.idle_milli_vcpus
        if used >= (environment.max_milli_vcpus or 0) and not self.restrictions.unavailable_types:
            # This runs after every end of a job: the best type does not matter if none can be launched.
            fitting = self._fitting(need, environment)
            return fitting if isinstance(fitting, Refusal) else self.full(need, environment)
        demand = self.demand(need, environment, self._registry.index.waiting_milli_vcpus(queue))
        candidates = self.candidates(need, environment, demand)
        if isinstance(candidates, Refusal):
            return candidates
        for item in candidates:
            if self.within(environment, item, 1, fleet.idle_milli_vcpus):
                return self.role_refusal(environment) or Offer(launch=item)
        return self.full(need, environment)

    def role_refusal(self, environment: ComputeEnvironment) -> Refusal | None:
        """Returns why an environment's role forbids a launch, or None."""
        if environment.service_role not in self.restrictions.denied_roles:
            return None
        return Refusal(WaitReason.SERVICE_ROLE_PERMISSIONS, "Batch service role has a permission issue.")

    def full(self, need: Need, environment: ComputeEnvironment) -> Refusal:
        """Returns the refusal of an environment whose instances are all taken."""
        fleet, limit = self.fleet(environment.name), environment.max_milli_vcpus or 0
        return instances_full(environment.name, fleet.milli_vcpus, limit, need.milli_vcpus, need.memory_mib)

    def within(self, environment: ComputeEnvironment, item: InstanceType, count: int, freed: int) -> bool:
        """Returns whether more instances stay within maxvCpus; most strategies may exceed it by one."""
        total, limit = self.fleet(environment.name).milli_vcpus - freed, environment.max_milli_vcpus or 0
        if self._plan(environment).strict:
            return total + count * item.vcpus * 1000 <= limit
        return total + (count - 1) * item.vcpus * 1000 < limit

    def offer_gang(self, needs: list[Need], environment: ComputeEnvironment) -> list[Offer] | Refusal:
        """Returns one instance of one type for each node of a job, or why there are not enough."""
        if environment.resources.get("type") != "EC2" or environment.type != "MANAGED":
            return resource_requirement(())
        largest = Need(*map(max, zip(*needs, strict=True)))
        fitting = self._fitting(largest, environment, len(needs))
        if isinstance(fitting, Refusal):
            return fitting
        # All nodes need the same type, so a multi-node job does not fall back to another type.
        candidates = self._available([fitting[0].type.item])
        if isinstance(candidates, Refusal):
            return candidates
        item, fleet = candidates[0], self.fleet(environment.name)
        alike = (one for one in fleet.empty() if one.type == item.name and not one.is_pool)
        own = list(islice(alike, len(needs)))
        missing = len(needs) - len(own)
        ready = sum(instance.state is InstanceState.READY for instance in own)
        freed = fleet.idle_milli_vcpus - ready * item.vcpus * 1000
        if missing and not self.within(environment, item, missing, freed):
            return self.full(largest, environment)
        if missing and (denied := self.role_refusal(environment)) is not None:
            return denied
        return [*(Offer(instance) for instance in own), *[Offer(launch=item)] * missing]
