"""AWS Batch as a target: what becomes a request, and what is refused before it becomes one."""

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from batch_engine.local.delivery.executions import Execution, Resumption, Wait, Waits, steps_of
from batch_engine.local.delivery.requests import TargetError, submit_request, universal_request
from batch_engine.local.delivery.step_functions import BatchTasks, TaskFailedError
from batch_engine.local.delivery.targets import BatchTargets
from batch_engine.translation import PropertyError
from tests.support import wait_for

QUEUE = "arn:aws:batch:us-east-1:000000000000:job-queue/q"
SCHEDULE = "arn:aws:scheduler:us-east-1:000000000000:schedule/default/s"
UNIVERSAL = "arn:aws:scheduler:::aws-sdk:batch:"
EVENT = {"source": "x", "detail": {"n": 1, "job": {"Parameters": {"n": 1}}}}


def target(**more: Any) -> dict[str, Any]:
    return {"Arn": QUEUE, "BatchParameters": {"JobName": "j", "JobDefinition": "d"}} | more


@pytest.mark.parametrize(
    ("arn", "taken"),
    [
        (QUEUE, True),
        ("arn:aws-cn:batch:cn-north-1:000000000000:job-queue/q", True),
        (f"{UNIVERSAL}submitJob", True),
        ("arn:aws:scheduler:::aws-sdk:sqs:sendMessage", False),
        ("arn:aws:batch:us-east-1:000000000000:job-definition/d", False),
        ("arn:aws:sqs:us-east-1:000000000000:job-queue/q", False),
    ],
)
def test_which_targets_are_batch(arn: str, taken: bool) -> None:
    assert BatchTargets.takes(arn) is taken


@pytest.mark.parametrize(
    ("more", "transformed", "added"),
    [
        ({}, None, {}),
        ({"Input": '{"Parameters": {"a": 1}, "Other": 2}'}, None, {"parameters": {"a": "1"}}),
        ({"Input": '["a list"]'}, None, {}),
        ({"InputPath": "$.detail.job"}, None, {"parameters": {"n": "1"}}),
        ({"InputPath": "$.detail.absent"}, None, {}),
        (
            {"Input": "not looked at"},
            '{"ContainerOverrides": {"Command": ["a"]}}',
            {"containerOverrides": {"command": ["a"]}},
        ),
    ],
    ids=["whole event", "input", "a list", "input path", "a path to nothing", "transformed"],
)
def test_only_parameters_and_container_overrides_of_the_input_are_used(
    more: dict[str, Any], transformed: str | None, added: dict[str, Any]
) -> None:
    expected = {"jobQueue": QUEUE, "jobName": "j", "jobDefinition": "d"} | added
    assert submit_request(target(**more), EVENT, transformed) == expected


def test_array_size_and_attempts_ride_in_batch_parameters() -> None:
    parameters = {
        "JobName": "j",
        "JobDefinition": "d",
        "ArrayProperties": {"Size": 10_000},
        "RetryStrategy": {"Attempts": 10},
    }
    request = submit_request(target(BatchParameters=parameters), EVENT, None)
    assert request["arrayProperties"] == {"size": 10_000}
    assert request["retryStrategy"] == {"attempts": 10}


