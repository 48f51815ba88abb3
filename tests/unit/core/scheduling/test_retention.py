"""Ended jobs are remembered for a while, and then forgotten with all that belongs to them."""

from pathlib import Path

import pytest

from batch_engine.core.capacity.autoscaler import ScalingSettings
from batch_engine.core.model.actions import WakeAt
from batch_engine.core.model.errors import ClientError
from batch_engine.core.model.events import AttemptFinished, AttemptStarted, InstanceReady, Woken
from batch_engine.core.model.jobs import JobStatus
from batch_engine.core.scheduling.retention import DAY_MS, KEEP_ENDED_MS
from batch_engine.local.store.store import Store

NODES = {
    "numNodes": 2,
    "mainNode": 0,
    "nodeRangeProperties": [
        {
            "targetNodes": "0:",
            "container": {
                "image": "i",
                "command": ["c"],
                "resourceRequirements": [
                    {"type": "VCPU", "value": "1"},
                    {"type": "MEMORY", "value": "128"},
                ],
            },
        }
    ],
}


@pytest.fixture
def world(make_world):
    world = make_world(keep_ended_ms=KEEP_ENDED_MS)
    world.definition()
    world.queue("q", world.environment("ce"))
    return world


def run(world, *exit_codes):
    """Run what is placed, with these exit codes in turn; all others succeed."""
    codes = list(exit_codes)
    while placed := [job for job in world.registry.jobs.values() if job.status.is_placed and not job.is_gang]:
        for job in placed:
            world.tell(AttemptStarted(job.id, job.attempt.number))
        for job in placed:
            world.tell(AttemptFinished(job.id, job.attempt.number, codes.pop(0) if codes else 0))


def wait(world, days):
    """Let days pass, and wake the core at the moments that it asked for."""
    end_ms = world.now_ms + round(days * DAY_MS)
    while due := [each.at_ms for each in world.actions if isinstance(each, WakeAt) and each.at_ms <= end_ms]:
        world.actions = [
            each for each in world.actions if not (isinstance(each, WakeAt) and each.at_ms <= end_ms)
        ]
        for at_ms in sorted(due):
            world.now_ms = max(world.now_ms, at_ms)
            world.tell(Woken())
    world.now_ms = end_ms


def listed(world):
    return [
        summary["jobId"]
        for status in JobStatus
        for summary in world.call("ListJobs", jobQueue="q", jobStatus=status)["jobSummaryList"]
    ]


def described(world, *job_ids):
    return [job["jobId"] for job in world.call("DescribeJobs", jobs=list(job_ids))["jobs"]]


def test_a_job_is_known_for_a_week_after_its_end(world):
    job = world.submit("q")
    wait(world, 8)  # it runs for that long
    run(world)
    wait(world, 6.9)

    assert (described(world, job.id), listed(world)) == ([job.id], [job.id])

    wait(world, 0.2)

    assert (described(world, job.id), listed(world), world.registry.jobs) == ([], [], {})
    assert world.forgotten == [job]


def test_jobs_that_have_not_ended_stay(world):
    blocked = world.submit("q", dependsOn=[{"jobId": world.submit("q").id}])
    wait(world, 30)

    assert described(world, blocked.id) == [blocked.id]
    assert len(world.registry.jobs) == 2


def test_without_a_limit_all_jobs_stay(make_world):
    world = make_world()
    world.definition()
    world.queue("q", world.environment("ce"))
    job = world.submit("q")
    run(world)
    wait(world, 3650)

    assert described(world, job.id) == [job.id]


def test_children_and_nodes_go_with_their_job(world):
    array = world.submit("q", arrayProperties={"size": 3})
    world.call("RegisterJobDefinition", jobDefinitionName="n", type="multinode", nodeProperties=NODES)
    nodes = world.submit("q", "n")
    run(world)
    assert {array.status, nodes.status} == {JobStatus.SUCCEEDED}
    assert len(world.registry.jobs) == 2 + 3 + 2
    wait(world, 7.1)

    assert (world.registry.jobs, world.registry.arrays) == ({}, {})
    assert described(world, f"{array.id}:1", f"{nodes.id}#0") == []
    assert {job.id for job in world.forgotten} == {array.id, nodes.id}


