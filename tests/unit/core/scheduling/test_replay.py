"""Replay of an event log: the same state and the same decisions, or an error that names the event."""

from dataclasses import replace

import pytest

from batch_engine.core.model.events import AttemptFinished, AttemptStarted
from batch_engine.core.model.jobs import JobStatus
from batch_engine.core.scheduling.lifecycle import Lifecycle
from batch_engine.core.scheduling.replay import ReplayError, replay
from batch_engine.core.state.registry import Registry
from tests.unit.core.audit.same_state import differences


@pytest.fixture
def ran(world):
    world.definition()
    queue = world.queue("q", world.environment("ce"))
    job = world.submit(queue, tags={"a": "1"}, retryStrategy={"attempts": 2})
    world.submit(queue, arrayProperties={"size": 3}, dependsOn=[{"jobId": job.id}])
    for number, code in ((1, 1), (2, 0)):
        world.tell(AttemptStarted(job.id, number))
        world.tell(AttemptFinished(job.id, number, code))
    world.call("TagResource", resourceArn=job.arn, tags={"b": "2"})
    world.call("UpdateComputeEnvironment", computeEnvironment="ce", state="DISABLED")
    return world


def again(world, records=None):
    log = world.scheduler.log if records is None else records
    return replay(log, lambda ids: world.scheduler_of(Registry(), ids))


def test_the_state_is_the_same_to_the_last_field(ran):
    scheduler = again(ran)
    assert differences(ran.scheduler, scheduler) == []
    job = next(iter(scheduler.registry.jobs.values()))
    assert (job.status, job.tags) == (JobStatus.SUCCEEDED, {"a": "1", "b": "2"})
    assert job is not next(iter(ran.registry.jobs.values())), "a replay has jobs of its own"


def test_a_log_can_be_replayed_twice(ran):
    assert differences(again(ran), again(ran)) == []


def test_a_share_that_has_expired_begins_again(world):
    world.definition()
    policy = world.call("CreateSchedulingPolicy", name="p", fairsharePolicy={"shareDecaySeconds": 600})["arn"]
    order = [{"order": 1, "computeEnvironment": world.environment("ce")}]
    request = {"jobQueueName": "q", "priority": 1, "computeEnvironmentOrder": order}
    world.call("CreateJobQueue", schedulingPolicyArn=policy, **request)
    for _ in range(2):
        job = world.submit("q", shareIdentifier="A")
        world.tell(AttemptStarted(job.id, 1))
        world.now_ms += 30_000
        world.tell(AttemptFinished(job.id, 1, 0))
        world.now_ms += 700_000
    world.assert_replays()


def test_other_decisions_are_an_error(ran):
    records = list(ran.scheduler.log)
    place, submitted = next(
        (place, record)
        for place, record in enumerate(records)
        if type(record.event).__name__ == "JobSubmitted"
    )
    records[place] = replace(submitted, actions=submitted.actions[:-1])
    with pytest.raises(ReplayError, match=rf"event {submitted.seq} .*leads to"):
        again(ran, records)


def test_a_fault_cannot_be_repeated(make_world, monkeypatch):
    world = make_world(expects_faults=True)
    world.definition()
    job = world.submit(world.queue("q", world.environment("ce")))
    with monkeypatch.context() as patch:
        patch.setattr(Lifecycle, "current", lambda *_: 1 / 0)
        world.tell(AttemptStarted(job.id, 1))
    with pytest.raises(ReplayError, match="met an internal error: ZeroDivisionError"):
        again(world)
