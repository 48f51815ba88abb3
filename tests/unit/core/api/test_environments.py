"""What a compute environment may be, and what an update may change, one test a rule."""

import pytest

from batch_engine.core.api import consumable_resources
from batch_engine.core.model.errors import ClientError
from batch_engine.core.model.events import Woken

EC2 = {
    "type": "EC2",
    "minvCpus": 0,
    "maxvCpus": 16,
    "instanceTypes": ["m6g"],
    "instanceRole": "r",
    "allocationStrategy": "BEST_FIT_PROGRESSIVE",
}
SPOT = EC2 | {"type": "SPOT", "allocationStrategy": "SPOT_PRICE_CAPACITY_OPTIMIZED"}
FARGATE = {"type": "FARGATE", "maxvCpus": 4, "subnets": ["s"], "securityGroupIds": ["g"]}
EKS = {"eksClusterArn": "arn:aws:eks:eu-central-1:123456789012:cluster/c", "kubernetesNamespace": "batch"}
OWN_ROLE = "arn:aws:iam::123456789012:role/own"


def create(world, resources, name="ce", **request):
    given = {"computeEnvironmentName": name, "type": "MANAGED", "computeResources": resources, **request}
    return world.call("CreateComputeEnvironment", **given)["computeEnvironmentArn"]


def without(resources, *members):
    return {member: value for member, value in resources.items() if member not in members}


def update(world, **request):
    world.call("UpdateComputeEnvironment", computeEnvironment="ce", **request)


def shown(world, name="ce"):
    (found,) = world.call("DescribeComputeEnvironments", computeEnvironments=[name])["computeEnvironments"]
    return found


def test_a_name_is_used_once(world):
    create(world, EC2)
    with pytest.raises(ClientError, match="already exists"):
        create(world, EC2)


@pytest.mark.parametrize(
    ("resources", "message"),
    [
        (EC2 | {"allocationStrategy": "SPOT_CAPACITY_OPTIMIZED"}, "is only for SPOT, got type EC2"),
        (EC2 | {"allocationStrategy": "SPOT_PRICE_CAPACITY_OPTIMIZED"}, "is only for SPOT, got type EC2"),
        (
            EC2 | {"allocationStrategy": "SPOT_CAPACITY_OPTIMIZED_PRIORITIZED"},
            "is only for SPOT, got type EC2",
        ),
        (SPOT | {"allocationStrategy": "BEST_FIT_PROGRESSIVE_ORDERED"}, "is only for EC2, got type SPOT"),
        (SPOT | {"allocationStrategy": "BEST_FIT"}, "spotIamFleetRole is required"),
        (without(SPOT, "allocationStrategy"), "spotIamFleetRole is required"),
        (EC2 | {"allocationStrategy": "CHEAPEST"}, "allocationStrategy must be one of BEST_FIT,"),
        (FARGATE | {"allocationStrategy": "BEST_FIT"}, "allocationStrategy is not applicable for Fargate."),
    ],
)
def test_strategies_that_are_refused(world, resources, message):
    with pytest.raises(ClientError) as caught:
        create(world, resources)
    assert message in caught.value.message


def test_best_fit_is_the_default(world):
    create(world, without(EC2, "allocationStrategy"))
    assert shown(world)["computeResources"]["allocationStrategy"] == "BEST_FIT"
    create(world, without(SPOT, "allocationStrategy") | {"spotIamFleetRole": "r"}, "spot")
    assert shown(world, "spot")["computeResources"]["allocationStrategy"] == "BEST_FIT"


