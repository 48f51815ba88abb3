"""From a file in S3 to its result, on the deployed stack: objects, states, events and messages."""

import json
import os
import subprocess
import sys
import threading
import uuid
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from batch_cli.demo.platform import Platform
from batch_cli.demo.run import ROOT
from batch_cli.demo.samples import SAMPLE, damage
from batch_cli.demo.scenario import Scenario
from batch_engine.local.server.client_environment import client_environment
from tests.support import wait_for

pytestmark = pytest.mark.cloud

IMAGE = ROOT / "containers/media/sample/chelsea.png"
DEADLINE_S = 90.0


def drop(platform: Platform, key: str, body: bytes) -> str:
    """Upload an object; returns its URI."""
    bucket = platform.outputs["InputBucketName"]
    platform.client("s3").put_object(Bucket=bucket, Key=key, Body=body)
    return f"s3://{bucket}/{key}"


def ended(scenario: Scenario, uri: str) -> dict[str, Any]:
    """The job that an upload set off, once it has ended."""

    def find() -> dict[str, Any] | None:
        for job in scenario._jobs():
            if job["parameters"]["input"] == uri and job["status"] in ("SUCCEEDED", "FAILED"):
                return job
        return None

    return dict(wait_for(find, f"the job of {uri} ending", DEADLINE_S))


def made(platform: Platform, prefix: str) -> set[str]:
    listed = platform.client("s3").list_objects_v2(Bucket=platform.outputs["OutputBucketName"], Prefix=prefix)
    return {item["Key"].removeprefix(prefix) for item in listed.get("Contents", [])}


def submit(platform: Platform, parameters: dict[str, str], **request: Any) -> str:
    outputs = platform.outputs
    submitted = platform.client("batch").submit_job(
        jobName=f"direct-{uuid.uuid4()}",
        jobQueue=outputs["StandardQueueArn"],
        jobDefinition=outputs["MediaJobDefinitionArn"],
        parameters=parameters,
        **request,
    )
    return str(submitted["jobId"])


def finished(platform: Platform, job_id: str) -> dict[str, Any]:
    batch = platform.client("batch")

    def job() -> dict[str, Any] | None:
        (found,) = batch.describe_jobs(jobs=[job_id])["jobs"]
        return dict(found) if found["status"] in ("SUCCEEDED", "FAILED") else None

    return dict(wait_for(job, f"job {job_id} ending", DEADLINE_S))


@pytest.mark.parametrize(
    "key",
    [
        "media/plain.png",
        "media/a key with spaces.png",
        "media/1+1=2 & more?.png",
        "media/Größe 猫 ñ.png",
        "media/-leading-dash.png",
        "media/Ref::output.png",
        "media/deep/er/still#.png",
        "media/100%25.png",
    ],
)
def test_every_key_becomes_a_result(platform: Platform, scenario: Scenario, key: str) -> None:
    job = ended(scenario, drop(platform, key, IMAGE.read_bytes()))
    assert job["status"] == "SUCCEEDED", scenario.log_lines(job)
    assert made(platform, f"{key}/") == {"thumbnail.jpg", "rendition.webp", "result.json"}
    manifest = platform.client("s3").get_object(
        Bucket=platform.outputs["OutputBucketName"], Key=f"{key}/result.json"
    )
    assert json.load(manifest["Body"])["job_id"] == job["jobId"]


def test_two_folders_with_the_same_file_name_do_not_collide(platform: Platform, scenario: Scenario) -> None:
    keys = ["media/one/same.png", "media/two/same.png"]
    for uri in [drop(platform, key, IMAGE.read_bytes()) for key in keys]:
        assert ended(scenario, uri)["status"] == "SUCCEEDED"
    assert all(made(platform, f"{key}/") for key in keys)


