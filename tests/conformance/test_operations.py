"""All 48 operations of AWS Batch answer, and every answer has the shape that AWS's own model gives it."""

from typing import Any

import pytest

from batch_engine.core.api.control_plane import OPERATIONS
from tests.api_world import MODEL, ApiWorld, container, mismatches, sagemaker_queue

SHARE = {
    "capacityLimits": [{"maxCapacity": 4, "capacityUnit": "ml.m5.large"}],
    "resourceSharingConfiguration": {"strategy": "LEND_AND_BORROW"},
    "preemptionConfiguration": {"inSharePreemption": "ENABLED"},
}
LIMIT = [{"maxCapacity": 4, "capacityUnit": "NUM_INSTANCES"}]
NEVER_ANSWERED = {"SubmitServiceJob", "DescribeServiceJob", "TerminateServiceJob", "UpdateServiceJob"}


@pytest.fixture
def world() -> ApiWorld:
    return ApiWorld()


def test_every_operation_of_the_model_is_there() -> None:
    assert set(OPERATIONS) == set(MODEL.operation_names)
    assert len(OPERATIONS) == 48


def test_every_answer_has_the_shape_of_the_model(world: ApiWorld) -> None:
    """``ask`` flags members that the model does not know, that are missing, or of another type."""
    answered: set[str] = set()

    def ask(operation: str, /, **request: Any) -> dict[str, Any]:
        answered.add(operation)
        return world.ask(operation, **request)

    answered |= {"CreateComputeEnvironment", "CreateJobQueue", "RegisterJobDefinition", "SubmitJob"}
    answered |= {"CreateServiceEnvironment"}
    _walk_jobs(world, ask)
    _walk_policies_and_resources(ask)
    _walk_service_jobs(world, ask)
    assert set(MODEL.operation_names) - answered == NEVER_ANSWERED


def _walk_jobs(world: ApiWorld, ask: Any) -> None:
    environment = world.environment("ce", max_vcpus=2)
    queue = world.queue("q", "ce")
    world.definition("d", tags={"a": "b"}, containerProperties=container("2"))
    first, second, third = (world.submit(name) for name in "abc")
    world.finished(exit_code=1, count=1)
    world.started()
    assert len(ask("DescribeJobs", jobs=[first, second, third, "unknown"])["jobs"]) == 3
    for status in ("FAILED", "RUNNING", "RUNNABLE"):
        assert len(ask("ListJobs", jobQueue=queue, jobStatus=status)["jobSummaryList"]) == 1
    ask("GetJobQueueSnapshot", jobQueue=queue)
    ask("CancelJob", jobId=third, reason="r")
    ask("TerminateJob", jobId=second, reason="r")
    ask("CancelJobs", jobs=[first], reason="r")
    ask("TerminateJobs", jobs=[first], reason="r")
    ask("DescribeComputeEnvironments")
    ask("DescribeJobQueues")
    ask("DescribeJobDefinitions")
    ask("UpdateJobQueue", jobQueue="q", state="DISABLED")
    ask("UpdateComputeEnvironment", computeEnvironment="ce", state="DISABLED")
    ask("TagResource", resourceArn=environment, tags={"a": "b"})
    assert ask("ListTagsForResource", resourceArn=environment)["tags"] == {"a": "b"}
    ask("UntagResource", resourceArn=environment, tagKeys=["a"])
    ask("DeregisterJobDefinition", jobDefinition="d:1")
    ask("DeleteJobQueue", jobQueue="q")
    ask("DeleteComputeEnvironment", computeEnvironment="ce")


def _walk_policies_and_resources(ask: Any) -> None:
    fair = {"shareDecaySeconds": 60, "shareDistribution": [{"shareIdentifier": "a*", "weightFactor": 0.5}]}
    policy = ask("CreateSchedulingPolicy", name="p", fairsharePolicy=fair)["arn"]
    ask("UpdateSchedulingPolicy", arn=policy, fairsharePolicy=fair)
    ask("DescribeSchedulingPolicies", arns=[policy])
    ask("ListSchedulingPolicies")
    ask("DeleteSchedulingPolicy", arn=policy)
    ask("CreateConsumableResource", consumableResourceName="licence", totalQuantity=3)
    ask("UpdateConsumableResource", consumableResource="licence", operation="ADD", quantity=1)
    ask("DescribeConsumableResource", consumableResource="licence")
    ask("ListConsumableResources")
    ask("ListJobsByConsumableResource", consumableResource="licence")
    ask("DeleteConsumableResource", consumableResource="licence")