@pytest.mark.parametrize("strategy", [None, "BEST_FIT"])
def test_an_eks_environment_names_another_strategy_than_best_fit(world, strategy):
    resources = without(EC2, "allocationStrategy") | ({"allocationStrategy": strategy} if strategy else {})
    with pytest.raises(ClientError, match="required for EKS and cannot be BEST_FIT"):
        create(world, resources, eksConfiguration=EKS)
    create(world, EC2, eksConfiguration=EKS)
    assert shown(world)["containerOrchestrationType"] == "EKS"
    create(world, EC2, "ecs")
    assert shown(world, "ecs")["containerOrchestrationType"] == "ECS"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scalingPolicy": {"minScaleDownDelayMinutes": 19}}, "between 20 and 10080, got 19"),
        ({"scalingPolicy": {"minScaleDownDelayMinutes": 10_081}}, "between 20 and 10080, got 10081"),
        ({"bidPercentage": 101}, "bidPercentage must be between 0 and 100, got 101"),
        ({"launchTemplate": {"launchTemplateId": "lt", "launchTemplateName": "n"}}, "and not both"),
        ({"launchTemplate": {"version": "1"}}, "either launchTemplateId or launchTemplateName"),
        (
            {"launchTemplate": {"launchTemplateId": "lt", "overrides": [{"launchTemplateId": "x"}] * 11}},
            "at most 10 overrides, got 11",
        ),
        ({"ec2Configuration": [{"imageType": "AL2023"}]}, "Invalid imageType"),
        ({"instanceTypes": ["m6i", "m6g"]}, "one CPU architecture"),
        ({"instanceTypes": ["default_arm64", "optimal"]}, "one CPU architecture"),
    ],
)
def test_settings_that_are_refused(world, change, message):
    with pytest.raises(ClientError, match=message):
        create(world, EC2 | change)


def test_settings_that_are_taken(world):
    images = [f"{kind}_AL2023{gpu}" for kind in ("ECS", "EKS") for gpu in ("", "_NVIDIA")]
    for number, change in enumerate(
        [
            {"scalingPolicy": {"minScaleDownDelayMinutes": 0}},
            {"scalingPolicy": {"minScaleDownDelayMinutes": 20}},
            {"launchTemplate": {"launchTemplateName": "n", "version": "$Latest"}},
            *({"ec2Configuration": [{"imageType": image}]} for image in images),
        ]
    ):
        create(world, EC2 | change, f"ce-{number}")
        found = shown(world, f"ce-{number}")["computeResources"]
        for entry in found.get("ec2Configuration", []):
            del entry["batchImageStatus"]
        assert all(found[member] == value for member, value in change.items())


@pytest.mark.parametrize(
    ("types", "eks", "images"),
    [
        (["m6g"], False, ["ECS_AL2023"]),
        (["g4dn", "p4d.24xlarge"], False, ["ECS_AL2023_NVIDIA"]),
        (["g4dn", "m6i"], False, ["ECS_AL2023", "ECS_AL2023_NVIDIA"]),
        (["m6g"], True, ["EKS_AL2023"]),
    ],
)
def test_the_image_follows_the_kinds_of_instances_where_none_is_named(world, types, eks, images):
    create(world, EC2 | {"instanceTypes": types}, **({"eksConfiguration": EKS} if eks else {}))
    expected = [{"imageType": image, "batchImageStatus": "LATEST"} for image in images]
    assert shown(world)["computeResources"]["ec2Configuration"] == expected


def test_an_image_of_the_customers_own_has_no_status_and_a_template_says_what_it_is(world):
    own = [{"imageType": "ECS_AL2023", "imageIdOverride": "ami-1"}]
    create(world, EC2 | {"ec2Configuration": own})
    assert shown(world)["computeResources"]["ec2Configuration"] == own
    create(world, EC2 | {"launchTemplate": {"launchTemplateName": "t"}}, "template")
    assert "ec2Configuration" not in shown(world, "template")["computeResources"]


def test_a_description_can_be_sent_back_in_an_update(world):
    create(world, EC2 | {"ec2Configuration": [{"imageType": "ECS_AL2023"}]})
    given = shown(world)["computeResources"]["ec2Configuration"]
    update(world, computeResources={"ec2Configuration": given, "maxvCpus": 32})
    assert shown(world)["computeResources"]["ec2Configuration"] == given


def test_an_eks_cluster_has_five_environments_at_most(world):
    for number in range(5):
        create(world, EC2, f"ce-{number}", eksConfiguration=EKS)
    with pytest.raises(ClientError, match="No more than 5 compute environments are allowed for arn:aws:eks"):
        create(world, EC2, "ce-5", eksConfiguration=EKS)
    create(world, EC2, "ce-5", eksConfiguration=EKS | {"eksClusterArn": EKS["eksClusterArn"] + "-2"})


