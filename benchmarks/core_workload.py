"""Runs one workload as processes of SimPy, and as requests and reports to the core.

Jobs arrive, wait for one of ``SERVERS`` servers in the order of their arrival, hold it while they run, and
leave. Both sides have the same times of arrival and the same durations, in milliseconds of virtual time. Each
keeps a heap of coming events: SimPy in its environment, the core's in ``Drive``.
"""

import heapq
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import simpy

from batch_engine.catalogue.instances import instance_types
from batch_engine.core.api.control_plane import ControlPlane
from batch_engine.core.model.actions import Action, StartAttempt
from batch_engine.core.model.events import AttemptFinished, AttemptStarted
from batch_engine.core.model.ids import Arns
from batch_engine.core.model.instance_types import Catalogue
from batch_engine.core.scheduling.scheduler import Scheduler
from batch_engine.core.state.registry import Registry

SERVERS = 8
MEAN_MS = 10_000
LOAD = 0.9
LARGEST_ARRAY = 10_000

Workload = list[tuple[int, int]]
"""The times of arrival and the run times of the jobs."""


def steady(jobs: int) -> Workload:
    """Returns jobs that arrive at random and keep the servers 90 % busy on average."""
    dice = random.Random(jobs)
    at_ms, found = 0, []
    for _ in range(jobs):
        at_ms += round(dice.expovariate(LOAD * SERVERS / MEAN_MS))
        found.append((at_ms, round(dice.expovariate(1 / MEAN_MS))))
    return found


def backlog(jobs: int) -> Workload:
    """Returns jobs that all arrive at once."""
    return [(0, run_ms) for _, run_ms in steady(jobs)]


def run_simpy(workload: Workload) -> None:
    """Runs an arrival process, which starts a process for each job. That holds a server for its time."""
    environment = simpy.Environment()
    servers = simpy.Resource(environment, capacity=SERVERS)
    ended = count()

    def job(run_ms: int) -> Iterator[simpy.Event]:
        with servers.request() as claim:
            yield claim
            yield environment.timeout(run_ms)
        next(ended)

    def arrivals() -> Iterator[simpy.Event]:
        for at_ms, run_ms in workload:
            if at_ms > environment.now:
                yield environment.timeout(at_ms - environment.now)
            environment.process(job(run_ms))

    environment.process(arrivals())
    environment.run()
    if next(ended) != len(workload):
        raise RuntimeError("SimPy has not run every job")


class CountedIds:
    """Ids of the usual form that cost little time, so that the core is measured."""

    def __init__(self) -> None:
        self._next = count(1)

    def uuid(self) -> str:
        return f"00000000-0000-4000-8000-{next(self._next):012x}"

    def hex(self, length: int) -> str:
        return f"{next(self._next):0{length}x}"


@dataclass
class Core:
    """A core with one compute environment of ``SERVERS`` vCPUs, one queue ``q`` and one definition ``d``."""

    fair_share: dict[str, Any] | None = None
    registry: Registry = field(default_factory=Registry)

    def __post_init__(self) -> None:
        arns, ids = Arns("123456789012", "us-east-1"), CountedIds()
        self.scheduler = Scheduler(self.registry, arns, ids, catalogue=Catalogue(instance_types()))
        self.plane = ControlPlane(self.registry, self.scheduler, arns, ids)
        resources = {"type": "EC2", "minvCpus": 0, "maxvCpus": SERVERS, "instanceTypes": ["m6g"]}
        resources |= {"instanceRole": "r", "subnets": ["s"], "securityGroupIds": ["g"]}
        self.call(
            "CreateComputeEnvironment",
            computeEnvironmentName="ce",
            type="MANAGED",
            computeResources=resources,
        )
        queue: dict[str, Any] = {"computeEnvironmentOrder": [{"order": 1, "computeEnvironment": "ce"}]}
        if self.fair_share is not None:
            policy = self.call("CreateSchedulingPolicy", name="p", fairsharePolicy=self.fair_share)
            queue["schedulingPolicyArn"] = policy["arn"]
        self.call("CreateJobQueue", jobQueueName="q", priority=1, **queue)
        needs = [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "1024"}]
        container = {"image": "i", "command": ["c"], "resourceRequirements": needs}
        self.call(
            "RegisterJobDefinition", jobDefinitionName="d", type="container", containerProperties=container
        )

    def call(self, operation: str, **request: Any) -> dict[str, Any]:
        response, _ = self.plane.call(operation, request, 0)
        self.registry.changed.clear()
        return response


REQUEST = {"jobName": "j", "jobQueue": "q", "jobDefinition": "d"}


class Drive:
    """Carries out the core's actions: containers start at once and end after their time.

    Args:
        core: the core.
        durations: the run times of the jobs in the order of their start, in milliseconds.
    """

    def __init__(self, core: Core, durations: Iterator[int]) -> None:
        self._call, self._handle = core.plane.call, core.scheduler.handle
        self._changed = core.registry.changed
        self._durations = durations
        self._due: list[tuple[int, int, AttemptFinished]] = []
        self._number = count()
        self.ended = 0

    def submit(self, request: dict[str, Any], now_ms: int) -> None:
        self._act(self._call("SubmitJob", request, now_ms)[1], now_ms)

    def _act(self, actions: list[Action], now_ms: int) -> None:
        for action in actions:
            if type(action) is StartAttempt:
                self._handle(AttemptStarted(action.job_id, action.attempt), now_ms)
                end = AttemptFinished(action.job_id, action.attempt, 0)
                heapq.heappush(self._due, (now_ms + next(self._durations), next(self._number), end))
        self._changed.clear()  # otherwise done by the store

    def finish_next(self) -> int:
        """Ends the next container and returns its time in milliseconds."""
        now_ms, _, event = heapq.heappop(self._due)
        self.ended += 1
        self._act(self._handle(event, now_ms), now_ms)
        return now_ms

    def finish_until(self, now_ms: float) -> None:
        while self._due and self._due[0][0] <= now_ms:
            self.finish_next()


def run_jobs(workload: Workload) -> Callable[[], None]:
    """Returns a function that submits each job by itself and runs them all."""
    drive = Drive(Core(), iter([run_ms for _, run_ms in workload]))

    def run() -> None:
        for at_ms, _ in workload:
            drive.finish_until(at_ms - 1)
            drive.submit(REQUEST, at_ms)
        drive.finish_until(float("inf"))
        if drive.ended != len(workload):
            raise RuntimeError("the core has not run every job")

    return run


def run_arrays(workload: Workload) -> Callable[[], None]:
    """Returns a function that submits the jobs as children of arrays, all at once, and runs them all."""
    drive = Drive(Core(), iter([run_ms for _, run_ms in workload]))

    def run() -> None:
        for start in range(0, len(workload), LARGEST_ARRAY):
            size = min(LARGEST_ARRAY, len(workload) - start)
            drive.submit({**REQUEST, "arrayProperties": {"size": size}}, 0)
        drive.finish_until(float("inf"))
        if drive.ended != len(workload):
            raise RuntimeError("the core has not run every child")

    return run
