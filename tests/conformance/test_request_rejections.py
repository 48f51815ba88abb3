"""Environments, queues and requests that AWS Batch refuses, in its own words: one case a rule."""

from typing import Any

import pytest

from tests.api_world import ACCOUNT, REGION, ApiWorld, Refused, container, sagemaker_queue

ROLE = "arn:aws:iam::123456789012:role/r"


@pytest.fixture
def world() -> ApiWorld:
    return ApiWorld()


EC2 = {
    "type": "EC2", "minvCpus": 0, "maxvCpus": 4, "instanceTypes": ["m6i"], "instanceRole": "r",
    "subnets": ["s"],
}  # fmt: skip
FARGATE = {"type": "FARGATE", "maxvCpus": 4, "subnets": ["s"], "securityGroupIds": ["g"]}

ENVIRONMENTS: dict[str, tuple[dict[str, Any], str]] = {
    "instance role": ({**EC2, "instanceRole": None}, "Instance role is required."),
    "minvCpus": ({**EC2, "minvCpus": None}, "Resource minvCpus is required."),
    "instance types": ({**EC2, "instanceTypes": None}, "Resource instanceTypes are required."),
    "maxvCpus": ({**EC2, "minvCpus": 8}, "maxvCpus should be greater than or equal to minvCpus."),
    "desiredvCpus": (
        {**EC2, "desiredvCpus": 9}, "desiredvCpus should be between minvCpus and maxvCpus."),
    "tags on Fargate": ({**FARGATE, "tags": {"a": "b"}}, "tags is not applicable for Fargate."),
    "desiredvCpus on Fargate": (
        {**FARGATE, "desiredvCpus": 1}, "desiredvCpus is not applicable for Fargate."),
    "17 subnets on Fargate": (
        {**FARGATE, "subnets": [f"s{number}" for number in range(17)]},
        "Fargate supports a maximum of 16 subnets."),
    "image type": (
        {**EC2, "ec2Configuration": [{"imageType": "ECS_AL1999"}]},
        "Invalid imageType in ComputeResources.ec2Configuration"),
}  # fmt: skip


@pytest.mark.parametrize("rule", ENVIRONMENTS)
def test_create_compute_environment_refuses(world: ApiWorld, rule: str) -> None:
    resources, text = ENVIRONMENTS[rule]
    request = {"computeEnvironmentName": "ce", "type": "MANAGED", "computeResources": resources}
    assert world.refusal("CreateComputeEnvironment", **request) == text
    assert world.ask("DescribeComputeEnvironments")["computeEnvironments"] == []


def test_unmanaged_needs_a_service_role_that_is_not_the_service_linked_one(world: ApiWorld) -> None:
    request = {"computeEnvironmentName": "ce", "type": "UNMANAGED"}
    assert world.refusal("CreateComputeEnvironment", **request) == "ServiceRole is required."
    linked = f"arn:aws:iam::{ACCOUNT}:role/aws-service-role/batch.amazonaws.com/AWSServiceRoleForBatch"
    text = "Service Linked Role cannot be used with UNMANAGED Compute Environment"
    assert world.refusal("CreateComputeEnvironment", **request, serviceRole=linked) == text
    world.ask("CreateComputeEnvironment", **request, serviceRole=ROLE)


def order(*names: str) -> list[dict[str, Any]]:
    return [{"order": place, "computeEnvironment": name} for place, name in enumerate(names, 1)]


def limit_action(**change: Any) -> dict[str, Any]:
    action = {
        "reason": "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY", "state": "RUNNABLE", "maxTimeSeconds": 600,
        "action": "CANCEL",
    }  # fmt: skip
    return {**action, **change}