@pytest.mark.parametrize(
    ("change", "refused"),
    [
        ({"capacityOptionType": "SPOT"}, "capacityOptionType cannot be changed from ON_DEMAND to SPOT"),
        ({"fipsEnabled": True}, "fipsEnabled cannot be changed from False to True"),
        ({"capacityOptionType": "ON_DEMAND", "monitoring": "DETAILED"}, None),
        ({"ec2InstanceProfileArn": "another"}, None),
    ],
)
def test_of_managed_instances_all_but_the_kind_of_capacity_can_change(world, change, refused):
    world.environment("ce", kind="ECS_MANAGED_INSTANCES")
    resources = {"managedInstancesProvider": {"instanceLaunchTemplate": change}}
    if refused is not None:
        with pytest.raises(ClientError, match=refused):
            update(world, computeResources=resources)
        return
    update(world, computeResources=resources)
    template = shown(world)["computeResources"]["managedInstancesProvider"]["instanceLaunchTemplate"]
    assert template == change


@pytest.mark.parametrize("image", ["ECS_AL2", "ECS_AL2_NVIDIA", "EKS_AL2", "EKS_AL2_NVIDIA"])
def test_no_new_environment_takes_an_al2_image_of_awss(world, image):
    eks = {"eksConfiguration": EKS} if image.startswith("EKS") else {}
    given = EC2 | {"ec2Configuration": [{"imageType": image}]}
    with pytest.raises(ClientError, match=f"{image} is no longer supported .* use {image[:3]}_AL2023"):
        create(world, given, **eks)
    own = {"imageType": image, "imageIdOverride": "ami-0123456789abcdef0"}
    create(world, EC2 | {"ec2Configuration": [own]}, "own", **eks)
    create(world, given | {"imageId": "ami-0123456789abcdef0"}, "older-member", **eks)
    create(world, given | {"launchTemplate": {"launchTemplateName": "with-an-image"}}, "template", **eks)


def test_an_environment_with_an_al2_image_can_still_be_updated(world):
    create(world, EC2)
    world.registry.compute_environments["ce"].resources["ec2Configuration"] = [{"imageType": "ECS_AL2"}]
    update(world, computeResources={"maxvCpus": 32})
    assert shown(world)["computeResources"]["maxvCpus"] == 32


def test_best_fit_takes_no_infrastructure_update_and_is_not_chosen_by_one(world):
    create(world, without(EC2, "allocationStrategy"))
    with pytest.raises(ClientError, match="BEST_FIT does not support infrastructure updates"):
        update(world, computeResources={"instanceTypes": ["c6g"]})
    update(world, computeResources={"maxvCpus": 32})
    assert shown(world)["computeResources"]["maxvCpus"] == 32
    world.call("UpdateComputeEnvironment", computeEnvironment="ce", state="DISABLED")
    world.call("DeleteComputeEnvironment", computeEnvironment="ce")
    create(world, EC2)
    with pytest.raises(ClientError, match="cannot be updated to BEST_FIT"):
        update(world, computeResources={"allocationStrategy": "BEST_FIT"})


def test_an_infrastructure_update_needs_the_service_linked_role(world):
    create(world, EC2, serviceRole=OWN_ROLE)
    with pytest.raises(ClientError, match="without the service role AWSServiceRoleForBatch"):
        update(world, computeResources={"instanceTypes": ["c6g"]})
    update(world, computeResources={"maxvCpus": 32})
    create(world, EC2, "linked")
    world.call(
        "UpdateComputeEnvironment", computeEnvironment="linked", computeResources={"instanceTypes": ["c6g"]}
    )
    assert shown(world, "linked")["computeResources"]["instanceTypes"] == ["c6g"]


def test_no_move_between_the_service_linked_role_and_another(world):
    create(world, EC2)
    linked = shown(world)["serviceRole"]
    assert linked.endswith("role/aws-service-role/batch.amazonaws.com/AWSServiceRoleForBatch")
    with pytest.raises(ClientError, match="cannot move between"):
        update(world, serviceRole=OWN_ROLE)
    create(world, EC2, "own", serviceRole=OWN_ROLE)
    with pytest.raises(ClientError, match="cannot move between"):
        world.call("UpdateComputeEnvironment", computeEnvironment="own", serviceRole=linked)


