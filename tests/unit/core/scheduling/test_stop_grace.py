"""How long a container has between SIGTERM and SIGKILL, one test a rule."""

import pytest

from batch_engine.core.model.actions import StopAttempt
from batch_engine.core.model.events import AttemptFinished, AttemptInterrupted, AttemptStarted, Woken
from batch_engine.core.model.jobs import StopCause


def container(stop_s=None, **members):
    requirements = [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "2048"}]
    named = {"name": "c", "image": "i", "command": ["c"], "resourceRequirements": requirements, **members}
    return named if stop_s is None else {**named, "stopTimeout": stop_s}


def task(stop_s):
    return {"taskProperties": [{"containers": [container(stop_s)], "executionRoleArn": "r"}]}


def job_of_a_task(world, stop_s, kind="EC2"):
    platform = "FARGATE" if kind.startswith("FARGATE") else "EC2"
    world.call(
        "RegisterJobDefinition",
        jobDefinitionName="t",
        type="container",
        platformCapabilities=[platform],
        ecsProperties=task(stop_s),
    )
    queue = world.queue("q", world.environment("ce", kind=kind))
    job = world.submit(queue, "t", timeout={"attemptDurationSeconds": 60})
    world.tell(AttemptStarted(job.id, 1))
    return job


def graces(actions):
    return [action.grace_s for action in actions if isinstance(action, StopAttempt)]


@pytest.mark.parametrize(("stop_s", "grace_s"), [(None, 30), (2, 2), (300, 300)])
def test_a_timeout_waits_for_the_containers_stop_timeout(world, stop_s, grace_s):
    job = job_of_a_task(world, stop_s)
    world.now_ms += 60_000
    assert world.tell(Woken()) == [StopAttempt(job.id, 1, StopCause.TIMED_OUT, grace_s)]


def test_so_does_terminate_job(world):
    job = job_of_a_task(world, 90)
    world.actions.clear()
    world.call("TerminateJob", jobId=job.id, reason="enough")
    assert graces(world.actions) == [90]


@pytest.mark.parametrize(
    ("stop_s", "notice_s", "grace_s"), [(None, 120, 30), (90, 120, 90), (90, 60, 60), (None, 5, 5)]
)
@pytest.mark.parametrize("kind", ["SPOT", "FARGATE_SPOT"])
def test_a_reclaimed_host_waits_no_longer_than_it_is_there(world, kind, stop_s, notice_s, grace_s):
    job = job_of_a_task(world, stop_s, kind)
    assert graces(world.tell(AttemptInterrupted(job.id, 1, notice_s))) == [grace_s]


def test_each_node_has_its_own(world):
    ranges = [
        {"targetNodes": "0", "ecsProperties": task(10)},
        {"targetNodes": "1", "ecsProperties": task(45)},
        {
            "targetNodes": "2",
            "container": {key: value for key, value in container().items() if key != "name"},
        },
    ]
    properties = {"numNodes": 3, "mainNode": 0, "nodeRangeProperties": ranges}
    world.call("RegisterJobDefinition", jobDefinitionName="m", type="multinode", nodeProperties=properties)
    job = world.submit(world.queue("q", world.environment("ce", max_vcpus=16)), "m")
    for index in range(3):
        world.tell(AttemptStarted(f"{job.id}#{index}", 1))
    actions = world.tell(AttemptFinished(f"{job.id}#0", 1, 0))
    assert graces(actions) == [45, 30], "the main node has ended: the others are stopped"
