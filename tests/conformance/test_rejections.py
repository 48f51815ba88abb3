"""What AWS Batch refuses, in its own words (reference, section 1): one case a rule, named after it."""

from typing import Any

import pytest

from tests.api_world import ACCOUNT, REGION, ApiWorld, Refused, container, sagemaker_queue

ROLE = "arn:aws:iam::123456789012:role/r"
FARGATE_SIZE = {
    "resourceRequirements": [{"type": "VCPU", "value": "0.25"}, {"type": "MEMORY", "value": "512"}]
}


@pytest.fixture
def world() -> ApiWorld:
    return ApiWorld()


def on_ec2(**properties: Any) -> dict[str, Any]:
    return {"containerProperties": container(**properties)}


def on_fargate(**properties: Any) -> dict[str, Any]:
    wanted = {"image": "busybox", "executionRoleArn": ROLE, **FARGATE_SIZE, **properties}
    return {"platformCapabilities": ["FARGATE"], "containerProperties": wanted}


def retry(**strategy: Any) -> dict[str, Any]:
    return {**on_ec2(), "retryStrategy": strategy}


def task(*containers: dict[str, Any], **properties: Any) -> dict[str, Any]:
    return {"ecsProperties": {"taskProperties": [{"containers": list(containers), **properties}]}}


def member(name: str, **properties: Any) -> dict[str, Any]:
    return container(name=name, **properties)


def nodes(count: int = 2, main: int = 0, *targets: str, **entry: Any) -> dict[str, Any]:
    ranges = [
        {"targetNodes": target, **(entry or {"container": container()})} for target in targets or ("0:",)
    ]
    return {
        "type": "multinode",
        "nodeProperties": {"numNodes": count, "mainNode": main, "nodeRangeProperties": ranges},
    }


def pod(*containers: dict[str, Any], **properties: Any) -> dict[str, Any]:
    return {"eksProperties": {"podProperties": {"containers": list(containers), **properties}}}


def of_resources(**resources: Any) -> dict[str, Any]:
    return {"image": "i", "resources": resources}


WITH_GPU = [*FARGATE_SIZE["resourceRequirements"], {"type": "GPU", "value": "1"}]
ENTRY = {"onExitCode": "1", "action": "RETRY"}
LOGS = {"logDriver": "awslogs", "secretOptions": [{"name": "n", "valueFrom": "v"}]}
EFS = [{"name": "v", "efsVolumeConfiguration": {"fileSystemId": "fs-1"}}]
CONSUMABLE = {"consumableResource": "licence", "quantity": 1}

