"""An internal error anywhere in ``Scheduler.handle`` loses no job and no action."""

import contextlib
import random
from dataclasses import dataclass, field

import pytest

from batch_engine.core.capacity.autoscaler import ScalingSettings
from batch_engine.core.model.errors import ClientError
from batch_engine.core.model.events import (
    AttemptFinished,
    AttemptInterrupted,
    AttemptStarted,
    CapacityChanged,
    InstanceInterrupted,
    InstanceLost,
    RolesChanged,
)
from batch_engine.core.model.jobs import JobStatus
from batch_engine.core.scheduling.scheduler import Scheduler
from tests.unit.core.audit.faults import check_fault, lines_of, run_out
from tests.unit.core.audit.lives import Life
from tests.unit.core.audit.test_random_lives import ON_EXIT, STORM, furnish


@dataclass
class Saboteur:
    """Takes in each event, and a copy of some with faults.

    Args:
        world: whose scheduler is sabotaged, with copies.
        rng: picks events and lines.
        rate: how many of the events are picked, from 0 to 1.
        lines: how many lines of an event are picked.
    """

    world: object
    rng: random.Random
    rate: float
    lines: int
    faults: int = 0
    kinds: set[type] = field(default_factory=set)

    def __post_init__(self):
        self.world.scheduler.handle = self.handle

    def handle(self, event, now_ms):
        scheduler = self.world.scheduler
        if self.rng.random() < self.rate:
            count = lines_of(scheduler, event, now_ms)
            picked = (
                range(count) if self.lines is None else self.rng.sample(range(count), min(self.lines, count))
            )
            for line in picked:
                self.fault(event, now_ms, line)
        return Scheduler.handle(scheduler, event, now_ms)

    def fault(self, event, now_ms, line):
        faulty = check_fault(self.world.scheduler, event, now_ms, line)
        if faulty is None:
            return
        self.faults += 1
        self.kinds.add(type(event))
        if self.rng.random() < 0.1:
            run_out(faulty, now_ms)


def submit(life, rng):
    whole = [job for job in life.world.registry.jobs.values() if job.node_index is None]
    queue = rng.choice(["first", "first", "fair", "serverless"])
    kind = "fargate" if queue == "serverless" else rng.choice(["small", "large", "nodes"])
    request = {"jobName": "j", "jobQueue": queue, "jobDefinition": kind}
    request["retryStrategy"] = {"attempts": 2, "evaluateOnExit": ON_EXIT}
    if queue == "fair":
        request["shareIdentifier"] = rng.choice(["A", "Ca"])
    if rng.random() < 0.3:
        request["timeout"] = {"attemptDurationSeconds": 60}
    if kind != "nodes" and rng.random() < 0.4:
        request["arrayProperties"] = {"size": rng.choice([2, 3])}
    if kind != "nodes" and rng.random() < 0.3:
        seats = [{"consumableResource": "seats", "quantity": 1}]
        request["consumableResourcePropertiesOverride"] = {"consumableResourceList": seats}
    if whole and rng.random() < 0.5:
        request["dependsOn"] = [{"jobId": rng.choice(whole).id}]
    life.call("SubmitJob", **request)


def end(life, rng):
    if whole := [job for job in life.world.registry.jobs.values() if job.node_index is None]:
        life.call(rng.choice(["CancelJob", "TerminateJob"]), jobId=rng.choice(whole).id, reason="r")


def switch(life, rng):
    state = rng.choice(["ENABLED", "DISABLED"])
    life.call("UpdateComputeEnvironment", computeEnvironment="od", state=state)


def replace_instances(life, rng):
    resources = {"instanceTypes": rng.choice([["m6g"], ["c6g", "m6g"]])}
    life.call("UpdateComputeEnvironment", computeEnvironment="od", computeResources=resources)


def run_out_of_types(life, rng):
    life.tell(CapacityChanged(frozenset(rng.choice([(), ("m6g.medium",)]))))


def deny_roles(life, rng):
    life.tell(RolesChanged(denied=frozenset(rng.choice([(), ("r",)]))))


def tag(life, rng):
    arn = life.world.registry.job_queues["first"].arn
    life.call("TagResource", resourceArn=arn, tags={"a": str(rng.random())})


def change_seats(life, rng):
    life.call("UpdateConsumableResource", consumableResource="seats", quantity=rng.randrange(4))


def delete_queue(life, rng):
    del rng
    life.call("UpdateJobQueue", jobQueue="serverless", state="DISABLED")
    life.call("DeleteJobQueue", jobQueue="serverless")


def disturb(life, rng):
    scheduler = life.world.scheduler
    instances = list(scheduler.dispatcher.scaling.instances)
    placed = [job for job in life.world.registry.jobs.values() if job.status.is_placed and not job.is_gang]
    if instances and rng.random() < 0.6:
        kind = rng.choice([InstanceLost, lambda name: InstanceInterrupted(name, 30)])
        life.tell(kind(rng.choice(instances)))
    elif placed:
        job = rng.choice(placed)
        life.tell(AttemptInterrupted(job.id, job.attempt.number, 10))


WHIMS = [submit] * 8 + [end] * 3 + [disturb] * 3
WHIMS += [switch, replace_instances, run_out_of_types, deny_roles, tag, change_seats]


def live(make_world, seed, *, rate, lines, steps=30):
    rng = random.Random(seed)
    keep_ms = rng.choice([None, 60_000])
    world = make_world(scaling=ScalingSettings(launch_takes_time=True, idle_s=60), keep_ended_ms=keep_ms)
    life = Life(world, seed, STORM)
    saboteur = Saboteur(world, rng, rate, lines)
    furnish(life, minimum=rng.choice([0, 2]))
    for whim in [*rng.choices(WHIMS, k=steps), delete_queue]:
        with contextlib.suppress(ClientError):  # a queue or a job may have gone
            whim(life, rng)
        life.pass_time(rng.choice([0, 1, 20, 300]))
    return saboteur


@pytest.mark.parametrize("seed", range(6))
def test_faults_at_some_lines(make_world, seed):
    assert live(make_world, seed, rate=0.3, lines=6).faults > 50


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("seed", range(100, 130))
def test_faults_at_many_lines(make_world, seed):
    assert live(make_world, seed, rate=0.5, lines=20).faults > 300


def test_faults_at_every_line_of_a_short_life(make_world):
    """A submission with a dependent, a start, a retry, an end: each line in turn."""
    world = make_world()
    world.definition()
    queue = world.queue("q", world.environment("ce", 1))
    first = world.submit(queue, retryStrategy={"attempts": 2}, timeout={"attemptDurationSeconds": 60})
    world.submit(queue, dependsOn=[{"jobId": first.id}])
    world.submit(queue, arrayProperties={"size": 2})
    for number in (1, 2):
        for event in (AttemptStarted(first.id, number), AttemptFinished(first.id, number, 2 - number)):
            lines = lines_of(world.scheduler, event, world.now_ms)
            found = [check_fault(world.scheduler, event, world.now_ms, line) for line in range(lines)]
            assert all(found), "each line was run"
            world.tell(event)
    assert first.status is JobStatus.SUCCEEDED
