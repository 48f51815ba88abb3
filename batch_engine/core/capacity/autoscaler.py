"""Launches and terminates the instances of managed compute environments on EC2.

https://docs.aws.amazon.com/batch/latest/userguide/managed_compute_environments.html
"""

from collections.abc import Callable, Iterable

from batch_engine.core.capacity.fleet import Instance, InstanceState, Need
from batch_engine.core.capacity.launch_plan import infrastructure, size_of
from batch_engine.core.capacity.placement_offers import (
    Offer,
    Offers,
    Restrictions,
    ScalingSettings,
    has_fleet,
)
from batch_engine.core.capacity.wait_reasons import Refusal
from batch_engine.core.model.actions import LaunchInstance, TerminateInstance
from batch_engine.core.model.ids import Arns, IdFactory
from batch_engine.core.model.instance_types import Catalogue, InstanceType
from batch_engine.core.model.resources import ComputeEnvironment, State
from batch_engine.core.state.decisions import Journal
from batch_engine.core.state.wakeups import InstanceIdle, Wakeups

__all__ = ["Offer", "Restrictions", "Scaling", "ScalingSettings", "has_fleet"]

_CLUSTER = "cluster/"


class Scaling(Offers):
    """The fleets of all compute environments.

    Args:
        journal: takes the decisions.
        arns: makes ARNs.
        ids: makes the ids of instances.
        catalogue: the known instance types.
        wakeups: holds the times at which idle instances are checked.
        settings: the settings of launching and terminating instances.
        restrictions: the things that AWS Batch cannot have or use at present.
    """

    def __init__(
        self,
        journal: Journal,
        arns: Arns,
        ids: IdFactory,
        catalogue: Catalogue,
        wakeups: Wakeups,
        *,
        settings: ScalingSettings,
        restrictions: Restrictions,
    ) -> None:
        super().__init__(journal.registry, catalogue, restrictions)
        self.settings = settings
        self.instances: dict[str, Instance] = {}
        self._journal = journal
        self._arns = arns
        self._ids = ids
        self._wakeups = wakeups

    def accept(
        self, offer: Offer, environment: ComputeEnvironment, keep: Iterable[Instance] = ()
    ) -> Instance | None:
        """Returns the instance of an offer, and launches it if necessary."""
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
        if fleet.infrastructure is None:
            fleet.infrastructure = infrastructure(environment)
        for idle in fleet.idle.values():
            self._watch(idle)
        # The action comes first: after a fault in between, recovery finds the instance by its action.
        self._journal.act(LaunchInstance(instance.id, item.name, environment.name))
        self.instances[instance.id] = instance
        fleet.add(instance)
        self._report(environment)
        return instance

    def terminate(self, instance: Instance) -> None:
        """Terminates an instance."""
        self._journal.act(TerminateInstance(instance.id, instance.compute_environment))
        del self.instances[instance.id]
        self.fleet(instance.compute_environment).remove(instance)
        environment = self._registry.compute_environments.get(instance.compute_environment)
        if environment is not None:
            self._report(environment)

    def _report(self, environment: ComputeEnvironment) -> None:
        """Sets ``desiredvCpus`` to the vCPUs of the instances, within minvCpus and maxvCpus."""
        resources = environment.resources
        if not has_fleet(environment):
            return
        whole = self.fleet(environment.name).milli_vcpus // 1000
        desired = min(max(whole, resources.get("minvCpus", 0)), resources["maxvCpus"])
        if resources.get("desiredvCpus") != desired:
            environment.resources = {**resources, "desiredvCpus": desired}
            self._registry.touch(environment)

    def adopt(
        self, instance_id: str, arn: str, environment: str, job_id: str, need: Need, *, alone: bool = False
    ) -> None:
        """Counts a job that is placed already. An unknown instance is drained: it takes no more jobs."""
        fleet, instance = self.fleet(environment), self.instances.get(instance_id)
        if instance is None:
            instance = Instance(instance_id, arn, "", environment, need, InstanceState.DRAINING)
            self.instances[instance_id] = instance
            fleet.add(instance)
        elif instance.type:
            need = instance.total if alone else need
        else:
            fleet.remove(instance)
            total = Need(*map(sum, zip(instance.total, need, strict=True)))
            instance.total, instance.free = total, need
            fleet.add(instance)
        fleet.put(instance, job_id, need)

    def continue_from(self, other: "Scaling") -> None:
        """Takes over the instances, without jobs, of a ``Scaling`` whose counts are wrong after a fault."""
        for name, fleet in other.fleets.items():
            self.fleet(name).infrastructure = fleet.infrastructure
        for instance in other.instances.values():
            if instance.type:
                instance.jobs, instance.free, instance.watched = {}, instance.total, False
                self.instances[instance.id] = instance
                fleet = self.fleet(instance.compute_environment)
                fleet.add(instance)
                fleet.replaced += instance.is_replaced

    def watch_all(self) -> None:
        """Checks every instance without jobs: terminates it if it drains, else starts its idle time."""
        for instance in list(self.instances.values()):
            if instance.jobs or instance.state is InstanceState.LAUNCHING:
                continue
            if instance.state is InstanceState.DRAINING:
                self.terminate(instance)
            elif instance.idle_since_ms is None:
                instance.idle_since_ms = self._journal.now_ms
            self._watch(instance)

    def put(self, instance: Instance, job_id: str, need: Need) -> None:
        """Puts a job on an instance."""
        instance.has_run = True
        self.fleet(instance.compute_environment).put(instance, job_id, need)

    def take_out(self, instance_id: str, job_id: str) -> None:
        """Removes a job from its instance."""
        instance = self.instances.get(instance_id)
        if instance is None or job_id not in instance.jobs:
            return
        self.fleet(instance.compute_environment).take_out(instance, job_id, self._journal.now_ms)
        if instance.state is InstanceState.DRAINING and not instance.jobs:
            self.terminate(instance)
            self.keep_minimum()
        elif instance.idle_since_ms is not None:
            self._watch(instance)

    def reserve_whole(self, instance: Instance, job_id: str) -> None:
        """Reserves a whole instance for one node of a job that is not placed yet."""
        fleet = self.fleet(instance.compute_environment)
        if instance.state is InstanceState.READY:
            fleet.turn(instance, InstanceState.LAUNCHING)
        fleet.put(instance, job_id, instance.total)

    def release_reservation(self, instance_id: str) -> None:
        """Releases a launching instance that was reserved for a node."""
        instance = self.instances[instance_id]
        for job_id in list(instance.jobs):
            self.fleet(instance.compute_environment).take_out(instance, job_id, self._journal.now_ms)

    def drain(self, instance: Instance) -> None:
        """Drains an instance: it takes no more jobs, and is terminated when its last job has ended."""
        if instance.state is InstanceState.DRAINING:
            return
        self.fleet(instance.compute_environment).turn(instance, InstanceState.DRAINING)
        if not instance.jobs:
            self.terminate(instance)

    def ready(self, instance_id: str) -> list[str]:
        """Makes an instance that has joined its cluster READY.

        Returns:
            The jobs for which it was launched. They are placed again, in the order of their queues.
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
            self._wakeups.at(instance.idle_since_ms + self._idle_ms(instance), InstanceIdle(instance.id))

    def _idle_ms(self, instance: Instance) -> int:
        environment = self._registry.compute_environments.get(instance.compute_environment)
        policy = environment.resources.get("scalingPolicy") if environment else None
        minutes = (policy or {}).get("minScaleDownDelayMinutes") or 0
        return minutes * 60_000 if minutes and instance.has_run else self.settings.idle_s * 1000

    def idle(self, instance_id: str) -> None:
        """Terminates an instance that was idle for long enough, unless minvCpus need it."""
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
        """Launches what compute environments must have, and drains the instances of deleted or updated ones.

        Args:
            replace: drains an instance that an infrastructure update replaces, or whose environment is gone.
        """
        self.plans = {}
        for name in [name for name in self.fleets if name not in self._registry.compute_environments]:
            for instance in list(self.fleets[name].instances.values()):
                replace(instance)
            del self.fleets[name]
        for environment in self._registry.compute_environments.values():
            if not has_fleet(environment):
                continue
            fleet, wanted = self.fleet(environment.name), infrastructure(environment)
            if fleet.infrastructure not in (None, wanted):
                for instance in list(fleet.instances.values()):
                    fleet.replace(instance)
                    replace(instance)
            fleet.infrastructure = wanted
            for instance in fleet.idle.values():
                self._watch(instance)
        self.keep_minimum()

    def keep_minimum(self) -> None:
        """Launches instances up to minvCpus, or up to desiredvCpus if that is more."""
        for environment in self._registry.compute_environments.values():
            if not has_fleet(environment) or environment.state is State.DISABLED or not environment.is_usable:
                continue
            resources, fleet = environment.resources, self.fleet(environment.name)
            floor = max(resources.get("minvCpus", 0), resources.get("desiredvCpus") or 0) * 1000
            while fleet.milli_vcpus < floor:
                one = Need(1000, 0, 0)
                wanted = floor - fleet.milli_vcpus
                candidates = self.candidates(one, environment, self.demand(one, environment, wanted))
                denied = self.role_refusal(environment) is not None
                if denied or isinstance(candidates, Refusal):
                    break
                if not self.within(environment, candidates[0], 1, 0):
                    break
                self._launch_idle(environment, candidates[0])

    def _launch_idle(self, environment: ComputeEnvironment, item: InstanceType) -> None:
        instance = self._launch(environment, item)
        instance.is_pool = True
        if instance.state is InstanceState.READY:
            instance.idle_since_ms = self._journal.now_ms
            self._watch(instance)