def _walk_service_jobs(world: ApiWorld, ask: Any) -> None:
    training = sagemaker_queue(world)
    ask("UpdateServiceEnvironment", serviceEnvironment="training-env", state="DISABLED")
    ask("DescribeServiceEnvironments")
    share = ask("CreateQuotaShare", quotaShareName="s", jobQueue=training, **SHARE)["quotaShareArn"]
    ask("UpdateQuotaShare", quotaShareArn=share, state="DISABLED")
    ask("DescribeQuotaShare", quotaShareArn=share)
    ask("ListQuotaShares", jobQueue=training)
    ask("DeleteQuotaShare", quotaShareArn=share)
    ask("ListServiceJobs", jobQueue=training)
    ask("TerminateServiceJobs", jobs=["x"], reason="r")
    world.ask("UpdateJobQueue", jobQueue=training, state="DISABLED")
    world.ask("DeleteJobQueue", jobQueue=training)
    ask("DeleteServiceEnvironment", serviceEnvironment="training-env")


def test_the_check_of_shapes_finds_what_is_wrong() -> None:
    shape = MODEL.operation_model("ListJobs").output_shape
    job = {"jobId": "x", "jobName": "y"}
    assert mismatches({"jobSummaryList": [job]}, shape) == []
    for wrong in (
        {},
        {"jobSummaryList": [job], "surprise": 1},
        {"jobSummaryList": [{"jobId": "x"}]},
        {"jobSummaryList": [{**job, "createdAt": "soon"}]},
        {"jobSummaryList": [{**job, "isCancelled": 1}]},
        {"jobSummaryList": [{**job, "status": "ASLEEP"}]},
        {"jobSummaryList": {}},
    ):
        assert len(mismatches(wrong, shape)) == 1, wrong


def test_bulk_cancel_tells_what_failed_beside_what_succeeded(world: ApiWorld) -> None:
    world.environment("ce", max_vcpus=2)
    world.queue("q", "ce")
    world.definition("d", containerProperties=container("2"))
    placed, waiting = world.submit(), world.submit()
    wrong = "arn:aws:batch:us-east-1:999999999999:job/x"
    answer = world.ask("CancelJobs", jobs=[placed, waiting, "unknown", wrong, waiting], reason="enough")
    assert answer["successful"] == [placed, waiting, "unknown"], "unknown ids count as successful"
    ((job, code, message),) = [tuple(error.values()) for error in answer["errors"]]
    assert (job, code) == (wrong, "ClientException")
    assert "is not the ARN of a job" in message
    statuses = {job["jobId"]: job for job in world.ask("DescribeJobs", jobs=[placed, waiting])["jobs"]}
    assert statuses[waiting]["statusReason"] == "enough"
    assert statuses[placed]["status"] == "STARTING", "a job that is placed is left alone"


def test_bulk_terminate_stops_what_runs(world: ApiWorld) -> None:
    world.environment("ce", max_vcpus=2)
    world.queue("q", "ce")
    world.definition("d", containerProperties=container("2"))
    running, waiting = world.submit(), world.submit()
    world.started()
    answer = world.ask("TerminateJobs", jobs=[running, waiting], reason="enough")
    assert answer == {"successful": [running, waiting], "errors": []}
    jobs = world.ask("DescribeJobs", jobs=[running, waiting])["jobs"]
    assert {(job["status"], job["statusReason"]) for job in jobs} == {("FAILED", "enough")}


def service_environment(world: ApiWorld, name: str = "se", **change: Any) -> str:
    request = {"serviceEnvironmentType": "SAGEMAKER_TRAINING", "capacityLimits": LIMIT, **change}
    created = world.ask("CreateServiceEnvironment", serviceEnvironmentName=name, **request)
    return str(created["serviceEnvironmentArn"])


def test_service_environment_life(world: ApiWorld) -> None:
    arn = service_environment(world, tags={"a": "b"})
    assert arn.endswith(":service-environment/se")
    assert "already exists" in world.refusal(
        "CreateServiceEnvironment",
        serviceEnvironmentName="se",
        serviceEnvironmentType="SAGEMAKER_TRAINING",
        capacityLimits=LIMIT,
    )
    for reference in ("se", arn):
        found = world.ask("DescribeServiceEnvironments", serviceEnvironments=[reference])
        (described,) = found["serviceEnvironments"]
        assert (described["state"], described["status"], described["tags"]) == (
            "ENABLED",
            "VALID",
            {"a": "b"},
        )
    more = [{"maxCapacity": 9, "capacityUnit": "NUM_INSTANCES"}]
    world.ask("UpdateServiceEnvironment", serviceEnvironment=arn, capacityLimits=more)
    assert world.ask("DescribeServiceEnvironments")["serviceEnvironments"][0]["capacityLimits"] == more
    world.ask("TagResource", resourceArn=arn, tags={"c": "d"})
    assert world.ask("ListTagsForResource", resourceArn=arn)["tags"] == {"a": "b", "c": "d"}
    assert "must be DISABLED" in world.refusal("DeleteServiceEnvironment", serviceEnvironment="se")
    world.ask("UpdateServiceEnvironment", serviceEnvironment="se", state="DISABLED")
    world.ask("DeleteServiceEnvironment", serviceEnvironment="se")
    assert world.ask("DescribeServiceEnvironments")["serviceEnvironments"] == []
    assert "does not exist" in world.refusal("UpdateServiceEnvironment", serviceEnvironment="se")


