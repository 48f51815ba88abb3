"""AWS Batch as a target: EventBridge rules, EventBridge Scheduler, Step Functions."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.conformance.cloud.conftest import LocalCloud
from tests.conformance.cloud.test_server import finished, runnable_job
from tests.support import wait_for

pytestmark = pytest.mark.cloud

ROLE = "arn:aws:iam::000000000000:role/invoke"
STATUSES = ("SUBMITTED", "PENDING", "RUNNABLE", "STARTING", "RUNNING", "SUCCEEDED", "FAILED")


@dataclass
class Workbench:
    """A queue and a definition of their own, and what comes into the queue."""

    cloud: LocalCloud
    batch: Any
    name: str

    @property
    def queue_arn(self) -> str:
        (queue,) = self.batch.describe_job_queues(jobQueues=[self.name])["jobQueues"]
        return str(queue["jobQueueArn"])

    def jobs(self, name: str) -> list[dict[str, Any]]:
        found = []
        for status in STATUSES:
            listed = self.batch.list_jobs(jobQueue=self.name, jobStatus=status)["jobSummaryList"]
            found += [job["jobId"] for job in listed if job["jobName"] == name]
        return list(self.batch.describe_jobs(jobs=found)["jobs"]) if found else []

    def job(self, name: str) -> dict[str, Any]:
        return dict(wait_for(lambda: self.jobs(name), f"a job named {name}")[0])

    def rule(self, name: str, **target: Any) -> None:
        """A rule for events whose detail-type is its name, with the queue as its target."""
        events = self.cloud.client("events")
        events.put_rule(Name=name, EventPattern=json.dumps({"detail-type": [name]}))
        where = {"Id": "1", "Arn": self.queue_arn, "RoleArn": ROLE}
        answer = events.put_targets(Rule=name, Targets=[where | target])
        assert answer["FailedEntryCount"] == 0

    def event(self, name: str, detail: dict[str, Any]) -> None:
        entry = {"Source": "test", "DetailType": name, "Detail": json.dumps(detail)}
        assert self.cloud.client("events").put_events(Entries=[entry])["FailedEntryCount"] == 0

    def parameters(self, job_name: str, **more: Any) -> dict[str, Any]:
        return {"JobName": job_name, "JobDefinition": self.name, **more}


@pytest.fixture(scope="module")
def bench(cloud: LocalCloud) -> Workbench:
    runnable_job(cloud, "bench", ["echo", "Ref::word"])
    return Workbench(cloud, cloud.client("batch"), "bench")


@pytest.fixture(scope="module")
def machine(cloud: LocalCloud) -> Callable[..., str]:
    """Makes a state machine with one Task state, and starts it."""
    states = cloud.client("stepfunctions")

    def start(name: str, resource: str, parameters: dict[str, Any], **state: Any) -> str:
        task = {"Type": "Task", "Resource": resource, "Parameters": parameters, "End": True, **state}
        created = states.create_state_machine(
            name=name, roleArn=ROLE, definition=json.dumps({"StartAt": "Task", "States": {"Task": task}})
        )
        return str(states.start_execution(stateMachineArn=created["stateMachineArn"])["executionArn"])

    return start


def ended(cloud: LocalCloud, execution: str) -> dict[str, Any]:
    states = cloud.client("stepfunctions")

    def look() -> dict[str, Any] | None:
        now = dict(states.describe_execution(executionArn=execution))
        return now if now["status"] != "RUNNING" else None

    return dict(wait_for(look, f"the end of {execution}"))


def test_a_rule_submits_what_its_batch_parameters_say(bench: Workbench) -> None:
    bench.rule("plain", BatchParameters=bench.parameters("plain", RetryStrategy={"Attempts": 3}))
    bench.event("plain", {"Parameters": "of the event, not of the job"})
    job = bench.job("plain")
    assert job["jobQueue"] == bench.queue_arn
    assert job["jobDefinition"].endswith(":job-definition/bench:1")
    assert job["retryStrategy"]["attempts"] == 3


def test_array_properties_size_makes_an_array_job(bench: Workbench) -> None:
    bench.rule("array", BatchParameters=bench.parameters("array", ArrayProperties={"Size": 2}))
    bench.event("array", {})
    assert bench.job("array")["arrayProperties"]["size"] == 2


def test_an_input_transformer_feeds_parameters_and_overrides(bench: Workbench) -> None:
    transformer = {
        "InputPathsMap": {"key": "$.detail.object.key"},
        "InputTemplate": '{"Parameters": {"word": <key>}, "ContainerOverrides": {"Environment": '
        '[{"Name": "KEY", "Value": "s3://bucket/<key>"}], "Command": ["echo", "Ref::word", "x"]}}',
    }
    bench.rule("shaped", BatchParameters=bench.parameters("shaped"), InputTransformer=transformer)
    bench.event("shaped", {"object": {"key": "a b.txt"}})
    container = bench.job("shaped")["container"]
    assert container["command"] == ["echo", "a b.txt", "x"]
    assert {"name": "KEY", "value": "s3://bucket/a b.txt"} in container["environment"]


def test_a_constant_input_and_an_input_path_select_the_same_members(bench: Workbench) -> None:
    given = {"Parameters": {"word": "constant"}, "ignored": True}
    bench.rule("constant", BatchParameters=bench.parameters("constant"), Input=json.dumps(given))
    bench.event("constant", {})
    bench.rule("path", BatchParameters=bench.parameters("path"), InputPath="$.detail.job")
    bench.event("path", {"job": {"Parameters": {"word": "selected"}}})
    assert bench.job("constant")["parameters"] == {"word": "constant"}
    assert bench.job("path")["parameters"] == {"word": "selected"}


def test_what_batch_refuses_goes_to_the_dead_letter_queue(bench: Workbench) -> None:
    sqs = bench.cloud.client("sqs")
    url = sqs.create_queue(QueueName="undelivered")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    parameters = bench.parameters("refused") | {"JobDefinition": "no-such-definition"}
    bench.rule("refused", BatchParameters=parameters, DeadLetterConfig={"Arn": arn})
    bench.event("refused", {"n": 1})
    (message,) = wait_for(
        lambda: sqs.receive_message(QueueUrl=url, WaitTimeSeconds=1, MessageAttributeNames=["All"]).get(
            "Messages"
        ),
        "the dead letter",
    )
    assert json.loads(message["Body"])["detail"] == {"n": 1}
    attributes = {name: value["StringValue"] for name, value in message["MessageAttributes"].items()}
    assert attributes["TARGET_ARN"] == bench.queue_arn
    assert attributes["RULE_ARN"].endswith(":rule/refused")
    assert attributes["ERROR_CODE"] == "NO_RESOURCE"
    assert "no-such-definition" in attributes["ERROR_MESSAGE"]
    assert bench.jobs("refused") == []


def test_a_queue_as_a_target_needs_a_role_of_its_own(bench: Workbench) -> None:
    events = bench.cloud.client("events")
    events.put_rule(Name="roleless", EventPattern='{"detail-type": ["roleless"]}')
    target = {"Id": "1", "Arn": bench.queue_arn, "BatchParameters": bench.parameters("roleless")}
    message = rf"ValidationException.*RoleArn is required for target {bench.queue_arn}\."
    with pytest.raises(ClientError, match=message):
        events.put_targets(Rule="roleless", Targets=[target])
    rule = {"EventPattern": {"detail-type": ["roleless"]}, "Targets": [target]}
    body = {"Resources": {"Rule": {"Type": "AWS::Events::Rule", "Properties": rule}}}
    cloudformation = bench.cloud.client("cloudformation")
    cloudformation.create_stack(StackName="roleless", TemplateBody=json.dumps(body))

    def reasons() -> str:
        found = cloudformation.describe_stack_events(StackName="roleless")["StackEvents"]
        return " ".join(event.get("ResourceStatusReason", "") for event in found)

    wait_for(lambda: f"RoleArn is required for target {bench.queue_arn}" in reasons(), "the stack failing")


def test_a_pipe_to_a_queue_is_refused_by_name(bench: Workbench) -> None:
    pipe = {"Name": "p", "Source": "arn:aws:sqs:us-east-1:000000000000:s", "Target": bench.queue_arn}
    message = "Pipes to AWS Batch are not supported"
    with pytest.raises(ClientError, match=message):
        bench.cloud.client("pipes").create_pipe(**pipe, RoleArn=ROLE)
    properties = pipe | {"RoleArn": ROLE, "TargetParameters": {"BatchJobParameters": {}}}
    body = {"Resources": {"Pipe": {"Type": "AWS::Pipes::Pipe", "Properties": properties}}}
    cloudformation = bench.cloud.client("cloudformation")
    cloudformation.create_stack(StackName="pipe", TemplateBody=json.dumps(body))

    def reasons() -> str:
        found = cloudformation.describe_stack_events(StackName="pipe")["StackEvents"]
        return " ".join(event.get("ResourceStatusReason", "") for event in found)

    wait_for(lambda: message in reasons(), "the stack failing")


def test_a_schedule_submits_through_the_universal_target(bench: Workbench) -> None:
    request = {
        "JobName": "scheduled",
        "JobQueue": "bench",
        "JobDefinition": "bench",
        "Parameters": {"word": "<aws.scheduler.schedule-arn>"},
        "Timeout": {"AttemptDurationSeconds": 60},
        "Tags": {"camelCase": "kept"},
    }
    bench.cloud.client("scheduler").create_schedule(
        Name="once",
        ScheduleExpression="at(2020-01-01T00:00:00)",
        FlexibleTimeWindow={"Mode": "OFF"},
        Target={
            "Arn": "arn:aws:scheduler:::aws-sdk:batch:submitJob",
            "RoleArn": ROLE,
            "Input": json.dumps(request),
        },
    )
    job = bench.job("scheduled")
    assert job["parameters"]["word"].endswith(":schedule/default/once")
    assert job["timeout"] == {"attemptDurationSeconds": 60}
    assert job["tags"]["camelCase"] == "kept"


def test_submit_job_without_sync_goes_on_at_once(bench: Workbench, machine: Callable[..., str]) -> None:
    arguments = {
        "JobName": "forgotten",
        "JobQueue": "bench",
        "JobDefinition": "bench",
        "ContainerOverrides": {"Command": ["sleep", "30"]},
    }
    execution = ended(bench.cloud, machine("forget", "arn:aws:states:::batch:submitJob", arguments))
    assert execution["status"] == "SUCCEEDED", execution
    submitted = json.loads(execution["output"])
    assert set(submitted) == {"JobArn", "JobId", "JobName"}
    assert bench.job("forgotten")["status"] not in ("SUCCEEDED", "FAILED")
    bench.batch.terminate_job(jobId=submitted["JobId"], reason="end of the test")


def test_sync_answers_the_job_that_has_ended(bench: Workbench, machine: Callable[..., str]) -> None:
    arguments = {
        "JobName": "awaited",
        "JobQueue": "bench",
        "JobDefinition": "bench",
        "Parameters": {"word": "spelt"},
    }
    execution = ended(bench.cloud, machine("await", "arn:aws:states:::batch:submitJob.sync", arguments))
    assert execution["status"] == "SUCCEEDED", execution
    job = json.loads(execution["output"])
    assert job["Status"] == "SUCCEEDED"
    assert job["Attempts"][0]["Container"]["ExitCode"] == 0
    assert job["Container"]["Command"] == ["echo", "spelt"]
    assert job["Parameters"] == {"word": "spelt"}


def test_a_job_that_fails_is_a_failed_task_with_the_job_as_cause(
    bench: Workbench, machine: Callable[..., str]
) -> None:
    arguments = {
        "JobName": "failing",
        "JobQueue": "bench",
        "JobDefinition": "bench",
        "ContainerOverrides": {"Command": ["sh", "-c", "exit 3"]},
    }
    execution = ended(bench.cloud, machine("fail", "arn:aws:states:::batch:submitJob.sync", arguments))
    assert (execution["status"], execution["error"]) == ("FAILED", "States.TaskFailed")
    cause = json.loads(execution["cause"])
    assert (cause["Status"], cause["JobName"], cause["Container"]["ExitCode"]) == ("FAILED", "failing", 3)


def test_stopping_an_execution_terminates_its_job(bench: Workbench, machine: Callable[..., str]) -> None:
    arguments = {
        "JobName": "stopped",
        "JobQueue": "bench",
        "JobDefinition": "bench",
        "ContainerOverrides": {"Command": ["sleep", "600"]},
    }
    execution = machine("stop", "arn:aws:states:::batch:submitJob.sync", arguments)
    wait_for(lambda: bench.job("stopped")["status"] == "RUNNING", "the job running")
    bench.cloud.client("stepfunctions").stop_execution(executionArn=execution)
    job = finished(bench.cloud, bench.job("stopped")["jobId"])
    assert (job["status"], job["isTerminated"]) == ("FAILED", True)
    assert ended(bench.cloud, execution)["status"] == "ABORTED"


def test_a_state_that_times_out_terminates_its_job(bench: Workbench, machine: Callable[..., str]) -> None:
    arguments = {
        "JobName": "slow",
        "JobQueue": "bench",
        "JobDefinition": "bench",
        "ContainerOverrides": {"Command": ["sleep", "600"]},
    }
    resource = "arn:aws:states:::batch:submitJob.sync"
    execution = ended(bench.cloud, machine("slow", resource, arguments, TimeoutSeconds=1))
    assert (execution["status"], execution["error"]) == ("FAILED", "States.Timeout")
    assert finished(bench.cloud, bench.job("slow")["jobId"])["isTerminated"] is True


@pytest.mark.parametrize(
    ("name", "arguments", "error", "cause"),
    [
        (
            "unknown-queue",
            {"JobName": "x", "JobQueue": "no-such-queue", "JobDefinition": "bench"},
            "Batch.ClientException",
            "no-such-queue",
        ),
        ("nothing", {"JobName": "x"}, "Batch.ClientException", "jobQueue"),
        ("unknown-member", {"JobNme": "x"}, "States.Runtime", "unknown property"),
    ],
)
def test_a_refused_submission_is_named_as_step_functions_does(
    bench: Workbench,
    machine: Callable[..., str],
    name: str,
    arguments: dict[str, Any],
    error: str,
    cause: str,
) -> None:
    execution = ended(bench.cloud, machine(name, "arn:aws:states:::batch:submitJob.sync", arguments))
    assert (execution["status"], execution["error"]) == ("FAILED", error)
    assert cause in execution["cause"]


def test_the_sdk_integration_reaches_every_operation(bench: Workbench, machine: Callable[..., str]) -> None:
    resource = "arn:aws:states:::aws-sdk:batch:describeJobQueues"
    execution = ended(bench.cloud, machine("sdk", resource, {"JobQueues": ["bench"]}))
    assert execution["status"] == "SUCCEEDED", execution
    (queue,) = json.loads(execution["output"])["JobQueues"]
    assert queue["JobQueueArn"] == bench.queue_arn
