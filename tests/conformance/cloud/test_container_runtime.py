"""The whole local cloud with jobs as containers, as a user starts it."""

import json
from pathlib import Path

import pytest

from tests.conformance.cloud.conftest import LocalCloud
from tests.conformance.podman import BASE_IMAGE, Podman
from tests.support import wait_for

pytestmark = pytest.mark.cloud

TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "ecs-tasks.amazonaws.com"}, "Action": "sts:AssumeRole"}
    ],
}


def test_container_has_its_roles_credentials_and_its_lines_are_in_the_log(
    podman: Podman, tmp_path: Path
) -> None:
    cloud = LocalCloud(tmp_path / "data")
    cloud.start("--runtime", "container", "--container-cli", podman.cli)
    try:
        shown = cloud.cli("status").stdout
        assert "\nruntime   container (podman version " in shown
        iam, batch, logs = (cloud.client(name) for name in ("iam", "batch", "logs"))
        role = iam.create_role(RoleName="job", AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]
        environment = batch.create_compute_environment(
            computeEnvironmentName="ce",
            type="MANAGED",
            computeResources={
                "type": "EC2",
                "maxvCpus": 4,
                "minvCpus": 0,
                "instanceTypes": ["m6g"],
                "instanceRole": "ecsInstanceRole",
                "subnets": ["subnet-1"],
            },
        )["computeEnvironmentArn"]
        batch.create_job_queue(
            jobQueueName="q",
            priority=1,
            computeEnvironmentOrder=[{"order": 1, "computeEnvironment": environment}],
        )
        batch.register_job_definition(
            jobDefinitionName="d",
            type="container",
            containerProperties={
                "image": BASE_IMAGE,
                "jobRoleArn": role,
                "command": ["sh", "-c", "wget -qO- $AWS_CONTAINER_CREDENTIALS_FULL_URI"],
                "resourceRequirements": [
                    {"type": "VCPU", "value": "1"},
                    {"type": "MEMORY", "value": "64"},
                ],
            },
        )
        job_id = batch.submit_job(jobName="j", jobQueue="q", jobDefinition="d")["jobId"]

        def job() -> dict:
            return dict(batch.describe_jobs(jobs=[job_id])["jobs"][0])

        wait_for(lambda: job()["status"] in ("SUCCEEDED", "FAILED"), "the end of the job")
        assert job()["status"] == "SUCCEEDED", job()
        stream = job()["container"]["logStreamName"]
        events = logs.get_log_events(logGroupName="/aws/batch/job", logStreamName=stream)["events"]
        assert json.loads(events[0]["message"])["RoleArn"] == role
    finally:
        cloud.stop()
    assert podman.containers() == []