def test_service_environment_of_a_queue_cannot_go(world: ApiWorld) -> None:
    sagemaker_queue(world)
    world.ask("UpdateServiceEnvironment", serviceEnvironment="training-env", state="DISABLED")
    text = world.refusal("DeleteServiceEnvironment", serviceEnvironment="training-env")
    assert text == "Cannot delete, found existing JobQueue relationship"


@pytest.mark.parametrize(
    ("limits", "text"),
    [
        ([], "must have 1 to 5 entries, got 0"),
        ([{"maxCapacity": 1, "capacityUnit": f"ml.m{place}.large"} for place in range(6)], "got 6"),
        ([{"maxCapacity": 0, "capacityUnit": "NUM_INSTANCES"}], "maxCapacity must be at least 1, got 0"),
        ([{"capacityUnit": "NUM_INSTANCES"}], "maxCapacity must be at least 1, got None"),
        ([{"maxCapacity": 1, "capacityUnit": "m5.large"}], "capacityUnit must be NUM_INSTANCES or"),
        ([*LIMIT, {"maxCapacity": 1, "capacityUnit": "ml.m5.large"}], "cannot be mixed"),
        ([{"maxCapacity": 1, "capacityUnit": "ml.m5.large"}] * 2, "Duplicate capacityUnit"),
    ],
)
def test_capacity_limits_of_a_service_environment(world: ApiWorld, limits: Any, text: str) -> None:
    assert text in world.refusal(
        "CreateServiceEnvironment",
        serviceEnvironmentName="se",
        serviceEnvironmentType="SAGEMAKER_TRAINING",
        capacityLimits=limits,
    )


def test_quotas_of_a_region(world: ApiWorld) -> None:
    for number in range(50):
        service_environment(world, f"se{number}")
        world.environment(f"ce{number}")
        world.queue(f"q{number}", "ce0")
    request = {"serviceEnvironmentType": "SAGEMAKER_TRAINING", "capacityLimits": LIMIT}
    text = world.refusal("CreateServiceEnvironment", serviceEnvironmentName="more", **request)
    assert text == "No more than 50 service environments are allowed"
    order = [{"order": 1, "computeEnvironment": "ce0"}]
    text = world.refusal("CreateJobQueue", jobQueueName="more", priority=1, computeEnvironmentOrder=order)
    assert text == "No more than 50 job queues are allowed"
    resources = {"type": "FARGATE", "maxvCpus": 1, "subnets": ["s"], "securityGroupIds": ["g"]}
    text = world.refusal(
        "CreateComputeEnvironment", computeEnvironmentName="more", type="MANAGED", computeResources=resources
    )
    assert text == "No more than 50 compute environments are allowed"


def test_service_jobs_are_refused_and_none_is_known(world: ApiWorld) -> None:
    queue = sagemaker_queue(world)
    request = {"jobName": "train", "serviceRequestPayload": "{}", "serviceJobType": "SAGEMAKER_TRAINING"}
    text = world.refusal("SubmitServiceJob", jobQueue=queue, **request)
    assert text == "SubmitServiceJob is not supported by this engine: service jobs need SageMaker"
    world.environment()
    world.queue("q", "ce")
    assert "is not of type SAGEMAKER_TRAINING" in world.refusal("SubmitServiceJob", jobQueue="q", **request)
    large = {**request, "serviceRequestPayload": "x" * 10_241}
    assert "must not exceed 10240 bytes" in world.refusal("SubmitServiceJob", jobQueue=queue, **large)
    assert world.ask("ListServiceJobs", jobQueue=queue)["jobSummaryList"] == []
    filters = [{"name": "QUOTA_SHARE_NAME", "values": ["a"]}]
    assert world.ask("ListServiceJobs", filters=filters)["jobSummaryList"] == []
    for operation, extra in (
        ("DescribeServiceJob", {}),
        ("TerminateServiceJob", {"reason": "r"}),
        ("UpdateServiceJob", {"schedulingPriority": 1}),
    ):
        assert world.refusal(operation, jobId="x", **extra) == "Service job x not found."
    answer = world.ask("TerminateServiceJobs", jobs=["x", "y"], reason="r")
    assert answer == {"successful": ["x", "y"], "errors": []}


def test_container_jobs_do_not_fit_a_queue_of_service_jobs(world: ApiWorld) -> None:
    queue = sagemaker_queue(world)
    world.definition("d")
    world.refusal("SubmitJob", jobName="j", jobQueue=queue, jobDefinition="d")


