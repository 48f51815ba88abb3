"""Instances, blocked queues, fair share, consumable resources and interruptions, seen through boto3."""

import json
import urllib.error
import urllib.request
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.support import Endpoint, wait_for

pytestmark = pytest.mark.cloud

SHELL = ["/bin/sh", "-c"]
HOST_LOST = [{"onStatusReason": "Host EC2*", "action": "RETRY"}, {"onReason": "*", "action": "EXIT"}]


def interrupt(endpoint: Endpoint, **request: Any) -> dict[str, Any]:
    return ask(endpoint, "interrupt", **request)


def ask(endpoint: Endpoint, what: str, **request: Any) -> dict[str, Any]:
    url = f"{endpoint.batch.meta.endpoint_url}/_batch-stack/{what}"
    body = json.dumps(request).encode()
    with urllib.request.urlopen(urllib.request.Request(url, body, method="POST"), timeout=10) as response:
        return dict(json.load(response))


def test_instance_of_a_job_is_named_and_counted(endpoint: Endpoint) -> None:
    queue = endpoint.queue("q", endpoint.environment())
    job_id = endpoint.submit(queue, endpoint.definition("held", [*SHELL, "sleep 60"]))
    job = endpoint.wait(job_id, "RUNNING")
    assert ":container-instance/ce_Batch_" in job["container"]["containerInstanceArn"]
    (shown,) = endpoint.batch.describe_compute_environments(computeEnvironments=["ce"])["computeEnvironments"]
    assert shown["computeResources"]["desiredvCpus"] == 1, "one m6g.medium"
    endpoint.batch.terminate_job(jobId=job_id, reason="enough")
    endpoint.wait(job_id)


def test_reclaimed_job_gets_sigterm_and_is_retried(endpoint: Endpoint) -> None:
    queue = endpoint.queue("q", endpoint.environment("spot", kind="SPOT"))
    command = [*SHELL, 'test $AWS_BATCH_JOB_ATTEMPT = 2 && exit 0; trap "exit 7" TERM; sleep 60 & wait']
    strategy = {"attempts": 3, "evaluateOnExit": HOST_LOST}
    job_id = endpoint.submit(queue, endpoint.definition("spotty", command, retryStrategy=strategy))
    endpoint.wait(job_id, "RUNNING")
    assert interrupt(endpoint, job=job_id, noticeSeconds=20) == {"jobs": [job_id]}
    job = endpoint.wait(job_id)
    assert job["status"] == "SUCCEEDED"
    first, second = job["attempts"]
    assert first["statusReason"].startswith("Host EC2 (instance i-")
    assert first["container"]["exitCode"] == 7
    assert first["container"]["containerInstanceArn"] != second["container"]["containerInstanceArn"]


def test_job_that_ignores_the_warning_is_killed_with_its_instance(endpoint: Endpoint) -> None:
    queue = endpoint.queue("q", endpoint.environment("spot", kind="SPOT"))
    definition = endpoint.definition("deaf", [*SHELL, 'trap "" TERM; while true; do sleep 0.1; done'])
    job_id = endpoint.submit(queue, definition)
    endpoint.wait(job_id, "RUNNING")
    interrupt(endpoint, computeEnvironment="spot", noticeSeconds=1)
    job = endpoint.wait(job_id)
    assert job["status"] == "FAILED"
    assert job["statusReason"].startswith("Host EC2 (instance i-")
    assert "exitCode" not in job["container"]


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({}, "exactly one of job, instance, computeEnvironment must be given, got 0"),
        ({"job": "nope"}, "there is no job with the id nope"),
        ({"instance": "i-1"}, "no job is STARTING or RUNNING on the instance i-1"),
        ({"computeEnvironment": "ce"}, "the compute environment must be one of (none defined), got ce"),
        ({"job": "none", "noticeSeconds": -1}, "noticeSeconds must be between 0 and 3600, got -1"),
    ],
)
def test_interruptions_that_make_no_sense(endpoint: Endpoint, request_: dict[str, Any], message: str) -> None:
    with pytest.raises(urllib.error.HTTPError) as caught:
        interrupt(endpoint, **request_)
    assert caught.value.code == 400
    assert json.load(caught.value)["message"] == message


def _why_not_interrupted(endpoint: Endpoint, **request: Any) -> str:
    with pytest.raises(urllib.error.HTTPError) as caught:
        interrupt(endpoint, **request)
    return str(json.load(caught.value)["message"])


def test_what_has_no_instance_to_lose_is_told_why(endpoint: Endpoint) -> None:
    queue = endpoint.queue("q", endpoint.environment("spot", kind="SPOT"))
    only = "only one that is STARTING or RUNNING has an instance to lose"
    done = endpoint.submit(queue, endpoint.definition("done", ["true"]))
    endpoint.wait(done)
    assert _why_not_interrupted(endpoint, job=done) == f"the job {done} is SUCCEEDED: {only}"
    assert _why_not_interrupted(endpoint, job=f"{done}:7") == f"there is no job with the id {done}:7"
    # More memory than any instance has: its children wait.
    needs = [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "20000000"}]
    waits = endpoint.definition("waits", ["true"], container={"resourceRequirements": needs})
    array = endpoint.submit(queue, waits, arrayProperties={"size": 5})
    assert _why_not_interrupted(endpoint, job=f"{array}:5") == f"there is no job with the id {array}:5"
    child = _why_not_interrupted(endpoint, job=f"{array}:4")
    assert child in (
        f"the job {array}:4 {state}: {only}" for state in ("has not started", "is PENDING", "is RUNNABLE")
    )
    assert _why_not_interrupted(endpoint, computeEnvironment="spot") == (
        "no job is STARTING or RUNNING on the compute environment spot"
    )
    assert _why_not_interrupted(endpoint, computeEnvironment="sopt") == (
        "the compute environment must be one of spot, got sopt"
    )


