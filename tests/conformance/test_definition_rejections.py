"""Job definitions that AWS Batch refuses, in its own words (reference, section 1): one case a rule."""

from typing import Any

import pytest

from tests.api_world import ApiWorld, container

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
    "secret of a reserved name": (
        on_ec2(secrets=[{"name": "AWS_BATCH_JOB_ID", "valueFrom": "v"}], executionRoleArn=ROLE),
        "Environment variable names cannot start with AWS_BATCH, got AWS_BATCH_JOB_ID"),
    "secret of a reserved name in a task": (
        task(member("a", secrets=[{"name": "AWS_BATCH_X", "valueFrom": "v"}]), executionRoleArn=ROLE),
        "Environment variable names cannot start with AWS_BATCH, got AWS_BATCH_X"),
    "secret of a reserved name on nodes": (
        nodes(container=container(
            secrets=[{"name": "AWS_BATCH_X", "valueFrom": "v"}], executionRoleArn=ROLE)),
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
        "stopTimeout of container a must be at least 2 and on Fargate at most 120 seconds, got 1"),
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