def test_quota_share_life(world: ApiWorld) -> None:
    queue = sagemaker_queue(world)
    arn = world.ask("CreateQuotaShare", quotaShareName="s", jobQueue="training", **SHARE)["quotaShareArn"]
    assert arn == f"{queue}/quota-share/s"
    described = world.ask("DescribeQuotaShare", quotaShareArn=arn)
    assert (described["jobQueueArn"], described["state"], described["status"]) == (queue, "ENABLED", "VALID")
    assert described["resourceSharingConfiguration"]["borrowLimit"] == -1, "no limit is the default"
    assert "already exists" in world.refusal("CreateQuotaShare", quotaShareName="s", jobQueue=queue, **SHARE)
    assert "must be DISABLED" in world.refusal("DeleteQuotaShare", quotaShareArn=arn)
    world.ask(
        "UpdateQuotaShare",
        quotaShareArn=arn,
        state="DISABLED",
        resourceSharingConfiguration={"strategy": "RESERVE"},
    )
    (listed,) = world.ask("ListQuotaShares", jobQueue=queue)["quotaShares"]
    assert (listed["state"], listed["resourceSharingConfiguration"]) == ("DISABLED", {"strategy": "RESERVE"})
    world.ask("TagResource", resourceArn=arn, tags={"a": "b"})
    assert world.ask("DescribeQuotaShare", quotaShareArn=arn)["tags"] == {"a": "b"}
    world.ask("DeleteQuotaShare", quotaShareArn=arn)
    assert "not found" in world.refusal("DescribeQuotaShare", quotaShareArn=arn)


def test_quota_shares_go_with_their_queue(world: ApiWorld) -> None:
    queue = sagemaker_queue(world)
    arn = world.ask("CreateQuotaShare", quotaShareName="s", jobQueue=queue, **SHARE)["quotaShareArn"]
    world.ask("UpdateJobQueue", jobQueue=queue, state="DISABLED")
    world.ask("DeleteJobQueue", jobQueue=queue)
    assert "not found" in world.refusal("DescribeQuotaShare", quotaShareArn=arn)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"capacityLimits": LIMIT}, "capacityUnit must be an instance type such as ml.m5.large"),
        (
            {"resourceSharingConfiguration": {"strategy": "LEND", "borrowLimit": 10}},
            "borrowLimit can only be applied to LEND_AND_BORROW, got LEND",
        ),
        (
            {"resourceSharingConfiguration": {"strategy": "LEND_AND_BORROW", "borrowLimit": -2}},
            "borrowLimit must be a percentage, or -1 for no limit, got -2",
        ),
    ],
)
def test_quota_share_rejections(world: ApiWorld, change: dict[str, Any], text: str) -> None:
    queue = sagemaker_queue(world)
    request = {"quotaShareName": "s", "jobQueue": queue, **SHARE, **change}
    assert text in world.refusal("CreateQuotaShare", **request)


def test_quota_shares_need_a_queue_with_a_quota_share_policy(world: ApiWorld) -> None:
    world.environment()
    world.queue("q", "ce")
    text = "Quota Management feature is only supported for SageMaker Training job queues."
    assert world.refusal("CreateQuotaShare", quotaShareName="s", jobQueue="q", **SHARE) == text
    plain = sagemaker_queue(world, "plain", quota=False)
    assert "no scheduling policy" in world.refusal(
        "CreateQuotaShare", quotaShareName="s", jobQueue=plain, **SHARE
    )


def test_at_most_20_quota_shares_in_a_queue(world: ApiWorld) -> None:
    queue = sagemaker_queue(world)
    for number in range(20):
        world.ask("CreateQuotaShare", quotaShareName=f"s{number}", jobQueue=queue, **SHARE)
    text = world.refusal("CreateQuotaShare", quotaShareName="more", jobQueue=queue, **SHARE)
    assert text == "No more than 20 quota shares are allowed in a job queue"


@pytest.mark.parametrize("said", [None, "EC2", "MANAGED_INSTANCES"])
def test_a_job_has_the_platform_capabilities_of_its_definition(world: ApiWorld, said: str | None) -> None:
    given = {"platformCapabilities": [said]} if said else {}
    task = {"taskProperties": [{"containers": [container(name="a")]}]}
    world.queue("q", world.environment())
    world.ask("RegisterJobDefinition", jobDefinitionName="d", type="container", ecsProperties=task, **given)
    job_id = world.submit()
    (job,) = world.ask("DescribeJobs", jobs=[job_id])["jobs"]
    assert job["platformCapabilities"] == [said or "EC2"]
    world.ask("DeregisterJobDefinition", jobDefinition="d:1")
    (job,) = world.ask("DescribeJobs", jobs=[job_id])["jobs"]
    assert job["platformCapabilities"] == [said or "EC2"]
