"""How managed compute environments on EC2 grow to demand and shrink again.

https://docs.aws.amazon.com/batch/latest/userguide/managed_compute_environments.html
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from batch_engine.core.actions import LaunchInstance, TerminateInstance
from batch_engine.core.agenda import Agenda
from batch_engine.core.catalogue import Catalogue, InstanceType
from batch_engine.core.ids import Arns, IdFactory
from batch_engine.core.instances import Fleet, Instance, InstanceState, Need
from batch_engine.core.journal import Journal
from batch_engine.core.model import ComputeEnvironment, State, WaitReason
from batch_engine.core.refusals import Refusal, resource_requirement, too_large, unsupported, vcpus
from batch_engine.core.scaling_plan import Demand, Fit, ScalingPlan, infrastructure, size_of

IDLE = "instance idle"
_CLUSTER = "cluster/"


@dataclass(slots=True)
class ScalingSettings:
    """How instances come and go.

    Args:
        launch_takes_time: an instance is ready when ``InstanceReady`` says so, and not at once.
        idle_s: how long an instance without jobs is kept. AWS publishes no figure; five minutes is ours.
        unavailable_types: instance types that cannot be had just now.
        unusable_roles: roles and instance profiles that AWS Batch cannot assume.
        denied_roles: service roles that do not allow AWS Batch to launch instances.
        settle_s: how long a compute environment or a queue is CREATING, UPDATING or DELETING at the least.
    """

    launch_takes_time: bool = False
    idle_s: int = 300
    unavailable_types: set[str] = field(default_factory=set)
    unusable_roles: set[str] = field(default_factory=set)
    denied_roles: set[str] = field(default_factory=set)
    settle_s: float = 0


@dataclass(frozen=True, slots=True)
class Offer:
    """Where a job would go: an instance that is there, one to launch, or neither where there are none."""

    instance: Instance | None = None
    launch: InstanceType | None = None


def has_fleet(environment: ComputeEnvironment) -> bool:
    """Whether AWS Batch launches instances for it; Fargate and managed instances count jobs alone."""
    return environment.type == "MANAGED" and environment.resources.get("type") in ("EC2", "SPOT")


class Scaling:
    """The fleets of all compute environments.

    Args:
        journal: takes the decisions.
        arns: names things.
        ids: gives fresh ids to instances.
        catalogue: the instance types there are.
        agenda: remembers idle instances.
        settings: how instances come and go.
    """

    def __init__(
        self,
        journal: Journal,
        arns: Arns,
        ids: IdFactory,
        catalogue: Catalogue,
        agenda: Agenda,
        *,
        settings: ScalingSettings,
    ) -> None:
        self.settings = settings
        self.instances: dict[str, Instance] = {}
        self.fleets: dict[str, Fleet] = {}
        self._journal = journal
        self._registry = journal.registry
        self._arns = arns
        self._ids = ids
        self._catalogue = catalogue
        self._agenda = agenda
        self._plans: dict[str, ScalingPlan] = {}

    def fleet(self, name: str) -> Fleet:
        """The instances of a compute environment."""
        fleet = self.fleets.get(name)
        if fleet is None:
            fleet = self.fleets[name] = Fleet()
        return fleet

    def _plan(self, environment: ComputeEnvironment) -> ScalingPlan:
        plan = self._plans.get(environment.name)
        if plan is None:
            plan = self._plans[environment.name] = ScalingPlan.of(environment, self._catalogue)
        return plan

    def _fitting(self, need: Need, environment: ComputeEnvironment, count: int = 1) -> list[Fit] | Refusal:
        """The types that could be launched for so many of a job, or why there is none and never will be."""
        plan, limit = self._plan(environment), environment.max_milli_vcpus or 0
        if need.milli_vcpus * count > limit:
            return too_large()
        fitting = plan.fitting(need)
        if not fitting:
            return unsupported() if plan.unsupported else resource_requirement(plan.unknown)
        if plan.strict:
            fitting = [one for one in fitting if one.type.item.vcpus * 1000 * count <= limit]
        return fitting or too_large()

    def _available(self, items: list[InstanceType]) -> list[InstanceType] | Refusal:
        available = [item for item in items if item.name not in self.settings.unavailable_types]
        if available:
            return available
        names = ", ".join(item.name for item in items[:5])
        return Refusal(
            WaitReason.INSUFFICIENT_INSTANCE_CAPACITY,
            f"Service cannot fulfill the capacity requested for instance type [{names}]",
        )

    def _candidates(
        self, need: Need, environment: ComputeEnvironment, demand: Demand
    ) -> list[InstanceType] | Refusal:
        """The types that could be launched now for a job and others like it, most wanted first."""
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

    def _demand(self, need: Need, environment: ComputeEnvironment, wanted_milli_vcpus: int) -> Demand:
        """So many jobs like this one make up the vCPUs that are wanted, within maxvCpus."""
        fleet = self.fleet(environment.name)
        room = (environment.max_milli_vcpus or 0) - fleet.milli_vcpus + fleet.idle_milli_vcpus
        return Demand(max(1, min(wanted_milli_vcpus, room) // need.milli_vcpus), room)

    def offer(self, need: Need, environment: ComputeEnvironment, queue: str) -> Offer | Refusal:
        """Where a job would go now: where there is room, or on an instance of the size that its queue fills.

        Args:
            need: what the job takes.
            environment: on whose instances.
            queue: whose RUNNABLE jobs are the demand.
        """
        fleet = self.fleet(environment.name)
        # A blocked job stays one that AWS Batch would call so only while no instance takes it.
        instance = fleet.room(need, InstanceState.READY) or fleet.room(need, InstanceState.LAUNCHING)
        if instance is not None:
            return Offer(instance)
        demand = self._demand(need, environment, self._registry.index.waiting_milli_vcpus(queue))
        candidates = self._candidates(need, environment, demand)
        if isinstance(candidates, Refusal):
            return candidates
        for item in candidates:
            if self._within(environment, item, 1, fleet.idle_milli_vcpus):
                return self._role_refusal(environment) or Offer(launch=item)
        return self.full(need, environment)

    def _role_refusal(self, environment: ComputeEnvironment) -> Refusal | None:
        """Why nothing can be launched although it would fit."""
        if environment.service_role not in self.settings.denied_roles:
            return None
        return Refusal(WaitReason.SERVICE_ROLE_PERMISSIONS, "Batch service role has a permission issue.")

    def full(self, need: Need, environment: ComputeEnvironment) -> Refusal:
        """The refusal of an environment whose instances are all taken."""
        fleet, limit = self.fleet(environment.name), environment.max_milli_vcpus or 0
        return Refusal(
            WaitReason.COMPUTE_ENVIRONMENT_FULL,
            f"compute environment {environment.name} has instances of {vcpus(fleet.milli_vcpus)} vCPUs, "
            f"its maxvCpus are {vcpus(limit)} and no instance has room for {vcpus(need.milli_vcpus)} vCPUs "
            f"and {need.memory_mib} MiB",
        )

    def _within(self, environment: ComputeEnvironment, item: InstanceType, count: int, freed: int) -> bool:
        """Whether more instances stay within maxvCpus; all but BEST_FIT On-Demand may overshoot by one."""
        total, limit = self.fleet(environment.name).milli_vcpus - freed, environment.max_milli_vcpus or 0
        if self._plan(environment).strict:
            return total + count * item.vcpus * 1000 <= limit
        return total + (count - 1) * item.vcpus * 1000 < limit

    def offer_gang(self, needs: list[Need], environment: ComputeEnvironment) -> list[Offer] | Refusal:
        """One instance of one type for each node of a job, or none at all."""
        if environment.resources.get("type") != "EC2" or environment.type != "MANAGED":
            return resource_requirement(())
        largest = Need(*map(max, zip(*needs, strict=True)))
        fitting = self._fitting(largest, environment, len(needs))
        if isinstance(fitting, Refusal):
            return fitting
        # Nodes must be alike, so a job of several nodes does not fall to another type.
        candidates = self._available([fitting[0].type.item])
        if isinstance(candidates, Refusal):
            return candidates
        item, fleet = candidates[0], self.fleet(environment.name)
        own = [instance for instance in fleet.empty() if instance.type == item.name][: len(needs)]
        missing = len(needs) - len(own)
        ready = sum(instance.state is InstanceState.READY for instance in own)
        freed = fleet.idle_milli_vcpus - ready * item.vcpus * 1000
        if missing and not self._within(environment, item, missing, freed):
            return self.full(largest, environment)
        if missing and (denied := self._role_refusal(environment)) is not None:
            return denied
        return [*(Offer(instance) for instance in own), *[Offer(launch=item)] * missing]

    def accept(
        self, offer: Offer, environment: ComputeEnvironment, keep: Iterable[Instance] = ()
    ) -> Instance | None:
        """The instance that an offer speaks of, launched where it must be."""
        if offer.launch is None:
            return offer.instance
        self._make_room(environment, offer.launch, {instance.id for instance in keep})
        return self._launch(environment, offer.launch)

    def _make_room(self, environment: ComputeEnvironment, item: InstanceType, keep: set[str]) -> None:
        fleet, limit = self.fleet(environment.name), environment.max_milli_vcpus or 0
        for instance in list(fleet.idle.values()):
            if fleet.milli_vcpus + item.vcpus * 1000 <= limit:
                return
            if instance.id not in keep:
                self.terminate(instance)

    def _launch(self, environment: ComputeEnvironment, item: InstanceType) -> Instance:
        cluster = environment.ecs_cluster_arn.partition(_CLUSTER)[2]
        later = self.settings.launch_takes_time
        instance = Instance(
            id=f"i-{self._ids.hex(17)}",
            arn=self._arns.ecs(f"container-instance/{cluster}/{self._ids.hex(32)}"),
            type=item.name,
            compute_environment=environment.name,
            total=size_of(item),
            state=InstanceState.LAUNCHING if later else InstanceState.READY,
        )
        fleet = self.fleet(environment.name)
        for idle in fleet.idle.values():
            self._watch(idle)
        self.instances[instance.id] = instance
        fleet.add(instance)
        self._journal.act(LaunchInstance(instance.id, item.name, environment.name))
        self._report(environment)
        return instance

    def terminate(self, instance: Instance) -> None:
        """Give an instance back."""
        del self.instances[instance.id]
        self.fleet(instance.compute_environment).remove(instance)
        self._journal.act(TerminateInstance(instance.id, instance.compute_environment))
        environment = self._registry.compute_environments.get(instance.compute_environment)
        if environment is not None:
            self._report(environment)

    def _report(self, environment: ComputeEnvironment) -> None:
        """``desiredvCpus`` follows the instances, between its two limits."""
        resources = environment.resources
        if not has_fleet(environment):
            return
        whole = self.fleet(environment.name).milli_vcpus // 1000
        desired = min(max(whole, resources.get("minvCpus", 0)), resources["maxvCpus"])
        if resources.get("desiredvCpus") != desired:
            resources["desiredvCpus"] = desired
            self._registry.touch(environment)

    def adopt(self, instance_id: str, arn: str, environment: str, job_id: str, need: Need) -> None:
        """Count in a job that was read back from the store: its host takes no more jobs and ends with it."""
        fleet, instance = self.fleet(environment), self.instances.get(instance_id)
        if instance is None:
            instance = Instance(instance_id, arn, "", environment, need, InstanceState.DRAINING)
            self.instances[instance_id] = instance
            fleet.add(instance)
        else:
            fleet.remove(instance)
            total = Need(*map(sum, zip(instance.total, need, strict=True)))
            instance.total, instance.free = total, need
            fleet.add(instance)
        fleet.put(instance, job_id, need)

    def put(self, instance: Instance, job_id: str, need: Need) -> None:
        """Give a job its room."""
        instance.has_run = True
        self.fleet(instance.compute_environment).put(instance, job_id, need)

    def take_out(self, instance_id: str, job_id: str) -> None:
        """A job has left its instance."""
        instance = self.instances.get(instance_id)
        if instance is None or job_id not in instance.jobs:
            return
        self.fleet(instance.compute_environment).take_out(instance, job_id, self._journal.now_ms)
        if instance.state is InstanceState.DRAINING and not instance.jobs:
            self.terminate(instance)
            self.keep_minimum()
        elif instance.idle_since_ms is not None:
            self._watch(instance)

    def set_aside(self, instance: Instance, job_id: str) -> None:
        """Keep all of an instance for one node of a job that is not placed yet."""
        fleet = self.fleet(instance.compute_environment)
        if instance.state is InstanceState.READY:
            fleet.turn(instance, InstanceState.LAUNCHING)
        fleet.put(instance, job_id, instance.total)

    def no_longer_aside(self, instance_id: str) -> None:
        """An instance that is still launching is for whoever needs it."""
        instance = self.instances[instance_id]
        for job_id in list(instance.jobs):
            self.fleet(instance.compute_environment).take_out(instance, job_id, self._journal.now_ms)

    def drain(self, instance: Instance) -> None:
        """Place nothing more on an instance; it goes when its last job does."""
        if instance.state is InstanceState.DRAINING:
            return
        self.fleet(instance.compute_environment).turn(instance, InstanceState.DRAINING)
        if not instance.jobs:
            self.terminate(instance)

    def ready(self, instance_id: str) -> list[str]:
        """An instance has joined its cluster.

        Returns:
            The jobs it was launched for: they are placed anew, by their queues' order.
        """
        instance = self.instances.get(instance_id)
        if instance is None or instance.state is not InstanceState.LAUNCHING:
            return []
        fleet, waited = self.fleet(instance.compute_environment), list(instance.jobs)
        for job_id in waited:
            fleet.take_out(instance, job_id, self._journal.now_ms)
        fleet.turn(instance, InstanceState.READY)
        instance.idle_since_ms, instance.has_run = self._journal.now_ms, False
        self._watch(instance)
        return waited

    def _watch(self, instance: Instance) -> None:
        if not instance.watched and instance.idle_since_ms is not None:
            instance.watched = True
            self._agenda.at(instance.idle_since_ms + self._idle_ms(instance), IDLE, instance.id)

    def _idle_ms(self, instance: Instance) -> int:
        environment = self._registry.compute_environments.get(instance.compute_environment)
        policy = environment.resources.get("scalingPolicy") if environment else None
        minutes = (policy or {}).get("minScaleDownDelayMinutes") or 0
        return minutes * 60_000 if minutes and instance.has_run else self.settings.idle_s * 1000

    def idle(self, instance_id: str) -> None:
        """An instance may have been idle for long enough: whole instances go, never below minvCpus."""
        instance = self.instances.get(instance_id)
        if instance is None:
            return
        instance.watched = False
        since_ms = instance.idle_since_ms
        if since_ms is None or instance.jobs:
            return
        if since_ms + self._idle_ms(instance) > self._journal.now_ms:
            self._watch(instance)
            return
        environment = self._registry.compute_environments[instance.compute_environment]
        floor = environment.resources.get("minvCpus", 0) * 1000
        if self.fleet(environment.name).milli_vcpus - instance.total.milli_vcpus >= floor:
            self.terminate(instance)

    def resources_changed(self, replace: Callable[[Instance], None]) -> None:
        """A compute environment came, went or changed: what it must have is launched, what it lost goes.

        Args:
            replace: drains an instance that an infrastructure update replaces, or that is left over.
        """
        old, self._plans = self._plans, {}
        for name in [name for name in self.fleets if name not in self._registry.compute_environments]:
            for instance in list(self.fleets[name].instances.values()):
                replace(instance)
            del self.fleets[name]
        for environment in self._registry.compute_environments.values():
            if not has_fleet(environment):
                continue
            before = old.get(environment.name)
            if before is not None and before.signature != infrastructure(environment):
                fleet = self.fleet(environment.name)
                for instance in list(fleet.instances.values()):
                    fleet.replace(instance)
                    replace(instance)
            for instance in self.fleet(environment.name).idle.values():
                self._watch(instance)
        self.keep_minimum()

    def keep_minimum(self) -> None:
        """Launch up to minvCpus, or to the desiredvCpus that somebody asked for."""
        for environment in self._registry.compute_environments.values():
            if not has_fleet(environment) or environment.state is State.DISABLED or not environment.is_usable:
                continue
            resources, fleet = environment.resources, self.fleet(environment.name)
            floor = max(resources.get("minvCpus", 0), resources.get("desiredvCpus") or 0) * 1000
            while fleet.milli_vcpus < floor:
                one = Need(1000, 0, 0)
                wanted = floor - fleet.milli_vcpus
                candidates = self._candidates(one, environment, self._demand(one, environment, wanted))
                denied = self._role_refusal(environment) is not None
                if denied or isinstance(candidates, Refusal):
                    break
                if not self._within(environment, candidates[0], 1, 0):
                    break
                self._launch_idle(environment, candidates[0])

    def _launch_idle(self, environment: ComputeEnvironment, item: InstanceType) -> None:
        instance = self._launch(environment, item)
        if instance.state is InstanceState.READY:
            instance.idle_since_ms = self._journal.now_ms
            self._watch(instance)
