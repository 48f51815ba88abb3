"""Clients that nobody here wrote, pointed at the endpoint by ``AWS_ENDPOINT_URL`` alone."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import boto3
import botocore.session
import pytest
from botocore.config import Config

from batch_cli.demo.toolchain import node_binary
from batch_engine.local.server.client_environment import client_environment
from tests.conformance.cloud.conftest import LocalCloud
from tests.conformance.cloud.test_server import finished, runnable_job
from tests.support import wait_for

pytestmark = pytest.mark.cloud

SCRIPT = Path(__file__).with_name("client.mjs")


@pytest.fixture(scope="module")
def variables(cloud: LocalCloud) -> dict[str, str]:
    return client_environment(cloud.record.endpoint_url, cloud.record.region, os.environ)


@pytest.fixture(scope="module")
def queue(cloud: LocalCloud) -> str:
    finished(cloud, runnable_job(cloud, "clients", ["echo", "hello"]))
    return "clients"


class Cli:
    """The AWS CLI."""

    def __init__(self, variables: dict[str, str]) -> None:
        self.variables = variables | {"AWS_MAX_ATTEMPTS": "1", "AWS_PAGER": ""}

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        program = Path(sys.executable).with_name("aws")
        command = [sys.executable, str(program), *words, "--output", "json"]
        return subprocess.run(
            command, env=self.variables, capture_output=True, text=True, timeout=60, check=False
        )

    def __call__(self, *words: str) -> Any:
        answer = self.run(*words)
        assert answer.returncode == 0, answer.stderr
        return json.loads(answer.stdout) if answer.stdout.strip() else {}


@pytest.fixture(scope="module")
def aws(variables: dict[str, str]) -> Cli:
    return Cli(variables)


def cli_wait(aws: Cli, job_id: str, *statuses: str) -> str:
    """What scripts do in place of `aws batch wait`, which there is not."""
    query = "jobs[0].status"
    return str(
        wait_for(
            lambda: (
                (status := aws("batch", "describe-jobs", "--jobs", job_id, "--query", query)) in statuses
                and status
            ),
            f"job {job_id} in {statuses}",
        )
    )


def test_the_aws_cli_takes_a_resource_from_creation_to_deletion(aws: Cli) -> None:
    compute = "type=FARGATE,maxvCpus=4,subnets=subnet-1,securityGroupIds=sg-1"
    created = aws(
        *("batch", "create-compute-environment", "--compute-environment-name", "cli", "--type", "MANAGED"),
        *("--compute-resources", compute, "--tags", "team=media"),
    )
    arn = created["computeEnvironmentArn"]
    order = f"order=1,computeEnvironment={arn}"
    aws(
        *("batch", "create-job-queue", "--job-queue-name", "cli", "--priority", "1"),
        *("--compute-environment-order", order),
    )
    (queue,) = aws("batch", "describe-job-queues", "--job-queues", "cli")["jobQueues"]
    assert (queue["status"], queue["statusReason"]) == ("VALID", "JobQueue Healthy")
    (environment,) = aws("batch", "describe-compute-environments", "--compute-environments", arn)[
        "computeEnvironments"
    ]
    assert environment["statusReason"] == "ComputeEnvironment Healthy"
    assert aws("batch", "list-tags-for-resource", "--resource-arn", arn)["tags"] == {"team": "media"}
    aws("batch", "tag-resource", "--resource-arn", arn, "--tags", "a=b")
    aws("batch", "untag-resource", "--resource-arn", arn, "--tag-keys", "team")
    assert aws("batch", "list-tags-for-resource", "--resource-arn", arn)["tags"] == {"a": "b"}
    aws("batch", "update-job-queue", "--job-queue", "cli", "--state", "DISABLED")
    aws("batch", "delete-job-queue", "--job-queue", "cli")
    wait_for(
        lambda: not aws("batch", "describe-job-queues", "--job-queues", "cli")["jobQueues"], "the deletion"
    )
    aws("batch", "update-compute-environment", "--compute-environment", "cli", "--state", "DISABLED")
    aws("batch", "delete-compute-environment", "--compute-environment", "cli")


def test_the_aws_cli_runs_a_job_and_reads_its_log(aws: Cli, queue: str) -> None:
    submitted = aws(
        *("batch", "submit-job", "--job-name", "cli-job", "--job-queue", queue, "--job-definition", queue),
        *("--container-overrides", "command=echo,by the CLI"),
        *("--retry-strategy", "attempts=2", "--timeout", "attemptDurationSeconds=60"),
    )
    assert cli_wait(aws, submitted["jobId"], "SUCCEEDED", "FAILED") == "SUCCEEDED"
    (job,) = aws("batch", "describe-jobs", "--jobs", submitted["jobId"])["jobs"]
    stream = job["container"]["logStreamName"]
    events = aws(
        *("logs", "get-log-events", "--log-group-name", "/aws/batch/job", "--log-stream-name", stream)
    )["events"]
    assert [event["message"] for event in events] == ["by the CLI"]
    listed = aws("batch", "list-jobs", "--job-queue", queue, "--job-status", "SUCCEEDED", "--max-items", "1")
    assert len(listed["jobSummaryList"]) == 1
    assert "NextToken" in listed, "two jobs have succeeded"
    filtered = aws("batch", "list-jobs", "--job-queue", queue, "--filters", "name=JOB_NAME,values=CLI-*")
    assert [summary["jobId"] for summary in filtered["jobSummaryList"]] == [submitted["jobId"]]


def test_the_aws_cli_submits_an_array(aws: Cli, queue: str) -> None:
    submitted = aws(
        *("batch", "submit-job", "--job-name", "array", "--job-queue", queue, "--job-definition", queue),
        *("--array-properties", "size=3"),
    )
    assert cli_wait(aws, submitted["jobId"], "SUCCEEDED", "FAILED") == "SUCCEEDED"
    children = aws(
        *("batch", "list-jobs", "--array-job-id", submitted["jobId"], "--job-status", "SUCCEEDED")
    )["jobSummaryList"]
    assert sorted(child["arrayProperties"]["index"] for child in children) == [0, 1, 2]


def test_the_aws_cli_shows_a_refusal_as_of_aws(aws: Cli) -> None:
    refused = aws.run(
        "batch", "submit-job", "--job-name", "x", "--job-queue", "none", "--job-definition", "y"
    )
    assert refused.returncode in (254, 255)
    assert "An error occurred (ClientException) when calling the SubmitJob operation" in refused.stderr
    assert aws("batch", "describe-jobs", "--jobs", "b5a58c41-7c1c-4ee3-a4b7-000000000000")["jobs"] == []


def test_boto3_pages_through_everything_it_has_a_paginator_for(cloud: LocalCloud, queue: str) -> None:
    batch = cloud.client("batch")
    model = botocore.session.get_session().get_paginator_model("batch")
    needed = {
        "list_jobs": {"jobQueue": queue},
        "list_quota_shares": {"jobQueue": queue},
        "list_jobs_by_consumable_resource": None,
    }
    for operation in model._paginator_config:
        name = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in operation)[1:]
        request = needed.get(name, {})
        if request is not None:
            pages = list(batch.get_paginator(name).paginate(**request, PaginationConfig={"PageSize": 1}))
            assert pages, name
    definitions = batch.get_paginator("describe_job_definitions").paginate(
        jobDefinitionName=queue, PaginationConfig={"PageSize": 1}
    )
    assert [d["revision"] for page in definitions for d in page["jobDefinitions"]] == [1]


def test_boto3_retries_nothing_that_is_the_clients_fault(cloud: LocalCloud) -> None:
    batch = boto3.client(
        "batch",
        endpoint_url=cloud.record.endpoint_url,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(retries={"mode": "standard", "total_max_attempts": 5}),
    )
    began = time.monotonic()
    with pytest.raises(batch.exceptions.ClientException) as caught:
        batch.submit_job(jobName="x", jobQueue="none", jobDefinition="y")
    assert caught.value.response["ResponseMetadata"]["RetryAttempts"] == 0
    assert caught.value.response["ResponseMetadata"]["HTTPHeaders"]["x-amzn-requestid"]
    assert time.monotonic() - began < 5


def test_the_sdk_for_javascript_submits_describes_lists_and_terminates(
    variables: dict[str, str], queue: str
) -> None:
    if not (SCRIPT.parents[3] / "node_modules/@aws-sdk/client-batch").is_dir():
        pytest.skip("node_modules has no @aws-sdk/client-batch: `make setup` installs it")
    done = subprocess.run(
        [str(node_binary()), str(SCRIPT), queue],
        env=variables,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    job_id = seen["submitted"]["jobId"]
    assert seen["submitted"]["jobArn"].endswith(f":job/{job_id}")
    assert seen["running"]["container"]["environment"] == [{"name": "A", "value": "ü"}]
    assert seen["running"]["tags"]["language"] == "javascript"
    assert job_id in seen["listed"]
    assert (seen["ended"]["status"], seen["ended"]["statusReason"]) == ("FAILED", "said by JavaScript")
    assert seen["refused"] == {"name": "ClientException", "status": 400, "fault": "client"}


def test_boto3_reads_the_alarms_that_it_makes(cloud: LocalCloud) -> None:
    cloudwatch = cloud.client("cloudwatch")
    cloudwatch.put_metric_alarm(
        AlarmName="failed-jobs",
        Namespace="Jobs",
        MetricName="Failed",
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=2.5,
        ComparisonOperator="GreaterThanThreshold",
    )

    (alarm,) = cloudwatch.describe_alarms(AlarmNames=["failed-jobs"])["MetricAlarms"]
    assert (alarm["Threshold"], alarm["MetricName"]) == (2.5, "Failed")
