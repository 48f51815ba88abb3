"""What workflow managers ask AWS Batch for, in their own order, and what they read of the answers.

Each test follows one client's published source; none of them is installed here.
"""

import json
from typing import Any

import botocore.waiter
import pytest

from tests.support import Endpoint, wait_for

pytestmark = pytest.mark.cloud

NEEDS = [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "256"}]
FAILING = ["/bin/sh", "-c", "echo told; exit 3"]


@pytest.fixture
def queue(endpoint: Endpoint) -> str:
    endpoint.queue("q", endpoint.environment())
    return "q"


def subset(wanted: Any, found: Any) -> bool:
    """Whether everything wanted was kept, as redun compares a definition with the one it would make."""
    if isinstance(wanted, dict):
        return all(key in found and subset(value, found[key]) for key, value in wanted.items())
    return bool(wanted == found)


def test_luigi_takes_the_first_queue_and_the_log_of_the_first_attempt(endpoint: Endpoint, queue: str) -> None:
    """luigi.contrib.batch"""
    batch = endpoint.batch
    endpoint.definition("luigi", FAILING)
    found = [
        item["jobQueueName"]
        for item in batch.describe_job_queues()["jobQueues"]
        if (item["state"], item["status"]) == ("ENABLED", "VALID")
    ]
    assert found == [queue]
    job_id = batch.submit_job(jobName="l", jobQueue=found[0], jobDefinition="luigi", parameters={"a": "b"})[
        "jobId"
    ]
    endpoint.wait(job_id)
    jobs = batch.describe_jobs(jobs=[job_id])["jobs"]
    json.dumps(jobs)  # what it prints of a job that failed
    stream = jobs[0]["attempts"][0]["container"]["logStreamName"]
    assert endpoint.log({"container": {"logStreamName": stream}}) == ["told"]


def test_metaflow_looks_behind_the_queue_and_follows_a_job(endpoint: Endpoint, queue: str) -> None:
    """metaflow.plugins.aws.batch.batch_client"""
    batch = endpoint.batch
    pages = batch.get_paginator("describe_job_queues").paginate(jobQueues=[queue])
    (shown,) = [item for page in pages for item in page["jobQueues"]]
    environment = shown["computeEnvironmentOrder"][0]["computeEnvironment"]
    described = batch.describe_compute_environments(computeEnvironments=[environment])["computeEnvironments"]
    assert described[0]["computeResources"]["type"] == "EC2"
    definition = {
        "type": "container",
        "containerProperties": {
            "image": "python",
            "command": ["echo", "hello world"],
            "resourceRequirements": [*NEEDS],
            "linuxParameters": {
                "sharedMemorySize": 64,
                "tmpfs": [{"containerPath": "/metaflow_temp", "size": 64}],
            },
            "volumes": [{"name": "v0", "host": {"sourcePath": "/tmp"}}],
            "mountPoints": [{"sourceVolume": "v0", "containerPath": "/tmp"}],
        },
        "propagateTags": True,
    }
    asked = {"jobDefinitionName": "metaflow_x", "status": "ACTIVE"}
    assert batch.describe_job_definitions(**asked)["jobDefinitions"] == []
    arn = batch.register_job_definition(jobDefinitionName="metaflow_x", **definition)["jobDefinitionArn"]
    assert batch.describe_job_definitions(**asked)["jobDefinitions"][0]["jobDefinitionArn"] == arn
    plain = endpoint.definition("metaflow_plain", ["true"])
    submitted = batch.submit_job(
        jobName="m",
        jobQueue=queue,
        jobDefinition=plain,
        containerOverrides={
            "command": [*FAILING],
            "resourceRequirements": [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "300"}],
            "environment": [{"name": "METAFLOW_USER", "value": "me"}],
        },
        timeout={"attemptDurationSeconds": 3600},
        tags={"app": "metaflow"},
        parameters={"p": "1"},
        retryStrategy={"attempts": 1},
    )
    info = endpoint.wait(submitted["jobId"])
    assert {"jobName", "jobQueue", "status", "createdAt", "statusReason", "container"} <= set(info)
    assert info["container"].get("exitCode") == info["attempts"][-1]["container"].get("exitCode") == 3
    assert info["container"].get("reason") is None, "so it shows statusReason"
    for status in ("SUBMITTED", "PENDING", "RUNNABLE", "STARTING", "RUNNING"):
        for page in batch.get_paginator("list_jobs").paginate(jobQueue=queue, jobStatus=status):
            assert page["jobSummaryList"] == []


