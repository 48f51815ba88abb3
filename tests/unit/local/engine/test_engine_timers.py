"""What the engine has set to happen later: as much as is needed, and no longer than it is."""

import pytest

from batch_engine.core.model.events import AttemptFinished, AttemptStarted
from batch_engine.local.server.batch_only import build_batch_engine
from tests.support import wait_for

CONTAINER = {
    "image": "i",
    "command": ["true"],
    "resourceRequirements": [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "64"}],
}


class Nobody:
    """Runs nothing: the test says what becomes of attempts."""

    def start(self, jobs):
        pass

    def stop(self, job_id, attempt, grace_s):
        pass

    def close(self):
        pass


@pytest.fixture
def engine(tmp_path):
    made = build_batch_engine(tmp_path, "http://127.0.0.1:1", host_vcpus=1000)
    made.attach(Nobody(), None)
    resources = {"type": "EC2", "minvCpus": 0, "maxvCpus": 1000, "instanceTypes": ["m6g"]}
    made.call(
        "CreateComputeEnvironment",
        {
            "computeEnvironmentName": "ce",
            "type": "MANAGED",
            "computeResources": resources | {"instanceRole": "r", "subnets": ["s"]},
        },
    )
    order = [{"order": 1, "computeEnvironment": "ce"}]
    made.call("CreateJobQueue", {"jobQueueName": "q", "priority": 1, "computeEnvironmentOrder": order})
    made.call(
        "RegisterJobDefinition",
        {
            "jobDefinitionName": "d",
            "type": "container",
            "containerProperties": CONTAINER,
            "timeout": {"attemptDurationSeconds": 3600},
            "retryStrategy": {"attempts": 2},
        },
    )
    yield made
    made.stop()


def submit(engine):
    return engine.call("SubmitJob", {"jobName": "j", "jobQueue": "q", "jobDefinition": "d"})["jobId"]


def test_timeouts_of_many_ended_attempts_do_not_add_up(engine):
    for _ in range(300):
        job_id = submit(engine)
        engine.tell(AttemptStarted(job_id, 1))
        engine.tell(AttemptFinished(job_id, 1, 0))
    assert len(engine._timers.queue) < 150


def test_failed_saves_are_tried_again_one_at_a_time(engine, monkeypatch):
    save, tried = engine._store.save, []

    def fail(*_):
        tried.append(1)
        raise OSError("the disk is full")

    monkeypatch.setattr(engine._store, "save", fail)
    before = len(engine._timers.queue)
    for _ in range(20):
        with pytest.raises(OSError, match="full"):
            submit(engine)
    assert len(engine._timers.queue) == before + 1
    engine._timers.start()
    wait_for(lambda: len(tried) > 20, "another try")
    assert len(engine._timers.queue) <= before + 1
    monkeypatch.setattr(engine._store, "save", save)
    wait_for(lambda: not engine._registry.changed, "the save that succeeds")


def test_one_action_that_fails_does_not_cost_the_others(engine, monkeypatch, caplog):
    first, second = submit(engine), submit(engine)
    told = []

    def stop(job_id, attempt, grace_s):
        told.append(job_id)
        raise RuntimeError("no such runner")

    monkeypatch.setattr(engine._runner, "stop", stop, raising=False)
    with engine._lock:
        actions = []
        for job_id in (first, second):
            actions += engine._plane.call("TerminateJob", {"jobId": job_id, "reason": "r"}, engine._clock())[
                1
            ]
        engine._settle(actions)
    assert told == [first, second]
    assert "no such runner" in caplog.text