def test_job_waits_for_instance_types_that_ec2_has_run_out_of(endpoint: Endpoint) -> None:
    queue = endpoint.queue("q", endpoint.environment())
    out = ask(endpoint, "capacity", instanceTypes=["m6g"], available=False)["unavailable"]
    assert "m6g.medium" in out
    assert all(name.startswith("m6g.") for name in out)
    job_id = endpoint.submit(queue, endpoint.definition("waits", ["true"]))
    job = endpoint.wait(job_id, "RUNNABLE")
    assert job["statusReason"].startswith(
        "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY - Service cannot fulfill the capacity requested for "
        "instance type [m6g.medium]"
    )
    left = ask(endpoint, "capacity", instanceTypes=["m6g.medium"], available=True)["unavailable"]
    assert left == [name for name in out if name != "m6g.medium"]
    assert ask(endpoint, "capacity") == {"unavailable": left}, "asking changes nothing"
    assert endpoint.wait(job_id)["status"] == "SUCCEEDED"


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({"instanceTypes": ["x99.huge"], "available": False}, "no instance type or family x99.huge"),
        ({"instanceTypes": "m6g", "available": False}, "instanceTypes must be a list of names, got 'm6g'"),
        ({"instanceTypes": ["m6g"], "available": "no"}, "available must be true or false, got 'no'"),
    ],
)
def test_capacity_requests_that_make_no_sense(
    endpoint: Endpoint, request_: dict[str, Any], message: str
) -> None:
    with pytest.raises(urllib.error.HTTPError) as caught:
        ask(endpoint, "capacity", **request_)
    assert caught.value.code == 400
    assert message in json.load(caught.value)["message"]


def test_blocked_queue_says_why(endpoint: Endpoint) -> None:
    queue = endpoint.queue("q", endpoint.environment(max_vcpus=2))
    requirements = [{"type": "VCPU", "value": "64"}, {"type": "MEMORY", "value": "64"}]
    definition = endpoint.definition("huge", ["true"], container={"resourceRequirements": requirements})
    job = endpoint.job(endpoint.submit(queue, definition))
    assert job["status"] == "RUNNABLE"
    assert job["statusReason"].startswith("MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE - ")


def test_fair_share_queue(endpoint: Endpoint) -> None:
    shares = {"shareDistribution": [{"shareIdentifier": "team*", "weightFactor": 0.5}]}
    policy = endpoint.batch.create_scheduling_policy(name="fair", fairsharePolicy=shares)["arn"]
    order = [{"order": 1, "computeEnvironment": endpoint.environment()}]
    queue = endpoint.batch.create_job_queue(
        jobQueueName="fair", priority=1, computeEnvironmentOrder=order, schedulingPolicyArn=policy
    )["jobQueueArn"]
    definition = endpoint.definition("quick", ["true"])
    with pytest.raises(ClientError, match="shareIdentifier must be specified"):
        endpoint.submit(queue, definition)
    job = endpoint.wait(endpoint.submit(queue, definition, shareIdentifier="teamA"))
    assert (job["status"], job["shareIdentifier"]) == ("SUCCEEDED", "teamA")


def test_consumable_resource_is_locked_while_a_job_runs(endpoint: Endpoint) -> None:
    batch = endpoint.batch
    batch.create_consumable_resource(consumableResourceName="licence", totalQuantity=1)
    queue = endpoint.queue("q", endpoint.environment())
    needs = {"consumableResourceList": [{"consumableResource": "licence", "quantity": 1}]}
    held = endpoint.definition("held", [*SHELL, "sleep 60"], consumableResourceProperties=needs)
    first = endpoint.submit(queue, held)
    second = endpoint.submit(queue, endpoint.definition("next", ["true"], consumableResourceProperties=needs))
    endpoint.wait(first, "RUNNING")
    shown = batch.describe_consumable_resource(consumableResource="licence")
    assert (shown["inUseQuantity"], shown["availableQuantity"]) == (1, 0)
    assert endpoint.job(second)["status"] == "RUNNABLE"
    (listed,) = batch.list_jobs_by_consumable_resource(
        consumableResource="licence", filters=[{"name": "JOB_STATUS", "values": ["RUNNING"]}]
    )["jobs"]
    assert listed["jobArn"].endswith(first)
    batch.terminate_job(jobId=first, reason="enough")
    assert endpoint.wait(second)["status"] == "SUCCEEDED"
    wait_for(
        lambda: batch.describe_consumable_resource(consumableResource="licence")["availableQuantity"] == 1,
        "the licence coming back",
    )