QUEUES: dict[str, tuple[dict[str, Any], str]] = {
    "name": ({"jobQueueName": "no spaces"}, "Job Queue name should match a valid pattern."),
    "mixed": (
        {"computeEnvironmentOrder": order("ec2", "fargate")},
        "Fargate and EC2 compute environments can not be mixed."),
    "order": (
        {"computeEnvironmentOrder": [*order("ec2"), *order("ec2b")]},
        "Duplicate ComputeEnvironment order values."),
    "unknown environment": (
        {"computeEnvironmentOrder": order("nowhere")},
        "Compute Environments must be created and valid before attaching them to a job queue: nowhere"),
    "no environment": (
        {"computeEnvironmentOrder": []},
        "Job Queue must have between 1 and 3 compute environments, got 0"),
    "duplicate limit actions": (
        {"jobStateTimeLimitActions": [limit_action(), limit_action()]},
        "Duplicate job state limit actions are not allowed."),
    "TERMINATE of containers": (
        {"jobStateTimeLimitActions": [limit_action(action="TERMINATE")]},
        "Invalid job action. Valid job actions: [CANCEL]"),
    "time limit below 600": (
        {"jobStateTimeLimitActions": [limit_action(maxTimeSeconds=599)]},
        "maxTimeSeconds must be between 600 and 86400, got 599"),
    "unknown policy": ({"schedulingPolicyArn": "arn:nowhere"}, "SchedulingPolicy arn:nowhere not found."),
    "quota policy": (
        {"schedulingPolicyArn": f"arn:aws:batch:{REGION}:{ACCOUNT}:scheduling-policy/quota"},
        "Quota Management feature is only supported for SageMaker Training job queues."),
    "type that does not agree": (
        {"jobQueueType": "ECS_FARGATE"},
        "jobQueueType ECS_FARGATE does not match compute environment ec2 of type ECS"),
    "service environment without its type": (
        {"computeEnvironmentOrder": None,
         "serviceEnvironmentOrder": [{"order": 1, "serviceEnvironment": "se"}]},
        "jobQueueType SAGEMAKER_TRAINING and serviceEnvironmentOrder go together, got None"),
    "both orders": (
        {"jobQueueType": "SAGEMAKER_TRAINING",
         "serviceEnvironmentOrder": [{"order": 1, "serviceEnvironment": "se"}]},
        "A job queue cannot have both computeEnvironmentOrder and serviceEnvironmentOrder"),
    "two service environments": (
        {"computeEnvironmentOrder": None, "jobQueueType": "SAGEMAKER_TRAINING",
         "serviceEnvironmentOrder": [{"order": place, "serviceEnvironment": "se"} for place in (1, 2)]},
        "Job Queue must have at most 1 service environment, got 2"),
}  # fmt: skip


@pytest.mark.parametrize("rule", QUEUES)
def test_create_job_queue_refuses(world: ApiWorld, rule: str) -> None:
    for name in ("ec2", "ec2b"):
        world.environment(name)
    world.environment("fargate", "FARGATE")
    world.ask(
        "CreateSchedulingPolicy", name="quota", quotaSharePolicy={"idleResourceAssignmentStrategy": "FIFO"}
    )
    world.ask(
        "CreateServiceEnvironment",
        serviceEnvironmentName="se",
        serviceEnvironmentType="SAGEMAKER_TRAINING",
        capacityLimits=[{"maxCapacity": 1, "capacityUnit": "NUM_INSTANCES"}],
    )
    change, text = QUEUES[rule]
    request = {"jobQueueName": "q", "priority": 1, "computeEnvironmentOrder": order("ec2"), **change}
    assert world.refusal("CreateJobQueue", **request) == text
    assert world.ask("DescribeJobQueues")["jobQueues"] == []


def test_cancel_of_service_jobs_by_time_limit(world: ApiWorld) -> None:
    queue = sagemaker_queue(world)
    text = "Invalid job action. Valid job actions: [TERMINATE]"
    assert world.refusal("UpdateJobQueue", jobQueue=queue, jobStateTimeLimitActions=[limit_action()]) == text
    world.ask("UpdateJobQueue", jobQueue=queue, jobStateTimeLimitActions=[limit_action(action="TERMINATE")])