DEFINITIONS: dict[str, tuple[dict[str, Any], str]] = {
    "retry without attempts": (
        retry(evaluateOnExit=[ENTRY]), "RetryAttempts must be provided with retry strategy"),
    "empty retry strategy": (retry(), "RetryAttempts must be provided with retry strategy"),
    "more than 5 evaluateOnExit": (
        retry(attempts=2, evaluateOnExit=[ENTRY] * 6), "Up to 5 evaluateOnExit condition can be specified."),
    "entry with no condition": (
        retry(attempts=2, evaluateOnExit=[{"action": "EXIT"}]),
        "EvaluateOnExit should contain at least one of onExitCode, onReason or onStatusReason"),
    "leading star": (
        retry(attempts=2, evaluateOnExit=[{"onReason": "*x", "action": "EXIT"}]),
        "Evaluate on exit condition contains restricted characters."),
    "inner star": (
        retry(attempts=2, evaluateOnExit=[{"onReason": "a*b", "action": "EXIT"}]),
        "Evaluate on exit condition contains restricted characters."),
    "non-digit in onExitCode": (
        retry(attempts=2, evaluateOnExit=[{"onExitCode": "1x", "action": "EXIT"}]),
        "Evaluate on exit condition contains restricted characters."),
    "pattern of 513 characters": (
        retry(attempts=2, evaluateOnExit=[{"onReason": "x" * 513, "action": "EXIT"}]),
        "Evaluate on exit condition cannot exceed 512 characters."),
    "vCPU missing": (
        on_ec2(resourceRequirements=[{"type": "MEMORY", "value": "128"}]), "vCPU is required."),
    "vCPU below 1 on EC2": (on_ec2(vcpus="0.5"), "vCPU must be at least 1, got 0.5."),
    "repeated requirement": (
        on_ec2(resourceRequirements=[{"type": "VCPU", "value": "1"}] * 2),
        "Cannot provide duplicates in resourceRequirements."),
    "GPU on Fargate": (on_fargate(resourceRequirements=WITH_GPU), "GPU is not applicable for Fargate."),
    "ulimits on Fargate": (
        on_fargate(ulimits=[{"name": "nofile", "hardLimit": 1, "softLimit": 1}]),
        "ulimits is not applicable for Fargate."),
    "network configuration on EC2": (
        on_ec2(networkConfiguration={"assignPublicIp": "ENABLED"}),
        "networkConfiguration not applicable for EC2."),
    "Fargate platform on EC2": (
        on_ec2(fargatePlatformConfiguration={"platformVersion": "LATEST"}),
        "fargatePlatformConfiguration not applicable for EC2."),
    "runtime platform on EC2": (
        on_ec2(runtimePlatform={"cpuArchitecture": "ARM64"}), "runtimePlatform is not applicable for EC2."),
    "devices on Fargate": (
        on_fargate(linuxParameters={"devices": []}), "linuxParameter.devices is not allowed for Fargate."),
    "tmpfs on Fargate": (
        on_fargate(linuxParameters={"tmpfs": []}), "linuxParameter.tmpfs is not allowed for Fargate."),
    "shared memory on Fargate": (
        on_fargate(linuxParameters={"sharedMemorySize": 64}),
        "linuxParameter.sharedMemorySize is not allowed for Fargate."),
    "swappiness on Fargate": (
        on_fargate(linuxParameters={"swappiness": 60}),
        "linuxParameter.swappiness is not allowed for Fargate."),
    "maxSwap on Fargate": (
        on_fargate(linuxParameters={"maxSwap": 1, "swappiness": 1}),
        "linuxParameter.swappiness is not allowed for Fargate."),
    "privileged on Fargate": (on_fargate(privileged=True), "privileged is not applicable for Fargate."),
    "host volume on Fargate": (
        on_fargate(volumes=[{"name": "v", "host": {"sourcePath": "/x"}}]),
        "host.sourcePath should not be set for volumes in Fargate."),
    "ephemeral storage on Fargate": (
        on_fargate(ephemeralStorage={"sizeInGiB": 20}),
        "Ephemeral storage for Fargate tasks can be only between range 21 GiB to 200 GiB"),
    "log driver on Fargate": (
        on_fargate(logConfiguration={"logDriver": "syslog"}), "Log driver for Fargate is not valid: syslog"),
    "EFS on an old platform": (
        on_fargate(volumes=EFS, fargatePlatformConfiguration={"platformVersion": "1.3.0"}),
        "EFS is supported for Fargate platform versions 1.4.0 or later."),
    "user": (on_ec2(user="$(id -u)"), "User '$(id -u)' does not match regex"),
    "maxSwap without swappiness": (
        on_ec2(linuxParameters={"maxSwap": 1}), "swappiness is required when maxSwap is given."),
    "Windows on ARM": (
        on_fargate(runtimePlatform={
            "operatingSystemFamily": "WINDOWS_SERVER_2022_CORE", "cpuArchitecture": "ARM64"}),
        "Windows containers need cpuArchitecture X86_64."),
    "Windows on a quarter vCPU": (
        on_fargate(runtimePlatform={"operatingSystemFamily": "WINDOWS_SERVER_2022_CORE"}),
        "Windows containers need at least 1 vCPU, got 0.25."),
    "legacy and new requirements": (
        on_ec2() | {"containerProperties": container() | {"vcpus": 1}},
        "vcpus and memory cannot be combined with resourceRequirements."),
    "secrets without an execution role": (
        on_ec2(secrets=[{"name": "n", "valueFrom": "v"}]),
        "executionRoleArn is required when secrets are given."),
    "secretOptions without an execution role": (
        on_ec2(logConfiguration=LOGS), "executionRoleArn is required when secretOptions are given."),
    "Fargate without an execution role": (
        {"platformCapabilities": ["FARGATE"], "containerProperties": {"image": "i", **FARGATE_SIZE}},
        "executionRoleArn is required for Fargate."),
    "reserved variable": (
        on_ec2(environment=[{"name": "AWS_BATCH_X", "value": "1"}]),
        "Environment variable names cannot start with AWS_BATCH, got AWS_BATCH_X"),
    "two platform capabilities": (
        {**on_ec2(), "platformCapabilities": ["EC2", "FARGATE"]},
        "platformCapabilities must be one of EC2, FARGATE, MANAGED_INSTANCES, got ['EC2', 'FARGATE']"),
    "managed instances without ecsProperties": (
        {**on_ec2(), "platformCapabilities": ["MANAGED_INSTANCES"]},
        "MANAGED_INSTANCES requires ecsProperties, got containerProperties"),
    "six consumable resources": (
        {**on_ec2(), "consumableResourceProperties": {"consumableResourceList": [CONSUMABLE] * 6}},
        "A job can name at most 5 consumable resources, got 6"),
    "a consumable resource twice": (
        {**on_ec2(), "consumableResourceProperties": {"consumableResourceList": [CONSUMABLE] * 2}},
        "Duplicate consumable resources are not allowed."),
    "timeout below a minute": (
        {**on_ec2(), "timeout": {"attemptDurationSeconds": 59}},
        "attemptDurationSeconds must be at least 60, got 59"),
    "priority above 9999": (
        {**on_ec2(), "schedulingPriority": 10_000},
        "schedulingPriority must be between 0 and 9999, got 10000"),
    "two bodies": (
        {**on_ec2(), **task(member("a"))},
        "Exactly one of containerProperties, ecsProperties, eksProperties, nodeProperties must be given, "
        "got containerProperties, ecsProperties"),
    "number of nodes": (nodes(1001), "Number of nodes must be between 1 and 1000."),
    "six node ranges": (
        nodes(6, 0, *"012345"), "Maximum allowed size of node range properties is 5"),
    "main node out of range": (
        nodes(2, 2), "Main node index is out of range, must be less than numNodes."),
    "target nodes": (nodes(2, 0, "0:x"), "targetNodes should contain only digits."),
    "range without a container": (
        nodes(2, 0, "0:", instanceTypes=["m6i.large"]), "Must specify container for node range 0:"),
    "node in no range": (nodes(3, 0, "0:1"), "Node ranges must cover every node, node 2 is in none"),
    "instance type of a range with a container": (
        nodes(2, 0, "0:", container=container(), instanceTypes=["m6i.large"]),
        "instanceTypes of node range 0: can be given only with ecsProperties"),
    "node groups on Fargate": (
        {**nodes(), "platformCapabilities": ["FARGATE"]},
        "Multi-node parallel jobs are not applicable for Fargate."),
    "two tasks": (
        {"ecsProperties": {"taskProperties": [{"containers": [container()]}] * 2}},
        "ecsProperties must have exactly one element in taskProperties, got 2"),
    "eleven containers": (
        task(*(member(f"c{number}") for number in range(11))),
        "A task must have between 1 and 10 containers, got 11"),
    "container names of a task": (
        task(member("a"), member("a")), "Container names of a task must be unique, got a, a"),
    "no essential container": (
        task(member("a", essential=False)), "A task must have at least one essential container."),
    "COMPLETE on an essential container": (
        task(member("a"), member("b", dependsOn=[{"containerName": "a", "condition": "COMPLETE"}])),
        "Condition COMPLETE cannot be set on the essential container a"),
    "SUCCESS on an essential container": (
        task(member("a"), member("b", dependsOn=[{"containerName": "a", "condition": "SUCCESS"}])),
        "Condition SUCCESS cannot be set on the essential container a"),
    "dependency on nobody": (
        task(member("a", dependsOn=[{"containerName": "x", "condition": "START"}])),
        "dependsOn must name another container of the task, got x"),
    "circular dependency": (
        task(member("a", dependsOn=[{"containerName": "b", "condition": "START"}]),
             member("b", dependsOn=[{"containerName": "a", "condition": "START"}])),
        "dependsOn is circular among a, b"),
    "stop timeout": (
        task(member("a", stopTimeout=1)),
        "stopTimeout must be at least 2 and on Fargate at most 120 seconds, got 1"),
    "pod without a container": (pod(), "A pod must have between 1 and 10 containers, got 0"),
    "pod memory": (
        pod(of_resources(limits={"memory": "1Gi"})), "memory must be whole MiB of at least 4Mi, got 1Gi"),
    "pod cpu": (
        pod(of_resources(requests={"cpu": "0.3"})), "cpu must be a multiple of 0.25, got 0.3"),
    "pod memory limit is its request": (
        pod(of_resources(limits={"memory": "8Mi"}, requests={"memory": "4Mi"})),
        "limits and requests of memory must be equal, got 8Mi and 4Mi"),
    "pod cpu limit": (
        pod(of_resources(limits={"cpu": "1"}, requests={"cpu": "2"})),
        "limits of cpu must be at least its requests, got 1 and 2"),
    "pod DNS policy": (
        pod({"image": "i"}, dnsPolicy="None"),
        "dnsPolicy must be one of Default, ClusterFirst, ClusterFirstWithHostNet, got None"),
    "propagated tags on EKS": (
        {**pod({"image": "i"}), "propagateTags": True}, "propagateTags is not applicable for EKS."),
    "capabilities on EKS": (
        {**pod({"image": "i"}), "platformCapabilities": ["EC2"]},
        "platformCapabilities is not applicable for EKS."),
}  # fmt: skip