@pytest.mark.parametrize(
    ("key", "body", "exit_codes"),
    [
        ("media/zero-byte.mp4", b"", [65]),
        ("media/not-media.png", b"hello", [65]),
        ("media/torn-again.mp4", damage((ROOT / SAMPLE).read_bytes()), [75, 75, 75]),
    ],
)
def test_bad_files_fail_and_leave_nothing(
    platform: Platform, scenario: Scenario, key: str, body: bytes, exit_codes: list[int]
) -> None:
    job = ended(scenario, drop(platform, key, body))
    assert job["status"] == "FAILED"
    assert [attempt["container"].get("exitCode") for attempt in job["attempts"]] == exit_codes
    assert made(platform, f"{key}/") == set()


def test_missing_object(platform: Platform) -> None:
    bucket = platform.outputs["InputBucketName"]
    output = f"s3://{platform.outputs['OutputBucketName']}/media/"
    job = finished(platform, submit(platform, {"input": f"s3://{bucket}/media/absent", "output": output}))
    assert job["status"] == "FAILED"
    assert [attempt["container"]["exitCode"] for attempt in job["attempts"]] == [66], "not retried"


def test_unknown_queue_and_definition(platform: Platform) -> None:
    batch = platform.client("batch")
    definition = platform.outputs["MediaJobDefinitionArn"]
    with pytest.raises(ClientError, match="JobQueue nowhere not found"):
        batch.submit_job(jobName="j", jobQueue="nowhere", jobDefinition=definition)
    with pytest.raises(ClientError, match="JobDefinition name nothing does not exist"):
        batch.submit_job(jobName="j", jobQueue=platform.outputs["StandardQueueArn"], jobDefinition="nothing")


def test_objects_outside_the_prefix_start_nothing(platform: Platform, scenario: Scenario) -> None:
    outside = drop(platform, "other/file.png", IMAGE.read_bytes())
    inside = drop(platform, "media/after.png", IMAGE.read_bytes())
    ended(scenario, inside)
    assert outside not in {job["parameters"]["input"] for job in scenario._jobs()}


def test_state_changes_reach_eventbridge(platform: Platform, scenario: Scenario) -> None:
    events, sqs = platform.client("events"), platform.client("sqs")
    queue_url = sqs.create_queue(QueueName="state-changes")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    pattern = {"source": ["aws.batch"], "detail-type": ["Batch Job State Change"]}
    events.put_rule(Name="all-states", EventPattern=json.dumps(pattern))
    events.put_targets(Rule="all-states", Targets=[{"Id": "queue", "Arn": arn}])
    job = ended(scenario, drop(platform, "media/watched.png", IMAGE.read_bytes()))
    seen: list[dict[str, Any]] = []

    def complete() -> bool:
        received = sqs.receive_message(QueueUrl=queue_url, MaxNumberOfMessages=10, WaitTimeSeconds=1)
        for message in received.get("Messages", []):
            sqs.delete_message(QueueUrl=queue_url, ReceiptHandle=message["ReceiptHandle"])
            event = json.loads(message["Body"])
            if event["detail"]["jobId"] == job["jobId"]:
                seen.append(event)
        return any(event["detail"]["status"] == "SUCCEEDED" for event in seen)

    wait_for(complete, "the SUCCEEDED event")
    states = [event["detail"]["status"] for event in seen]
    assert sorted(states, key=["RUNNABLE", "STARTING", "RUNNING", "SUCCEEDED"].index) == [
        "RUNNABLE",
        "STARTING",
        "RUNNING",
        "SUCCEEDED",
    ]
    last = next(event for event in seen if event["detail"]["status"] == "SUCCEEDED")
    assert last["resources"] == [job["jobArn"]]
    assert last["detail"]["container"]["exitCode"] == 0
    assert last["detail"]["jobQueue"] == platform.outputs["StandardQueueArn"]
    events.remove_targets(Rule="all-states", Ids=["queue"])
    events.delete_rule(Name="all-states")