def test_an_array_goes_once_its_last_child_has_ended(world):
    array = world.submit("q", arrayProperties={"size": 2})
    first, second = (world.registry.jobs[f"{array.id}:{index}"] for index in range(2))
    world.tell(AttemptStarted(first.id, 1))
    world.tell(AttemptFinished(first.id, 1, 0))
    wait(world, 20)
    assert described(world, first.id, array.id) == [first.id, array.id]
    run(world)
    wait(world, 7.1)

    assert second.status is JobStatus.SUCCEEDED
    assert described(world, first.id, array.id) == []


def test_a_forgotten_job_cannot_be_waited_for(world):
    job = world.submit("q")
    run(world)
    wait(world, 7.1)

    with pytest.raises(ClientError, match=f"job {job.id} does not exist"):
        world.submit("q", dependsOn=[{"jobId": job.id}])


def test_a_dependent_that_failed_and_is_forgotten_is_not_asked_again(world):
    fails, runs = world.submit("q"), world.submit("q")
    dependent = world.submit("q", dependsOn=[{"jobId": fails.id}, {"jobId": runs.id}])
    world.tell(AttemptStarted(fails.id, 1))
    world.tell(AttemptFinished(fails.id, 1, 1))
    assert dependent.status is JobStatus.FAILED
    wait(world, 8)
    assert described(world, dependent.id) == []
    run(world)

    assert runs.status is JobStatus.SUCCEEDED


def test_children_that_are_awaited_one_by_one_are_kept_until_no_job_waits(world):
    awaited = world.submit("q", arrayProperties={"size": 2})
    run(world, 1)
    holds = world.submit("q")
    depends_on = [{"jobId": awaited.id, "type": "N_TO_N"}, {"jobId": holds.id}]
    waiting = world.submit("q", arrayProperties={"size": 2}, dependsOn=depends_on)
    wait(world, 30)
    assert described(world, awaited.id) == [awaited.id]
    run(world)  # the job that held them back ends, then the children run

    statuses = [world.registry.jobs[f"{waiting.id}:{index}"].status for index in range(2)]
    assert sorted(statuses) == [JobStatus.FAILED, JobStatus.SUCCEEDED]
    assert described(world, awaited.id) == []
    wait(world, 8)
    assert world.registry.jobs == {}


def test_a_forgotten_job_whose_instance_was_still_launching(make_world):
    world = make_world(keep_ended_ms=1000, scaling=ScalingSettings(launch_takes_time=True))
    world.definition()
    world.queue("q", world.environment("ce"))
    job = world.submit("q")
    (instance_id,) = world.scheduler.dispatcher.scaling.instances
    world.call("CancelJob", jobId=job.id, reason="r")
    world.now_ms += 5000
    world.tell(Woken())
    assert world.registry.jobs == {}
    world.tell(InstanceReady(instance_id))
    again = world.submit("q")
    assert (again.status, again.attempt.instance_id) == (JobStatus.STARTING, instance_id)


def test_a_forgotten_job_leaves_the_state_file_and_the_others_stay(world, tmp_path: Path):
    store = Store(tmp_path / "batch.sqlite")
    array = world.submit("q", arrayProperties={"size": 3})
    world.submit("q")
    run(world)
    store.save(world.registry.changed, [], world.now_ms)
    world.registry.changed.clear()
    wait(world, 6)
    last = world.submit("q", arrayProperties={"size": 2})
    run(world)
    wait(world, 1.1)
    store.save(world.registry.changed, [], world.now_ms)
    world.registry.changed.clear()
    store.close()

    again = Store(tmp_path / "batch.sqlite")
    jobs = {entity.id for entity in again.load() if hasattr(entity, "order")}
    again.close()

    assert array.id not in jobs
    assert jobs == {last.id, f"{last.id}:0", f"{last.id}:1"}


def test_a_restart_forgets_what_became_due_meanwhile(world, tmp_path: Path):
    store = Store(tmp_path / "batch.sqlite")
    world.submit("q", arrayProperties={"size": 2})
    run(world)
    world.now_ms += 6 * DAY_MS
    late = world.submit("q")
    run(world)
    store.save(world.registry.changed, [], world.now_ms)
    world.now_ms += 2 * DAY_MS
    world.restart(store.load())
    store.close()
    world.tell(Woken())
    wait(world, 0.1)

    assert set(world.registry.jobs) == {late.id}
    wait(world, 6)
    assert world.registry.jobs == {}