@pytest.mark.parametrize("rule", DEFINITIONS)
def test_register_job_definition_refuses(world: ApiWorld, rule: str) -> None:
    change, text = DEFINITIONS[rule]
    request = {"jobDefinitionName": "d", "type": "container", **change}
    assert world.refusal("RegisterJobDefinition", **request) == text
    assert world.ask("DescribeJobDefinitions")["jobDefinitions"] == []


@pytest.mark.parametrize(
    "body",
    [
        on_ec2(user="1000:1000", linuxParameters={"maxSwap": 0, "swappiness": 0}),
        on_fargate(
            logConfiguration={"logDriver": "awsfirelens"},
            volumes=EFS,
            fargatePlatformConfiguration={"platformVersion": "1.4.0"},
        ),
        task(
            member("a"),
            member("b", essential=False),
            member("c", dependsOn=[{"containerName": "b", "condition": "SUCCESS"}]),
        ),
        {**task(member("a")), "platformCapabilities": ["MANAGED_INSTANCES"]},
        nodes(6, 0, "0:2", "3:", "4"),
        pod(of_resources(limits={"cpu": "0.25", "memory": "4Mi"})),
    ],
)
def test_register_job_definition_takes(world: ApiWorld, body: dict[str, Any]) -> None:
    world.definition("d", **{"containerProperties": None, **body})
    assert len(world.ask("DescribeJobDefinitions")["jobDefinitions"]) == 1


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
    world.ask("RegisterJobDefinition", jobDefinitionName="d", type="Container", **on_ec2())
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
        world.refusal("RegisterJobDefinition", jobDefinitionName="d", type="container", tags=tags, **on_ec2())
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