def test_refusals_seen_in_the_long_shape_carry_the_id_of_the_response(world: ApiWorld) -> None:
    status, headers, body = world.send("SubmitJob", {"jobName": "?", "jobQueue": "q", "jobDefinition": "d"})
    request_id = headers["x-amzn-RequestId"]
    text = (
        f"Error executing request, Exception : Job name should match valid pattern, RequestId: {request_id}"
    )
    assert (status, body.decode()) == (400, f'{{"message": "{text}"}}')


@pytest.mark.parametrize(
    ("operation", "request_body", "text"),
    [
        (
            "SubmitJob",
            {"jobName": "j", "jobQueue": "q", "jobDefinition": "d"},
            "JobQueue q not found.",
        ),
        (
            "SubmitJob",
            {"jobName": "j", "jobQueue": "known", "jobDefinition": "d"},
            "JobDefinition name d does not exist or is not in ACTIVE status",
        ),
        (
            "DeleteComputeEnvironment",
            {"computeEnvironment": "ce"},
            "Cannot delete, found existing JobQueue relationship",
        ),
        ("UpdateJobQueue", {"jobQueue": "nowhere"}, "nowhere does not exist"),
    ],
)
def test_refusals_seen_bare_stay_bare(
    world: ApiWorld, operation: str, request_body: dict[str, Any], text: str
) -> None:
    world.environment()
    world.queue("known", "ce")
    world.ask("UpdateComputeEnvironment", computeEnvironment="ce", state="DISABLED")
    with pytest.raises(Refused) as refused:
        world.ask(operation, **request_body)
    assert refused.value.message == text


def test_limits_of_a_request(world: ApiWorld) -> None:
    world.environment()
    world.queue("q", "ce")
    world.definition("d")
    assert "must not exceed 30720 bytes" in world.refusal(
        "SubmitJob", jobName="j", jobQueue="q", jobDefinition="d", parameters={"x": "y" * 30720}
    )
    assert "must not exceed 24576 bytes" in world.refusal(
        "RegisterJobDefinition", jobDefinitionName="d", type="container", parameters={"x": "y" * 24576}
    )
    text = "Maximum number of jobs supported is 100"
    assert world.refusal("DescribeJobs", jobs=["x"] * 101) == text
    for operation in ("CancelJobs", "TerminateJobs", "TerminateServiceJobs"):
        assert "No more than 50 jobs" in world.refusal(operation, jobs=["x"] * 51, reason="r")
    dependencies = [{"jobId": "x"}] * 21
    assert "at most 20" in world.refusal(
        "SubmitJob", jobName="j", jobQueue="q", jobDefinition="d", dependsOn=dependencies
    )
    for operation in ("CancelJob", "TerminateJob", "TerminateServiceJob"):
        assert "must not exceed 1024" in world.refusal(operation, jobId="x", reason="r" * 1025)


DESCRIPTIONS = {
    "DescribeComputeEnvironments": "computeEnvironments",
    "DescribeJobQueues": "jobQueues",
    "DescribeServiceEnvironments": "serviceEnvironments",
}


@pytest.mark.parametrize("operation", DESCRIPTIONS)
def test_describe_takes_100_names_and_no_page_size_beside_them(world: ApiWorld, operation: str) -> None:
    member_name = DESCRIPTIONS[operation]
    assert world.ask(operation, **{member_name: ["x"] * 100})[member_name] == []
    assert "No more than 100" in world.refusal(operation, **{member_name: ["x"] * 101})
    text = f"{member_name[0].upper()}{member_name[1:]} and MaxResults cannot both be set"
    assert world.refusal(operation, **{member_name: ["x"], "maxResults": 1}) == text
    for size in (0, 101):
        assert "between 1 and 100" in world.refusal(operation, maxResults=size)


def test_describe_job_definitions_by_list_or_by_filter(world: ApiWorld) -> None:
    assert "No more than 100" in world.refusal("DescribeJobDefinitions", jobDefinitions=["x:1"] * 101)
    text = "jobDefinitions cannot be combined with other parameters"
    for other in ({"jobDefinitionName": "x"}, {"status": "ACTIVE"}):
        assert world.refusal("DescribeJobDefinitions", jobDefinitions=["x:1"], **other) == text