def test_airflow_waits_and_finds_the_logs(endpoint: Endpoint, queue: str) -> None:
    """airflow.providers.amazon.aws.hooks.batch_client, with its own waiters"""
    every = ("SUBMITTED", "PENDING", "RUNNABLE", "STARTING", "RUNNING", "SUCCEEDED", "FAILED")

    def acceptors(*success: str) -> list[dict[str, str]]:
        return [
            {"argument": "jobs[].status", "expected": status, "matcher": "pathAll", "state": "success"}
            for status in success
        ]

    waiters = {
        "JobExists": {
            "delay": 1,
            "operation": "DescribeJobs",
            "maxAttempts": 30,
            "acceptors": acceptors(*every),
        },
        "JobComplete": {
            "delay": 1,
            "operation": "DescribeJobs",
            "maxAttempts": 30,
            "acceptors": acceptors("SUCCEEDED", "FAILED"),
        },
    }
    model = botocore.waiter.WaiterModel({"version": 2, "waiters": waiters})
    group = {"awslogs-group": "/aws/batch/job", "awslogs-region": "us-east-1"}
    definition = endpoint.definition(
        "airflow", FAILING, container={"logConfiguration": {"logDriver": "awslogs", "options": group}}
    )
    submitted = endpoint.batch.submit_job(
        jobName="a", jobQueue=queue, jobDefinition=definition, containerOverrides={}, parameters={}, tags={}
    )
    for name in waiters:
        waiter = botocore.waiter.create_waiter_with_client(name, model, endpoint.batch)
        waiter.wait(jobs=[submitted["jobId"]])
    (job,) = endpoint.batch.describe_jobs(jobs=[submitted["jobId"]])["jobs"]
    assert job["jobId"] == submitted["jobId"]
    assert "nodeProperties" not in job, "it would look for the streams of nodes"
    assert job["container"]["logConfiguration"]["options"] == group
    assert endpoint.log(job) == ["told"]


def test_redun_finds_its_definition_again_and_its_jobs_by_name(endpoint: Endpoint, queue: str) -> None:
    """redun.executors.aws_batch"""
    batch = endpoint.batch
    wanted = {
        "type": "container",
        "containerProperties": {
            "command": ["ls"],
            "image": "redun",
            "environment": [],
            "mountPoints": [],
            "volumes": [],
            "resourceRequirements": NEEDS,
            "ulimits": [],
            "privileged": False,
            "linuxParameters": {"sharedMemorySize": 64},
        },
    }
    batch.register_job_definition(jobDefinitionName="redun", **wanted)
    (found,) = batch.describe_job_definitions(jobDefinitionName="redun", status="ACTIVE")["jobDefinitions"]
    assert subset(wanted, found), "else it registers a revision at every submission"
    runnable = endpoint.definition("redun-run", ["true"])
    array = batch.submit_job(
        jobName="redun-array",
        jobQueue=queue,
        jobDefinition=runnable,
        containerOverrides={"command": ["/bin/sh", "-c", "exit $AWS_BATCH_JOB_ARRAY_INDEX"]},
        arrayProperties={"size": 2},
        propagateTags=True,
        tags={"redun_job": "x"},
    )["jobId"]
    endpoint.wait(array)
    children = {
        job["jobId"]: job
        for job in batch.describe_jobs(jobs=[f"{array}:0", f"{array}:1", "00000000-gone"])["jobs"]
    }
    assert [children[f"{array}:{index}"]["status"] for index in (0, 1)] == ["SUCCEEDED", "FAILED"]
    failed = children[f"{array}:1"]
    assert failed["attempts"][-1]["statusReason"] == "Essential container in task exited"
    assert failed["container"]["logStreamName"]
    pages = batch.get_paginator("list_jobs").paginate(arrayJobId=array, jobStatus="FAILED")
    assert [
        (job["jobId"], job["arrayProperties"]["index"]) for page in pages for job in page["jobSummaryList"]
    ] == [(f"{array}:1", 1)]
    for status in ("RUNNING", "FAILED"):
        listed = batch.get_paginator("list_jobs").paginate(jobQueue=queue, jobStatus=status)
        names = {job["jobName"] for page in listed for job in page["jobSummaryList"]}
        assert names == ({"redun-array"} if status == "FAILED" else set())