def test_update_policy(world):
    create(world, EC2)
    default = {"terminateJobsOnUpdate": False, "jobExecutionTimeoutMinutes": 30}
    assert shown(world)["updatePolicy"] == default
    for minutes in (0, 7201):
        with pytest.raises(ClientError, match=f"between 1 and 7200, got {minutes}"):
            update(world, updatePolicy={"jobExecutionTimeoutMinutes": minutes})
    update(world, updatePolicy={"jobExecutionTimeoutMinutes": 7200})
    assert shown(world)["updatePolicy"] == default | {"jobExecutionTimeoutMinutes": 7200}


def test_the_latest_image_is_asked_for_once(world):
    create(world, EC2)
    update(world, computeResources={"updateToLatestImageVersion": True})
    assert not shown(world)["computeResources"].get("updateToLatestImageVersion")


@pytest.mark.parametrize(("before", "after"), [(EC2, "FARGATE"), (FARGATE, "FARGATE_SPOT"), (FARGATE, "EC2")])
def test_types_that_an_update_cannot_reach(world, before, after):
    create(world, before)
    with pytest.raises(ClientError, match=f"type cannot be changed from {before['type']} to {after}"):
        update(world, computeResources={"type": after})


def test_an_update_may_go_from_on_demand_to_spot(world):
    create(world, EC2)
    strategy = {"type": "SPOT", "allocationStrategy": "SPOT_CAPACITY_OPTIMIZED"}
    update(world, computeResources=strategy)
    assert shown(world)["computeResources"].items() >= strategy.items()


def test_a_fargate_network_is_changed_in_place(world):
    world.queue("q", create(world, FARGATE))
    requirements = [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "2048"}]
    container = {"image": "i", "executionRoleArn": "r", "resourceRequirements": requirements}
    world.definition("f", platformCapabilities=["FARGATE"], containerProperties=container)
    job = world.submit("q", "f")
    update(world, computeResources={"subnets": ["t"], "securityGroupIds": ["h"]})
    assert shown(world)["computeResources"] == FARGATE | {"subnets": ["t"], "securityGroupIds": ["h"]}
    assert (job.status, len(job.attempts)) == ("STARTING", 1)


@pytest.mark.parametrize("member", ["minvCpus", "desiredvCpus", "instanceTypes", "imageId", "launchTemplate"])
def test_members_that_fargate_does_not_have(world, member):
    values = {"instanceTypes": ["m6g"], "imageId": "ami-1", "launchTemplate": {"launchTemplateId": "lt"}}
    with pytest.raises(ClientError, match=f"{member} is not applicable for Fargate"):
        create(world, FARGATE | {member: values.get(member, 1)})


def test_an_environment_is_created_enabled(world):
    with pytest.raises(ClientError, match="must be created in the ENABLED state"):
        create(world, EC2, state="DISABLED")
    create(world, EC2, state="ENABLED")


@pytest.mark.parametrize("namespace", ["", "default", "kube-system", "Upper", "-a", "a-", "a_b", "x" * 64])
def test_namespaces_that_eks_environments_cannot_have(world, namespace):
    with pytest.raises(ClientError, match="kubernetesNamespace must be"):
        create(world, EC2, eksConfiguration=EKS | {"kubernetesNamespace": namespace})
    create(world, EC2, eksConfiguration=EKS | {"kubernetesNamespace": "x" * 63})


@pytest.mark.parametrize("kind", ["FARGATE", "FARGATE_SPOT"])
def test_eks_environments_are_of_ec2_or_spot(world, kind):
    with pytest.raises(ClientError, match="must be EC2 or SPOT for EKS"):
        create(world, FARGATE | {"type": kind}, eksConfiguration=EKS)


def test_the_scale_down_delay_does_not_hold_for_instances_that_ran_nothing(world):
    delay = {"scalingPolicy": {"minScaleDownDelayMinutes": 20}}
    create(world, EC2 | delay | {"minvCpus": 1, "instanceTypes": ["m6g.medium"]})
    update(world, computeResources={"minvCpus": 0})
    fleet = world.scheduler.dispatcher.scaling.instances
    assert len(fleet) == 1
    world.now_ms += 400_000
    world.tell(Woken())
    assert len(fleet) == 0, "five minutes, and not twenty"