@pytest.mark.parametrize(
    ("more", "error", "message"),
    [
        ({"BatchParameters": None}, TargetError, f"BatchParameters is required for the target {QUEUE}"),
        ({"Input": "{"}, TargetError, "the target's input is not JSON"),
        ({"BatchParameters": {"JobNme": "j"}}, PropertyError, "unknown property .* at Target.JobNme"),
    ],
)
def test_targets_that_cannot_become_a_request(
    more: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        submit_request(target(**more), EVENT, None)


def test_the_universal_target_takes_every_member_of_any_operation() -> None:
    given = {"JobId": "<aws.scheduler.schedule-arn>", "Reason": "<aws.scheduler.attempt-number>"}
    asked = {"Arn": f"{UNIVERSAL}terminateJob", "Input": json.dumps(given)}
    keywords = {"schedule-arn": SCHEDULE, "attempt-number": "1"}
    assert universal_request(asked, keywords) == ("TerminateJob", {"jobId": SCHEDULE, "reason": "1"})


@pytest.mark.parametrize(
    ("action", "text", "message"),
    [("noSuch", "{}", "no operation 'noSuch'"), ("submitJob", "[]", "must be a JSON object")],
)
def test_operations_that_the_universal_target_refuses(action: str, text: str, message: str) -> None:
    with pytest.raises(TargetError, match=message):
        universal_request({"Arn": UNIVERSAL + action, "Input": text}, {})


class Service:
    """A job that never ends, until it is terminated."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def call(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        self.calls.append(operation)
        if operation == "SubmitJob":
            return {"jobId": "1", "jobArn": "a", "jobName": request["jobName"]}
        return {"jobs": [{"jobId": "1", "status": "RUNNING"}]} if operation == "DescribeJobs" else {}


ARGUMENTS = {"JobName": "j", "JobQueue": "q", "JobDefinition": "d"}
SYNC = "arn:aws:states:::batch:submitJob.sync"


def test_a_stopped_execution_terminates_and_is_no_failure(tmp_path: Path) -> None:
    service = Service()
    tasks = BatchTasks(service, lambda *_: None, Waits(tmp_path / "e.sqlite"))
    with tasks.running({"status": "ABORTED"}, {}):
        assert tasks.submit_job(SYNC, ARGUMENTS)["Status"] == "RUNNING"
    assert service.calls == ["SubmitJob", "DescribeJobs", "TerminateJob"]


def test_the_clouds_end_leaves_the_job_and_the_execution_as_they_are(tmp_path: Path) -> None:
    service = Service()
    waits = Waits(tmp_path / "e.sqlite")
    tasks = BatchTasks(service, lambda *_: None, waits)
    outcomes: list[object] = []

    def run() -> None:
        with tasks.running({"status": "RUNNING", "executionArn": "e"}, {}, "Task"):
            outcomes.append(tasks.submit_job(SYNC, ARGUMENTS))

    threading.Thread(target=run, daemon=True).start()
    wait_for(lambda: "DescribeJobs" in service.calls, "the first look at the job")
    tasks.close()
    assert outcomes == []
    assert "TerminateJob" not in service.calls
    (left,) = Waits(tmp_path / "e.sqlite").all()
    assert (left.job_id, left.execution_arn, left.state) == ("1", "e", "Task")


def test_the_next_run_waits_for_the_same_job(tmp_path: Path) -> None:
    Waits(tmp_path / "e.sqlite").add(Wait("1", "e", "Task", 0.0))
    service = Service()
    tasks = BatchTasks(service, lambda *_: None, Waits(tmp_path / "e.sqlite"))
    execution: Execution = {
        "executionArn": "e",
        "status": "FAILED",
        "error": "States.ServiceRestart",
        "events": [{"id": 1}, {"id": 2}],
    }
    assert tasks.resumption.resume(execution, {"States": {"Task": {}}})
    assert execution == {
        "executionArn": "e",
        "status": "RUNNING",
        "stopDate": None,
        "output": None,
        "events": [{"id": 1}],
    }
    # It has waited since 1970: the state's timeout counts from the submission, not from the restart.
    with tasks.running(execution, {"TimeoutSeconds": 60}, "Task"):
        tasks.submit_job(SYNC, ARGUMENTS)
    assert service.calls == ["DescribeJobs", "TerminateJob"], "nothing is submitted again"
    with tasks.running({"status": "ABORTED", "executionArn": "e"}, {}, "Task"):
        tasks.submit_job(SYNC, ARGUMENTS)
    assert service.calls[2] == "SubmitJob", "a second visit of the state submits a job of its own"
    assert Waits(tmp_path / "e.sqlite").all() == []


@pytest.mark.parametrize(
    ("waits", "states", "told"),
    [
        (["Inner"], {"Map": {"Iterator": {"States": {"Inner": {}}}}}, True),
        (["Task", "Task"], {"Task": {}}, True),
        (["Task"], {"Task": {"Assign": {"x": "1"}}}, True),
        ([], {"Task": {}}, False),
    ],
    ids=["inside a map", "two jobs", "variables", "waiting for something else"],
)
def test_an_execution_that_is_not_resumed_says_why(
    tmp_path: Path, waits: list[str], states: dict[str, Any], told: bool
) -> None:
    file = Waits(tmp_path / "e.sqlite")
    for number, state in enumerate(waits):
        file.add(Wait(f"job-{number}", "e", state, 0.0))
    resumption = Resumption(file)
    execution: Execution = {
        "executionArn": "e",
        "status": "FAILED",
        "error": "States.ServiceRestart",
        "cause": "as it was",
    }
    assert not resumption.resume(execution, {"States": states})
    assert execution["status"] == "FAILED"
    assert ("waited for AWS Batch; its jobs go on: job-0" in execution["cause"]) is told
    resumption.settle()
    assert file.all() == []


def test_steps_of_a_history_leave_out_states_inside_others() -> None:
    def event(kind: str, name: str, output: object = None) -> dict[str, Any]:
        details = {"name": name, "output": json.dumps(output)}
        return {f"state{kind}EventDetails": details}

    events = [
        {"executionStartedEventDetails": {}},
        event("Entered", "First"),
        event("Exited", "First", {"a": 1}),
        event("Entered", "Map"),
        event("Entered", "Inner"),
        event("Exited", "Inner", 7),
        event("Exited", "Map", [7]),
        event("Entered", "Task"),
    ]
    states = {"First": {}, "Map": {}, "Task": {}}
    assert steps_of(events, states) == [("First", {"a": 1}, "Map"), ("Map", [7], "Task")]


def test_a_state_machines_role_must_allow_the_request_of_its_task(tmp_path: Path) -> None:
    asked: list[tuple[str, str, str, str]] = []

    def refuse(role: str, by: str, source: str, operation: str, request: dict[str, Any]) -> None:
        asked.append((role, by, source, operation))
        raise TargetError("User: role is not authorized", "NO_PERMISSIONS")

    service = Service()
    tasks = BatchTasks(service, refuse, Waits(tmp_path / "e.sqlite"))
    started = {"executionStartedEventDetails": {"roleArn": "the-role"}}
    execution = {"status": "RUNNING", "stateMachineArn": "the-machine", "events": [started]}
    with tasks.running(execution, {}), pytest.raises(TaskFailedError) as caught:
        tasks.submit_job(SYNC, ARGUMENTS)
    assert caught.value.error == "Batch.AWSBatchException"
    assert caught.value.cause.startswith("User: role is not authorized (Service: AWSBatch; Status Code: 403;")
    assert asked == [("the-role", "states.amazonaws.com", "the-machine", "SubmitJob")]
    assert service.calls == []
