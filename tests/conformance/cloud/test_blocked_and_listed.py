"""What only a whole cloud shows: blocked queues told of through rules, refused secrets, pages of ListJobs."""

import json
from typing import Any

import pytest

from tests.conformance.cloud.conftest import LocalCloud
from tests.conformance.cloud.test_server import finished, runnable_job
from tests.support import wait_for

pytestmark = pytest.mark.cloud

NO_SECRET = "arn:aws:secretsmanager:us-east-1:000000000000:secret:nowhere-AbCdEf"
NEEDS = [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "64"}]


def message_queue(cloud: LocalCloud, name: str) -> tuple[str, str]:
    sqs = cloud.client("sqs")
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]
    return url, attributes["QueueArn"]


def next_body(cloud: LocalCloud, url: str) -> dict[str, Any]:
    sqs = cloud.client("sqs")
    (message,) = wait_for(
        lambda: sqs.receive_message(QueueUrl=url, WaitTimeSeconds=1).get("Messages"), "a message"
    )
    return dict(json.loads(message["Body"]))


def test_a_blocked_queue_reaches_sqs_and_sns_through_a_rule(cloud: LocalCloud) -> None:
    direct, direct_arn = message_queue(cloud, "blocked-direct")
    behind, behind_arn = message_queue(cloud, "blocked-behind-topic")
    sns, events = cloud.client("sns"), cloud.client("events")
    topic = sns.create_topic(Name="blocked")["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=behind_arn)
    pattern = {"source": ["aws.batch"], "detail-type": ["Batch Job Queue Blocked"]}
    events.put_rule(Name="blocked", EventPattern=json.dumps(pattern))
    targets = [{"Id": "sqs", "Arn": direct_arn}, {"Id": "sns", "Arn": topic}]
    assert events.put_targets(Rule="blocked", Targets=targets)["FailedEntryCount"] == 0
    # No m6i instance has this much memory.
    needs = [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "4000000"}]
    job_id = runnable_job(cloud, "too-large", ["true"], resourceRequirements=needs)

    event = next_body(cloud, direct)
    assert json.loads(next_body(cloud, behind)["Message"])["id"] == event["id"]
    assert event["detail-type"] == "Batch Job Queue Blocked"
    (job,) = cloud.client("batch").describe_jobs(jobs=[job_id])["jobs"]
    (queue,) = cloud.client("batch").describe_job_queues(jobQueues=["too-large"])["jobQueues"]
    assert event["resources"] == [job["jobArn"], queue["jobQueueArn"]]
    detail = event["detail"]
    assert (detail["jobId"], detail["status"]) == (job_id, "RUNNABLE")
    assert detail["statusReason"].startswith("MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT")
    assert detail["statusReason"] == job["statusReason"]
    cloud.client("batch").terminate_job(jobId=job_id, reason="seen")
    assert finished(cloud, job_id)["status"] == "FAILED"


@pytest.mark.parametrize(
    ("name", "value_from", "text"),
    [
        ("no-secret", NO_SECRET, f"retrieve secret from asm: failed to fetch secret {NO_SECRET} from"),
        ("no-parameter", "/nowhere/at", "retrieve secrets from ssm: failed to fetch parameter /nowhere/at: "),
    ],
)
def test_a_secret_that_is_not_there_fails_the_attempt_before_it_starts(
    cloud: LocalCloud, name: str, value_from: str, text: str
) -> None:
    job_id = runnable_job(
        cloud,
        name,
        ["true"],
        executionRoleArn="arn:aws:iam::000000000000:role/execution",
        secrets=[{"name": "PASSWORD", "valueFrom": value_from}],
    )
    job = finished(cloud, job_id)
    assert job["status"] == "FAILED"
    (attempt,) = job["attempts"]
    reason = attempt["container"]["reason"]
    prefix = "ResourceInitializationError: unable to pull secrets or registry auth: execution resource "
    assert reason.startswith(f"{prefix}retrieval failed: unable to {text}"), job
    assert "exitCode" not in attempt["container"]
    assert "startedAt" not in attempt


def pages(cloud: LocalCloud, **request: Any) -> list[list[dict[str, Any]]]:
    paginator = cloud.client("batch").get_paginator("list_jobs")
    return [page["jobSummaryList"] for page in paginator.paginate(**request)]


def test_children_of_an_array_are_listed_in_pages_by_status(cloud: LocalCloud) -> None:
    batch = cloud.client("batch")
    finished(cloud, runnable_job(cloud, "listed", ["/bin/sh", "-c", "exit $AWS_BATCH_JOB_ARRAY_INDEX"]))
    request = {"jobName": "array", "jobQueue": "listed", "jobDefinition": "listed"}
    array_id = batch.submit_job(**request, arrayProperties={"size": 7})["jobId"]
    parent = finished(cloud, array_id)
    assert parent["status"] == "FAILED", "the first child alone exits with 0"
    assert parent["arrayProperties"]["statusSummary"]["FAILED"] == 6
    found = pages(
        cloud, arrayJobId=array_id, jobStatus="FAILED", PaginationConfig={"PageSize": 4, "MaxItems": 100}
    )
    assert [len(page) for page in found] == [4, 2]
    listed = [item for page in found for item in page]
    assert [item["jobId"] for item in listed] == [f"{array_id}:{index}" for index in range(1, 7)]
    assert [item["arrayProperties"]["index"] for item in listed] == [1, 2, 3, 4, 5, 6]
    assert [item["container"]["exitCode"] for item in listed] == [1, 2, 3, 4, 5, 6]
    ((first,),) = pages(cloud, arrayJobId=array_id, jobStatus="SUCCEEDED")
    assert (first["jobId"], first["status"]) == (f"{array_id}:0", "SUCCEEDED")
    # The queue lists the parent, and never its children.
    (listed,) = pages(cloud, jobQueue="listed", filters=[{"name": "JOB_NAME", "values": ["array"]}])
    assert [(item["jobId"], item["arrayProperties"]["size"]) for item in listed] == [(array_id, 7)]


def test_nodes_of_a_multi_node_job_are_listed_in_pages_by_status(cloud: LocalCloud) -> None:
    batch = cloud.client("batch")
    finished(cloud, runnable_job(cloud, "group", ["true"]))
    container = {"image": "busybox", "command": ["true"], "resourceRequirements": NEEDS}
    ranges = [{"targetNodes": "0:", "container": container}]
    properties = {"numNodes": 2, "mainNode": 0, "nodeRangeProperties": ranges}
    batch.register_job_definition(jobDefinitionName="nodes", type="multinode", nodeProperties=properties)
    job_id = batch.submit_job(jobName="nodes", jobQueue="group", jobDefinition="nodes")["jobId"]
    assert finished(cloud, job_id)["status"] == "SUCCEEDED"
    over = [
        item
        for status in ("SUCCEEDED", "FAILED")
        for page in pages(cloud, multiNodeJobId=job_id, jobStatus=status, PaginationConfig={"PageSize": 1})
        for item in page
    ]
    assert sorted(item["jobId"] for item in over) == [f"{job_id}#{index}" for index in range(2)]
    for item in over:
        index = int(item["jobId"].partition("#")[2])
        assert item["nodeProperties"]["nodeIndex"] == index
        assert item["nodeProperties"].get("isMainNode", False) is (index == 0)
    # Without a status ListJobs lists the RUNNING ones.
    assert pages(cloud, multiNodeJobId=job_id) == [[]]