def test_redun_reads_the_log_of_the_main_node(endpoint: Endpoint, queue: str) -> None:
    batch = endpoint.batch
    container = {"image": "redun", "command": ["true"], "resourceRequirements": NEEDS}
    ranges = [{"targetNodes": "0", "container": container}, {"targetNodes": "1:", "container": container}]
    batch.register_job_definition(
        jobDefinitionName="redun-nodes",
        type="multinode",
        nodeProperties={"mainNode": 0, "numNodes": 2, "nodeRangeProperties": ranges},
    )
    said = {"command": ["echo", "main"], "resourceRequirements": NEEDS}
    job_id = batch.submit_job(
        jobName="nodes",
        jobQueue=queue,
        jobDefinition="redun-nodes",
        nodeOverrides={
            "numNodes": 2,
            "nodePropertyOverrides": [
                {"targetNodes": "0", "containerOverrides": said},
                {"targetNodes": "1:", "containerOverrides": {"resourceRequirements": NEEDS}},
            ],
        },
    )["jobId"]
    job = endpoint.wait(job_id)
    main = job["nodeProperties"]["mainNode"]
    (node,) = batch.describe_jobs(jobs=[f"{job_id}#{main}"])["jobs"]
    assert endpoint.log(node) == ["main"]


def test_snakemake_registers_runs_and_deregisters(endpoint: Endpoint, queue: str) -> None:
    """snakemake_executor_plugin_aws_batch"""
    batch = endpoint.batch
    definition = batch.register_job_definition(
        jobDefinitionName="snakejob-def-rule-0a",
        type="container",
        containerProperties={
            "image": "snakemake/snakemake",
            "command": ["/bin/bash", "-c", "exit 3"],
            "environment": [{"name": "SNAKEMAKE_PROFILE", "value": ""}],
            "privileged": True,
            "resourceRequirements": NEEDS,
        },
        timeout={"attemptDurationSeconds": 300},
        tags={},
        platformCapabilities=["EC2"],
    )
    reference = "{}:{}".format(definition["jobDefinitionName"], definition["revision"])
    submitted = batch.submit_job(jobName="snakejob-rule", jobQueue=queue, jobDefinition=reference)
    assert {"jobName", "jobId"} <= set(submitted)
    job = endpoint.wait(submitted["jobId"])
    assert (job["status"], job.get("container", {}).get("exitCode"), job["jobName"]) == (
        "FAILED",
        3,
        "snakejob-rule",
    )
    assert job["statusReason"]
    batch.terminate_job(jobId=job["jobId"], reason="cleanup")
    batch.deregister_job_definition(jobDefinition=job["jobDefinition"])
    wait_for(
        lambda: (
            batch.describe_job_definitions(jobDefinitions=[reference])["jobDefinitions"][0]["status"]
            == "INACTIVE"
        ),
        "the definition inactive",
    )
