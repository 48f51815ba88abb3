"""`batch-stack local events` and `local status` show what the engine was told and what it decided."""

import json

import pytest

from tests.conformance.cloud.conftest import LocalCloud
from tests.support import wait_for

pytestmark = pytest.mark.cloud

RESOURCES = {"type": "FARGATE", "maxvCpus": 4, "subnets": ["s"], "securityGroupIds": ["g"]}
CONTAINER = {
    "image": "i",
    "command": ["/bin/true"],
    "executionRoleArn": "arn:aws:iam::000000000000:role/execution",
    "resourceRequirements": [{"type": "VCPU", "value": "0.25"}, {"type": "MEMORY", "value": "512"}],
}


def test_events_of_a_job_from_its_submission_to_its_end(own_cloud: LocalCloud) -> None:
    batch = own_cloud.client("batch")
    batch.create_compute_environment(computeEnvironmentName="ce", type="MANAGED", computeResources=RESOURCES)
    order = [{"order": 1, "computeEnvironment": "ce"}]
    batch.create_job_queue(jobQueueName="q", priority=1, computeEnvironmentOrder=order)
    batch.register_job_definition(
        jobDefinitionName="d",
        type="container",
        platformCapabilities=["FARGATE"],
        containerProperties=CONTAINER,
    )
    job_id, other = (batch.submit_job(jobName="j", jobQueue="q", jobDefinition="d")["jobId"] for _ in "ab")
    ended = {"SUCCEEDED", "FAILED"}
    wait_for(
        lambda: {job["status"] for job in batch.describe_jobs(jobs=[job_id, other])["jobs"]} <= ended,
        "the end of two jobs",
    )
    shown = own_cloud.cli("events", "--job", job_id, "--last", "50", "--json")
    assert shown.returncode == 0, shown.stderr
    events = [json.loads(line) for line in shown.stdout.splitlines()]
    assert [event["kind"] for event in events] == ["JobSubmitted", "AttemptStarted", "AttemptFinished"]
    assert all(action["event"] == event["event"] for event in events for action in event["actions"])
    moves = [
        action["after"] for event in events for action in event["actions"] if action["kind"] == "JobMoved"
    ]
    assert moves == ["RUNNABLE", "STARTING", "RUNNING", "SUCCEEDED"]
    assert other not in shown.stdout

    text = own_cloud.cli("events", "--last", "2").stdout
    assert text.splitlines()[-1].endswith("events since the start, 0 internal errors")
    assert "internal errors: 0" in own_cloud.cli("status").stdout
