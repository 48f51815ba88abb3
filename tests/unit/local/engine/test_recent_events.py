"""The event log as JSON."""

import json

import pytest

from batch_engine.core.model.events import AttemptFinished, AttemptStarted, CapacityChanged
from batch_engine.core.scheduling.lifecycle import Lifecycle
from batch_engine.local.engine import recent_events
from batch_engine.local.engine.recent_events import answer
from tests.api_world import ApiWorld


@pytest.fixture
def world():
    world = ApiWorld()
    world.environment()
    world.queue("q", "ce")
    world.definition()
    return world


def read(world, **request):
    log = world.scheduler.log
    status, document = answer(
        lambda last, job: recent_events.recent_events(log, last, job), json.dumps(request).encode()
    )
    assert status == 200, document
    return json.loads(json.dumps(document))


def test_events_with_the_actions_that_they_led_to(world):
    job_id = world.submit()
    world.tell(AttemptStarted(job_id, 1))
    world.tell(AttemptFinished(job_id, 1, 0))
    document = read(world, last=3)
    assert document["count"] == world.scheduler.log.count
    assert document["faults"] == 0
    started, ended = document["events"][-2:]
    assert (started["kind"], started["jobId"], started["attempt"]) == ("AttemptStarted", job_id, 1)
    assert (ended["kind"], ended["exitCode"]) == ("AttemptFinished", 0)
    moved = next(action for action in ended["actions"] if action["kind"] == "JobMoved")
    assert (moved["before"], moved["after"], moved["event"]) == ("RUNNING", "SUCCEEDED", ended["event"])
    published = next(action for action in ended["actions"] if action["kind"] == "PublishJobState")
    assert (published["status"], "detail" in published) == ("SUCCEEDED", False)


def test_events_of_one_job_with_its_children(world):
    array, other = world.submit(arrayProperties={"size": 2}), world.submit()
    kinds = [
        (event["kind"], event["jobId"]) for event in read(world, job=array)["events"] if "jobId" in event
    ]
    assert ("JobSubmitted", array) in kinds
    assert ("JobSubmitted", other) not in kinds
    world.started()
    shown = read(world, job=array, last=1)["events"]
    assert [event["jobId"].partition(":")[0] for event in shown] == [array]


def test_resources_sets_and_faults_are_shown(world, monkeypatch):
    created = read(world, last=100)["events"][0]
    assert created["put"] == ["arn:aws:batch:eu-central-1:123456789012:compute-environment/ce"]
    world.tell(CapacityChanged(frozenset({"b", "a"})))
    assert read(world, last=1)["events"][0]["unavailableTypes"] == ["a", "b"]
    job_id = world.submit()

    def broken(*_):
        monkeypatch.undo()
        raise RuntimeError("out of order")

    monkeypatch.setattr(Lifecycle, "current", broken)
    world.tell(AttemptStarted(job_id, 1))
    (fault,) = next(event["faults"] for event in read(world, last=5)["events"] if "faults" in event)
    assert (fault["reason"], fault["refused"]) == ("RuntimeError: out of order", False)
    assert "in broken" in fault["trace"]


def test_no_events_but_the_counts(world):
    assert read(world, last=0)["events"] == []
    assert read(world, last=0, job="j")["events"] == []


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"last": -1}', "last must be a whole number between 0 and 10000, got -1"),
        (b'{"last": true}', "last must be a whole number between 0 and 10000, got True"),
        (b'{"job": 5}', "job must be a job id, got 5"),
    ],
)
def test_refused(body, message):
    assert answer(lambda *_: {}, body) == (400, {"message": message})
