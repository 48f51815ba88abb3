"""An internal error of the core: what a client is told, what is logged, and what goes on."""

import json

import pytest

from batch_engine.core.model.events import AttemptFinished, AttemptStarted, HostLost
from batch_engine.core.model.jobs import JobStatus
from batch_engine.core.scheduling.dispatcher import Dispatcher
from batch_engine.core.scheduling.lifecycle import Lifecycle
from batch_engine.local.engine.attempts import _failure_of
from batch_engine.local.server.batch_only import build_batch_engine

CONTAINER = {
    "image": "i",
    "command": ["true"],
    "resourceRequirements": [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "64"}],
}


class Recorder:
    """Runs nothing, and notes what it is told to start and to stop."""

    def __init__(self):
        self.started, self.stopped = [], []

    def start(self, jobs):
        self.started += [job.id for job in jobs]

    def stop(self, job_id, attempt, grace_s):
        self.stopped.append(job_id)

    def close(self):
        pass


@pytest.fixture
def engine(tmp_path):
    made = build_batch_engine(tmp_path, "http://127.0.0.1:1", host_vcpus=1000)
    made.attach(Recorder(), None)
    resources = {"type": "EC2", "minvCpus": 0, "maxvCpus": 1000, "instanceTypes": ["m6g"]}
    resources |= {"instanceRole": "r", "subnets": ["s"]}
    created = {"computeEnvironmentName": "ce", "type": "MANAGED", "computeResources": resources}
    made.call("CreateComputeEnvironment", created)
    order = [{"order": 1, "computeEnvironment": "ce"}]
    made.call("CreateJobQueue", {"jobQueueName": "q", "priority": 1, "computeEnvironmentOrder": order})
    definition = {"jobDefinitionName": "d", "type": "container", "containerProperties": CONTAINER}
    made.call("RegisterJobDefinition", definition)
    yield made
    made.stop()


def submit(engine):
    return engine.call("SubmitJob", {"jobName": "j", "jobQueue": "q", "jobDefinition": "d"})["jobId"]


def broken(*_, **__):
    raise RuntimeError("out of order")


def test_a_request_gets_a_server_exception_and_changes_nothing(engine, monkeypatch, caplog):
    job_id = submit(engine)
    with monkeypatch.context() as patch:
        patch.setattr(Lifecycle, "_stop", broken)
        body = json.dumps({"jobId": job_id, "reason": "no"}).encode()
        status, headers, _ = engine.api.handle("POST", "/v1/terminatejob", body, {})
    assert (status, headers["x-amzn-ErrorType"]) == (500, "ServerException")
    job = engine._registry.jobs[job_id]
    assert (job.status, job.is_terminated) == (JobStatus.STARTING, False)
    assert "out of order" in caplog.text
    engine.call("TerminateJob", {"jobId": job_id, "reason": "no"})
    assert engine._runner.stopped == [job_id]


def test_each_of_several_reports_is_taken_in(engine, monkeypatch, caplog):
    first, second = submit(engine), submit(engine)
    engine.tell_all([AttemptStarted(first, 1), AttemptStarted(second, 1)])
    with monkeypatch.context() as patch:
        real = Dispatcher.release
        patch.setattr(
            Dispatcher, "release", lambda self, job: broken() if job.id == first else real(self, job)
        )
        engine.tell_all([AttemptFinished(first, 1, 0), AttemptFinished(second, 1, 0)])
    jobs = engine._registry.jobs
    assert jobs[first].status_reason == "Internal error of the engine: RuntimeError: out of order"
    assert [jobs[first].status, jobs[second].status] == [JobStatus.FAILED, JobStatus.SUCCEEDED]
    assert caplog.text.count("met an internal error") == 1
    third = submit(engine)
    assert engine._runner.started[-1] == third
    assert caplog.text.count("met an internal error") == 1


def test_an_attempt_that_ended_before_it_was_saved_is_not_started(engine, monkeypatch):
    with monkeypatch.context() as full:
        full.setattr(engine._store, "save", broken)
        with pytest.raises(RuntimeError):
            submit(engine)
    (job,) = engine._registry.jobs.values()
    engine.tell_all([HostLost(job.id, 1)])

    assert (job.status, job.attempt.number) == (JobStatus.FAILED, 1)
    assert engine._runner.started == []


def test_a_runner_that_fails_to_start_leaves_the_other_actions(engine, monkeypatch):
    job_id = submit(engine)
    monkeypatch.setattr(engine._runner, "start", broken)
    with monkeypatch.context() as full:
        full.setattr(engine._store, "save", broken)
        with pytest.raises(RuntimeError):
            submit(engine)
    engine.call("TerminateJob", {"jobId": job_id, "reason": "r"})

    assert engine._runner.stopped == [job_id]


def test_a_reason_that_utf8_cannot_hold_is_saved_with_a_question_mark():
    event = _failure_of(("job", 1), ["No such file: '/data/\udcff'"])

    assert event.reason == "No such file: '/data/?'"