def test_failure_reaches_the_topic(platform: Platform, scenario: Scenario) -> None:
    job = ended(scenario, drop(platform, "media/for-the-topic.mp4", b""))

    def told() -> str | None:
        for text in scenario.failure_messages(1):
            if job["jobId"] in text:
                return text
        return None

    text = wait_for(told, "the failure message")
    assert "FAILED" in text
    assert "65" in text


def test_job_runs_with_its_role_only(platform: Platform) -> None:
    """The job asks STS who it is: the job role, through the container credentials."""
    batch = platform.client("batch")
    definition = batch.describe_job_definitions(jobDefinitions=[platform.outputs["MediaJobDefinitionArn"]])
    role_arn = definition["jobDefinitions"][0]["containerProperties"]["jobRoleArn"]
    ask = "import boto3; print(boto3.client('sts').get_caller_identity()['Arn'])"
    registered = batch.register_job_definition(
        jobDefinitionName="who-am-i",
        type="container",
        containerProperties={
            "image": "public/python",
            "command": ["python3", "-c", ask],
            "jobRoleArn": role_arn,
            "environment": [{"name": "AWS_DEFAULT_REGION", "value": "us-east-1"}],
            "resourceRequirements": [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "512"}],
        },
    )
    submitted = batch.submit_job(
        jobName="who", jobQueue=platform.outputs["BulkQueueArn"], jobDefinition=registered["jobDefinitionArn"]
    )
    job = finished(platform, submitted["jobId"])
    events = platform.client("logs").get_log_events(
        logGroupName="/aws/batch/job", logStreamName=job["container"]["logStreamName"], startFromHead=True
    )
    texts = [event["message"] for event in events["events"]]
    assert job["status"] == "SUCCEEDED", texts
    role_name = role_arn.rpartition("/")[2]
    assert f":assumed-role/{role_name}/" in texts[-1]


def test_fargate_queue_runs_fargate_jobs(platform: Platform) -> None:
    batch = platform.client("batch")
    batch.register_job_definition(
        jobDefinitionName="on-fargate",
        type="container",
        platformCapabilities=["FARGATE"],
        containerProperties={
            "image": "public/python",
            "command": ["/usr/bin/env"],
            "executionRoleArn": "arn:aws:iam::000000000000:role/any",
            "resourceRequirements": [{"type": "VCPU", "value": "0.25"}, {"type": "MEMORY", "value": "512"}],
        },
    )
    submitted = batch.submit_job(
        jobName="f", jobQueue=platform.outputs["FargateQueueArn"], jobDefinition="on-fargate"
    )
    job = finished(platform, submitted["jobId"])
    assert (job["status"], job["platformCapabilities"]) == ("SUCCEEDED", ["FARGATE"])


def test_aws_cli_works_unchanged(platform: Platform) -> None:
    assert platform.record is not None
    environment = client_environment(platform.record.endpoint_url, platform.record.region, os.environ)
    aws = Path(sys.executable).with_name("aws")
    answer = subprocess.run(
        [aws, "batch", "describe-job-queues", "--query", "length(jobQueues)"],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert int(answer.stdout) == 4


def test_deploying_again_changes_nothing(platform: Platform) -> None:
    batch = platform.client("batch")
    before = batch.describe_job_definitions(status="ACTIVE")["jobDefinitions"]
    platform.finish("cdk-deploy", platform.deploy())
    assert "no changes" in (platform.data_dir / "cdk-deploy.log").read_text()
    assert batch.describe_job_definitions(status="ACTIVE")["jobDefinitions"] == before


def test_many_uploads_at_once(platform: Platform, scenario: Scenario) -> None:
    body, keys = IMAGE.read_bytes(), [f"media/burst/{number}.png" for number in range(6)]
    threads = [threading.Thread(target=drop, args=(platform, key, body)) for key in keys]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    bucket = platform.outputs["InputBucketName"]
    for key in keys:
        assert ended(scenario, f"s3://{bucket}/{key}")["status"] == "SUCCEEDED"