@pytest.mark.parametrize(("unmanaged_vcpus", "placed"), [(4, 2), (None, 4)])
def test_reservation_in_an_unmanaged_environment(world, unmanaged_vcpus, placed):
    request = {"computeEnvironmentName": "own", "type": "UNMANAGED", "serviceRole": OWN_ROLE}
    vcpus = {"unmanagedvCpus": unmanaged_vcpus} if unmanaged_vcpus else {}
    arn = world.call("CreateComputeEnvironment", **request, **vcpus)["computeEnvironmentArn"]
    policy = world.call("CreateSchedulingPolicy", name="p", fairsharePolicy={"computeReservation": 50})["arn"]
    order = [{"order": 1, "computeEnvironment": arn}]
    world.call(
        "CreateJobQueue",
        jobQueueName="q",
        priority=1,
        computeEnvironmentOrder=order,
        schedulingPolicyArn=policy,
    )
    world.definition()
    jobs = [world.submit("q", shareIdentifier="A") for _ in range(4)]
    assert sum(job.status.is_placed for job in jobs) == placed


def test_shares_belong_to_one_queue(world):
    world.definition()
    arn = world.environment("ce", 8)
    policy = world.call("CreateSchedulingPolicy", name="p", fairsharePolicy={"computeReservation": 50})["arn"]
    order = [{"order": 1, "computeEnvironment": arn}]
    for name in ("first", "second"):
        request = {"priority": 1, "computeEnvironmentOrder": order, "schedulingPolicyArn": policy}
        world.call("CreateJobQueue", jobQueueName=name, **request)
    for share in "AB":
        world.submit("first", shareIdentifier=share)
    world.submit("second", shareIdentifier="A")
    shares = world.scheduler.dispatcher.shares
    assert (shares.active("first"), shares.active("second")) == ({"A", "B"}, {"A"})


def test_each_child_of_an_array_takes_its_own_consumables(world):
    world.definition()
    queue = world.queue("q", world.environment("ce", 8))
    world.call("CreateConsumableResource", consumableResourceName="seats", totalQuantity=5)
    needs = {"consumableResourceList": [{"consumableResource": "seats", "quantity": 2}]}
    job = world.submit(queue, arrayProperties={"size": 4}, consumableResourcePropertiesOverride=needs)
    summary = world.call("DescribeJobs", jobs=[job.id])["jobs"][0]["arrayProperties"]["statusSummary"]
    assert (summary["STARTING"], summary["RUNNABLE"]) == (2, 2)
    shown = world.call("DescribeConsumableResource", consumableResource="seats")
    assert (shown["inUseQuantity"], shown["availableQuantity"]) == (4, 1)


@pytest.mark.parametrize("system", ["LINUX", "WINDOWS_SERVER_2019_CORE", "WINDOWS_SERVER_2022_FULL", "MACOS"])
def test_operating_systems_and_architectures_of_fargate(world, system):
    requirements = [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "2048"}]
    container = {"image": "i", "executionRoleArn": "r", "resourceRequirements": requirements}

    def register(architecture):
        runtime = {"operatingSystemFamily": system, "cpuArchitecture": architecture}
        properties = container | {"runtimePlatform": runtime}
        return world.definition("f", platformCapabilities=["FARGATE"], containerProperties=properties)

    if system == "MACOS":
        with pytest.raises(ClientError, match="operatingSystemFamily must be LINUX or WINDOWS_SERVER"):
            register("X86_64")
        return
    register("X86_64")
    with pytest.raises(ClientError, match="cpuArchitecture"):
        register("RISCV")


def test_at_most_50000_consumable_resources(world, monkeypatch):
    assert consumable_resources.MAX_RESOURCES == 50_000
    monkeypatch.setattr(consumable_resources, "MAX_RESOURCES", 2)
    for name in "ab":
        world.call("CreateConsumableResource", consumableResourceName=name, totalQuantity=1)
    with pytest.raises(ClientError, match="No more than 2 consumable resources are allowed"):
        world.call("CreateConsumableResource", consumableResourceName="c", totalQuantity=1)
