"""Compute environments, queues, job definitions, policies and tags, seen through boto3."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

pytestmark = pytest.mark.cloud


def refused(call: Any, **request: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**request)
    error = caught.value.response
    assert error["Error"]["Code"] == "ClientException"
    assert error["ResponseMetadata"]["HTTPStatusCode"] == 400
    return str(error["Error"]["Message"])


def test_compute_environment_life(endpoint: Any) -> None:
    batch, arn = endpoint.batch, endpoint.environment("spot", kind="SPOT")
    assert arn == "arn:aws:batch:us-east-1:000000000000:compute-environment/spot"
    (described,) = batch.describe_compute_environments(computeEnvironments=[arn])["computeEnvironments"]
    assert (described["state"], described["status"]) == ("ENABLED", "VALID")
    assert described["statusReason"] == "ComputeEnvironment Healthy"
    assert described["computeResources"]["desiredvCpus"] == 0
    assert "cluster/spot_Batch_" in described["ecsClusterArn"]
    batch.update_compute_environment(computeEnvironment="spot", computeResources={"maxvCpus": 64})
    (described,) = batch.describe_compute_environments(computeEnvironments=["spot"])["computeEnvironments"]
    assert described["computeResources"]["maxvCpus"] == 64
    assert described["computeResources"]["instanceTypes"] == ["m6g"]
    assert "must be DISABLED" in refused(batch.delete_compute_environment, computeEnvironment="spot")
    batch.update_compute_environment(computeEnvironment="spot", state="DISABLED")
    batch.delete_compute_environment(computeEnvironment="spot")
    assert batch.describe_compute_environments(computeEnvironments=["spot"])["computeEnvironments"] == []


def test_compute_environment_of_a_queue_cannot_go(endpoint: Any) -> None:
    endpoint.queue("q", endpoint.environment())
    endpoint.batch.update_compute_environment(computeEnvironment="ce", state="DISABLED")
    message = refused(endpoint.batch.delete_compute_environment, computeEnvironment="ce")
    assert message == "Cannot delete, found existing JobQueue relationship"


@pytest.mark.parametrize(
    ("resources", "message"),
    [
        ({"type": "EC2", "maxvCpus": 4, "subnets": []}, "Resource minvCpus is required."),
        (
            {"type": "EC2", "maxvCpus": 4, "minvCpus": 0, "subnets": []},
            "Resource instanceTypes are required.",
        ),
        (
            {"type": "EC2", "maxvCpus": 4, "minvCpus": 0, "instanceTypes": ["m6i"], "subnets": []},
            "Instance role is required.",
        ),
        (
            {"type": "EC2", "maxvCpus": 4, "minvCpus": 8, "instanceTypes": ["m6i"], "instanceRole": "r"},
            "maxvCpus should be greater than or equal to minvCpus.",
        ),
        (
            {"type": "FARGATE", "maxvCpus": 4, "desiredvCpus": 1},
            "desiredvCpus is not applicable for Fargate.",
        ),
        ({"type": "LAMBDA", "maxvCpus": 4}, "computeResources.type must be one of EC2, SPOT, FARGATE"),
    ],
)
def test_compute_environment_rejections(endpoint: Any, resources: dict[str, Any], message: str) -> None:
    request = {"computeEnvironmentName": "bad", "type": "MANAGED", "computeResources": resources}
    assert message in refused(endpoint.batch.create_compute_environment, **request)
    assert endpoint.batch.describe_compute_environments()["computeEnvironments"] == []


def test_queue_life(endpoint: Any) -> None:
    batch = endpoint.batch
    first, second = endpoint.environment("a"), endpoint.environment("b")
    arn = endpoint.queue("q", first, second, priority=7)
    (queue,) = batch.describe_job_queues(jobQueues=["q"])["jobQueues"]
    assert (queue["jobQueueArn"], queue["priority"], queue["status"]) == (arn, 7, "VALID")
    assert [entry["computeEnvironment"] for entry in queue["computeEnvironmentOrder"]] == [first, second]
    order = [{"order": 1, "computeEnvironment": "b"}]
    batch.update_job_queue(jobQueue=arn, priority=9, computeEnvironmentOrder=order)
    (queue,) = batch.describe_job_queues(jobQueues=[arn])["jobQueues"]
    assert (queue["priority"], queue["computeEnvironmentOrder"][0]["computeEnvironment"]) == (9, second)
    assert "must be DISABLED" in refused(batch.delete_job_queue, jobQueue="q")
    batch.update_job_queue(jobQueue="q", state="DISABLED")
    endpoint.definition("d", ["/bin/true"])
    assert "DISABLED" in refused(batch.submit_job, jobName="j", jobQueue="q", jobDefinition="d")
    batch.delete_job_queue(jobQueue="q")
    assert batch.describe_job_queues(jobQueues=["q"])["jobQueues"] == []


def test_deleting_a_queue_terminates_its_jobs(endpoint: Any) -> None:
    queue = endpoint.queue("q", endpoint.environment(max_vcpus=1))
    definition = endpoint.definition("sleeper", ["/bin/sleep", "60"])
    running, waiting = endpoint.submit(queue, definition), endpoint.submit(queue, definition)
    endpoint.wait(running, "RUNNING")
    endpoint.batch.update_job_queue(jobQueue="q", state="DISABLED")
    endpoint.batch.delete_job_queue(jobQueue="q")
    assert endpoint.wait(waiting)["status"] == "FAILED"
    assert "queue deleted" in endpoint.wait(running)["statusReason"]
    assert endpoint.batch.describe_job_queues(jobQueues=["q"])["jobQueues"] == []


def test_queue_rejections(endpoint: Any) -> None:
    ec2, fargate = endpoint.environment("ec2"), endpoint.environment("fargate", kind="FARGATE")
    create = endpoint.batch.create_job_queue

    def order(*arns: str) -> list[dict[str, Any]]:
        return [{"order": place, "computeEnvironment": arn} for place, arn in enumerate(arns)]

    same = [{"order": 1, "computeEnvironment": ec2}, {"order": 1, "computeEnvironment": fargate}]
    for given, message in (
        (order(ec2, fargate), "Fargate and EC2 compute environments can not be mixed."),
        (same, "Duplicate ComputeEnvironment order values."),
        (order("nowhere"), "Compute Environments must be created and valid"),
        ([], "between 1 and 3 compute environments, got 0"),
    ):
        assert message in refused(create, jobQueueName="q", priority=1, computeEnvironmentOrder=given)
    wrong = [
        {"reason": "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY", "state": "RUNNABLE", "maxTimeSeconds": 60,
         "action": "CANCEL"}
    ]  # fmt: skip
    message = refused(
        create,
        jobQueueName="q",
        priority=1,
        computeEnvironmentOrder=order(ec2),
        jobStateTimeLimitActions=wrong,
    )
    assert "maxTimeSeconds must be between 600 and 86400, got 60" in message


def test_job_definition_revisions(endpoint: Any) -> None:
    batch = endpoint.batch
    assert endpoint.definition("d", ["/bin/true"]).endswith("job-definition/d:1")
    assert endpoint.definition("d", ["/bin/false"]).endswith("job-definition/d:2")
    batch.deregister_job_definition(jobDefinition="d:2")
    active = batch.describe_job_definitions(jobDefinitionName="d", status="ACTIVE")["jobDefinitions"]
    assert [definition["revision"] for definition in active] == [1]
    assert endpoint.definition("d", ["/bin/true"]).endswith("job-definition/d:3"), "revisions never repeat"
    (inactive,) = batch.describe_job_definitions(jobDefinitions=["d:2"])["jobDefinitions"]
    assert inactive["status"] == "INACTIVE"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"resourceRequirements": [{"type": "MEMORY", "value": "128"}]}, "vCPU is required."),
        (
            {"resourceRequirements": [{"type": "VCPU", "value": "0.5"}, {"type": "MEMORY", "value": "128"}]},
            "vCPU must be at least 1, got 0.5.",
        ),
        (
            {"resourceRequirements": [{"type": "VCPU", "value": "1"}, {"type": "VCPU", "value": "2"}]},
            "Cannot provide duplicates in resourceRequirements.",
        ),
        ({"networkConfiguration": {}}, "networkConfiguration not applicable for EC2."),
        ({"environment": [{"name": "AWS_BATCH_X", "value": "1"}]}, "cannot start with AWS_BATCH"),
    ],
)
def test_job_definition_rejections(endpoint: Any, change: dict[str, Any], message: str) -> None:
    container = {
        "image": "busybox",
        "resourceRequirements": [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "128"}],
        **change,
    }
    register = endpoint.batch.register_job_definition
    assert message in refused(
        register, jobDefinitionName="d", type="container", containerProperties=container
    )


def test_fargate_sizes(endpoint: Any) -> None:
    container = {
        "image": "busybox",
        "executionRoleArn": "arn:aws:iam::000000000000:role/x",
        "resourceRequirements": [{"type": "VCPU", "value": "0.25"}, {"type": "MEMORY", "value": "4096"}],
    }
    message = refused(
        endpoint.batch.register_job_definition,
        jobDefinitionName="d",
        type="container",
        platformCapabilities=["FARGATE"],
        containerProperties=container,
    )
    assert message == "Fargate memory for 0.25 vCPU must be one of 512, 1024, 2048 MiB, got 4096."


def test_tags(endpoint: Any) -> None:
    batch, arn = endpoint.batch, endpoint.queue("q", endpoint.environment())
    batch.tag_resource(resourceArn=arn, tags={"team": "data", "cost centre": "42"})
    batch.untag_resource(resourceArn=arn, tagKeys=["team", "absent"])
    assert batch.list_tags_for_resource(resourceArn=arn)["tags"] == {"cost centre": "42"}
    too_many = {f"key{number}": "x" for number in range(50)}
    assert "at most 50 tags" in refused(batch.tag_resource, resourceArn=arn, tags=too_many)
    assert "not found" in refused(batch.list_tags_for_resource, resourceArn=f"{arn}x")


def test_scheduling_policy_life(endpoint: Any) -> None:
    batch = endpoint.batch
    arn = batch.create_scheduling_policy(name="fair", fairsharePolicy={"shareDecaySeconds": 600})["arn"]
    assert batch.list_scheduling_policies()["schedulingPolicies"] == [{"arn": arn}]
    batch.update_scheduling_policy(arn=arn, fairsharePolicy={"shareDecaySeconds": 60})
    (policy,) = batch.describe_scheduling_policies(arns=[arn])["schedulingPolicies"]
    assert policy["fairsharePolicy"] == {"shareDecaySeconds": 60}
    batch.delete_scheduling_policy(arn=arn)
    assert batch.describe_scheduling_policies(arns=[arn])["schedulingPolicies"] == []


def test_requests_are_checked_by_the_service_model(endpoint: Any) -> None:
    api = endpoint.engine.api
    for body, words in (
        (b"{}", "Missing required parameter"),
        (b"[1]", "must be a JSON object"),
        (b"{nope", "is not JSON"),
        (b'{"jobQueueName": "q", "priority": "high"}', "Invalid type for parameter priority"),
    ):
        status, headers, content = api.handle("POST", "/v1/createjobqueue", body, {})
        assert (status, headers["x-amzn-ErrorType"]) == (400, "ClientException")
        assert words in content.decode()
    assert api.handle("POST", "/v1/no-such-operation", b"{}", {})[0] == 400