def test_names_and_arns_alike(world: ApiWorld) -> None:
    arn = world.environment("ce")
    queue = world.queue("q", "ce")
    definition = world.definition("d")
    for reference in ("ce", arn):
        found = world.ask("DescribeComputeEnvironments", computeEnvironments=[reference])
        assert len(found["computeEnvironments"]) == 1
    for reference in ("q", queue):
        assert len(world.ask("DescribeJobQueues", jobQueues=[reference])["jobQueues"]) == 1
        world.submit(queue=reference)
    unversioned = definition.rpartition(":")[0]
    for reference in ("d", "d:1", definition, unversioned):
        world.submit(definition=reference)
    assert "is not the ARN of" in world.refusal("DescribeJobQueues", jobQueues=[arn])


def test_enumerated_values_in_any_case(world: ApiWorld) -> None:
    resources = {**EC2, "type": "ec2"}
    world.ask(
        "CreateComputeEnvironment", computeEnvironmentName="ce", type="managed", computeResources=resources
    )
    (made,) = world.ask("DescribeComputeEnvironments")["computeEnvironments"]
    assert (made["type"], made["computeResources"]["type"]) == ("MANAGED", "EC2")
    world.ask(
        "RegisterJobDefinition", jobDefinitionName="d", type="Container", containerProperties=container()
    )
    assert world.ask("DescribeJobDefinitions")["jobDefinitions"][0]["type"] == "container"


@pytest.mark.parametrize(
    ("tags", "text"),
    [
        ({f"k{number}": "v" for number in range(51)}, "A resource has at most 50 tags, this would make 51"),
        ({"aws:x": "v"}, "Tag keys cannot start with aws:, got aws:x"),
        ({"AWS:x": "v"}, "Tag keys cannot start with aws:, got AWS:x"),
    ],
)
def test_tags_are_limited_wherever_they_are_given(world: ApiWorld, tags: dict[str, str], text: str) -> None:
    arn = world.environment("ce")
    world.queue("q", "ce")
    world.definition("d")
    assert world.refusal("TagResource", resourceArn=arn, tags=tags) == text
    assert world.refusal("CreateSchedulingPolicy", name="p", tags=tags) == text
    assert (
        world.refusal(
            "CreateJobQueue", jobQueueName="q2", priority=1, computeEnvironmentOrder=order("ce"), tags=tags
        )
        == text
    )
    assert (
        world.refusal(
            "RegisterJobDefinition",
            jobDefinitionName="d",
            type="container",
            tags=tags,
            containerProperties=container(),
        )
        == text
    )
    assert world.refusal("SubmitJob", jobName="j", jobQueue="q", jobDefinition="d", tags=tags) == text


def test_the_model_refuses_types_lengths_and_ranges(world: ApiWorld) -> None:
    def refused(operation: str, request: Any) -> str:
        status, headers, body = world.send(operation, request)
        assert (status, headers["x-amzn-ErrorType"]) == (400, "ClientException")
        return body.decode()

    assert "Missing required parameter in input" in refused("SubmitJob", {"jobName": "j"})
    assert "Invalid type for parameter jobs, value: 'x'" in refused("DescribeJobs", {"jobs": "x"})
    assert "Invalid type for parameter jobs[0], value: None" in refused("DescribeJobs", {"jobs": [None]})
    assert "must be between" in refused("DescribeJobQueues", {"maxResults": 2**31})
    assert "lone surrogate" in refused("DescribeJobs", {"jobs": ["\ud800"]})
    assert "is not JSON" in refused("DescribeJobs", b'{"jobs": [NaN]}')
    assert "is not JSON" in refused("DescribeJobs", b"[" * 100_000)
    assert "must be a JSON object" in refused("DescribeJobs", [1])
    assert "it must be between 1 and 50" in refused(
        "UntagResource", {"resourceArn": "a", "tagKeys": ["k"] * 51}
    )
