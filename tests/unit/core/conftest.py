"""A core with ids that repeat, and a world of resources to try it on."""

from collections.abc import Callable, Iterable
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

import pytest

from batch_engine.catalogue.instances import instance_types
from batch_engine.core.api.control_plane import ControlPlane
from batch_engine.core.api.wire import job_detail
from batch_engine.core.audit.invariants import Audit, violations
from batch_engine.core.capacity.autoscaler import ScalingSettings
from batch_engine.core.capacity.usage import HostLimits
from batch_engine.core.model.actions import Action
from batch_engine.core.model.events import Event
from batch_engine.core.model.ids import Arns, IdFactory
from batch_engine.core.model.instance_types import Catalogue
from batch_engine.core.model.jobs import Job
from batch_engine.core.scheduling.replay import replay
from batch_engine.core.scheduling.scheduler import Scheduler
from batch_engine.core.state.log import EventLog
from batch_engine.core.state.registry import Entity, Registry
from tests.api_world import CountedIds
from tests.unit.core.audit.same_state import differences


@dataclass
class World:
    """A core under test: it checks every invariant after every step."""

    host: HostLimits = field(default_factory=HostLimits)
    scaling: ScalingSettings = field(default_factory=ScalingSettings)
    now_ms: int = 1_700_000_000_000
    actions: list[Action] = field(default_factory=list)
    keep_ended_ms: int | None = None
    forgotten: list[Job] = field(default_factory=list)

    expects_faults: bool = False
    """Whether internal errors are part of the test."""

    def __post_init__(self) -> None:
        self.ids, self.arns = CountedIds(), Arns("123456789012", "eu-central-1")
        self._open([])

    def _open(self, saved: list[Entity]) -> None:
        self._start = deepcopy(saved)
        self.registry = registry_of(saved)
        self.scheduler = self.scheduler_of(self.registry, self.ids, self.forgotten.append)
        self.plane = ControlPlane(self.registry, self.scheduler, self.arns, self.ids)
        assert violations(self.scheduler) == []
        self.audit = Audit(self.scheduler)

    def scheduler_of(
        self, registry: Registry, ids: IdFactory, forgotten: Callable[[Job], None] | None = None
    ) -> Scheduler:
        return Scheduler(
            registry,
            self.arns,
            ids,
            self.host,
            Catalogue(instance_types()),
            scaling=self.scaling,
            render=job_detail,
            keep_ended_ms=self.keep_ended_ms,
            forgotten=forgotten,
            log=EventLog(keep=None),
        )

    def restart(self, saved: Iterable[Entity]) -> None:
        """A new core that knows only what was saved."""
        self._open(list(saved))

    def assert_replays(self) -> None:
        """The log since the last restart leads to the same state, to the last field."""
        start = deepcopy(self._start)
        again = replay(self.scheduler.log, lambda ids: self.scheduler_of(registry_of(start), ids))
        assert differences(self.scheduler, again) == []

    def call(self, operation: str, /, **request: Any) -> dict[str, Any]:
        response, actions = self.plane.call(operation, request, self.now_ms)
        return self._after(actions) or response

    def tell(self, event: Event) -> list[Action]:
        actions = self.scheduler.handle(event, self.now_ms)
        self._after(actions)
        return actions

    def _after(self, actions: list[Action]) -> None:
        self.actions.extend(actions)
        self.now_ms += 1
        if self.scheduler.log.faults and not self.expects_faults:
            faults = [fault.trace for record in self.scheduler.log for fault in record.faults]
            raise AssertionError("".join(faults))
        broken = self.audit.after_event()
        assert broken == [], broken

    def environment(self, name: str, max_vcpus: int = 4, kind: str = "EC2") -> str:
        resources: dict[str, Any] = {"type": kind, "maxvCpus": max_vcpus}
        if kind in ("EC2", "SPOT"):
            resources |= {"minvCpus": 0, "instanceTypes": ["m6g"], "instanceRole": "r"}
        if kind == "SPOT":
            resources["spotIamFleetRole"] = "r"
        if kind == "ECS_MANAGED_INSTANCES":
            resources["managedInstancesProvider"] = {
                "infrastructureRoleArn": "r",
                "instanceLaunchTemplate": {},
            }
        request = {"computeEnvironmentName": name, "type": "MANAGED", "computeResources": resources}
        return self.call("CreateComputeEnvironment", **request)["computeEnvironmentArn"]

    def queue(self, name: str, *environments: str, priority: int = 1) -> str:
        order = [{"order": place, "computeEnvironment": arn} for place, arn in enumerate(environments)]
        request = {"jobQueueName": name, "priority": priority, "computeEnvironmentOrder": order}
        return self.call("CreateJobQueue", **request)["jobQueueArn"]

    def definition(self, name: str = "d", vcpus: int = 1, memory_mib: int = 128, **body: Any) -> str:
        requirements = [{"type": "VCPU", "value": str(vcpus)}, {"type": "MEMORY", "value": str(memory_mib)}]
        container = {"image": "i", "command": ["c"], "resourceRequirements": requirements}
        request = {"jobDefinitionName": name, "type": "container", "containerProperties": container, **body}
        return self.call("RegisterJobDefinition", **request)["jobDefinitionArn"]

    def submit(self, queue: str, definition: str = "d", **request: Any) -> Job:
        response = self.call("SubmitJob", jobName="j", jobQueue=queue, jobDefinition=definition, **request)
        return self.registry.jobs[response["jobId"]]


def registry_of(entities: list[Entity]) -> Registry:
    registry = Registry()
    for entity in entities:
        registry.add(entity)
    return registry


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def make_world():
    return World
