"""Compute environments, launch templates, queues and the network."""

import base64
import email
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import batch_stack
from batch_stack.settings.compute.ec2 import OnDemandSettings
from batch_stack.settings.compute.kinds import FargateSettings
from batch_stack.settings.tiers import TierSettings

pytestmark = pytest.mark.stack

COMPUTE_ENVIRONMENT = "AWS::Batch::ComputeEnvironment"


def _environments(template: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        resource["Properties"]["ComputeResources"]["Type"]: resource["Properties"]
        for resource in template["Resources"].values()
        if resource["Type"] == COMPUTE_ENVIRONMENT
    }


def test_there_is_a_spot_an_on_demand_and_a_fargate_environment(template: dict[str, Any]) -> None:
    environments = _environments(template)

    assert sorted(environments) == ["EC2", "FARGATE", "SPOT"]
    assert environments["SPOT"]["ComputeResources"]["AllocationStrategy"] == "SPOT_PRICE_CAPACITY_OPTIMIZED"
    assert environments["EC2"]["ComputeResources"]["AllocationStrategy"] == "BEST_FIT_PROGRESSIVE"
    assert len(environments["SPOT"]["ComputeResources"]["InstanceTypes"]) >= 5


def test_environments_can_be_replaced_but_are_updated_in_place(template: dict[str, Any]) -> None:
    for properties in _environments(template).values():
        assert properties["ReplaceComputeEnvironment"] is False
        assert "ComputeEnvironmentName" not in properties
        assert "Tags" not in properties
        assert "ServiceRole" not in properties


def test_a_tag_on_the_whole_app_reaches_instances_but_never_the_environment(variant: dict[str, Any]) -> None:
    for properties in _environments(variant).values():
        assert "Tags" not in properties
    launch_templates = [
        r["Properties"]["LaunchTemplateData"]["TagSpecifications"]
        for r in variant["Resources"].values()
        if r["Type"] == "AWS::EC2::LaunchTemplate"
    ]
    assert len(launch_templates) == 2
    assert all({"Key": "team", "Value": "video"} in spec[0]["Tags"] for spec in launch_templates)


def test_ec2_environments_scale_to_nothing_on_amazon_linux_2023(template: dict[str, Any]) -> None:
    for kind in ("EC2", "SPOT"):
        resources = _environments(template)[kind]["ComputeResources"]
        assert resources["MinvCpus"] == 0
        assert "DesiredvCpus" not in resources
        assert resources["Ec2Configuration"] == [{"ImageType": "ECS_AL2023"}]


def test_settings_reach_the_environments(template: dict[str, Any], variant: dict[str, Any]) -> None:
    default, other = _environments(template), _environments(variant)

    assert default["SPOT"]["ComputeResources"]["MaxvCpus"] == 128
    assert default["EC2"]["ComputeResources"]["InstanceTypes"] == ["c6i", "m6i", "r6i"]
    assert default["FARGATE"]["ComputeResources"]["MaxvCpus"] == 16
    assert other["SPOT"]["ComputeResources"]["InstanceTypes"] == ["m7g", "c7g.large"]
    assert "FARGATE_SPOT" in other


def test_launch_template_version_is_pinned_to_its_content(template: dict[str, Any]) -> None:
    for kind in ("EC2", "SPOT"):
        launch_template = _environments(template)[kind]["ComputeResources"]["LaunchTemplate"]
        logical_id = launch_template["LaunchTemplateId"]["Ref"]
        assert launch_template["Version"] == {"Fn::GetAtt": [logical_id, "LatestVersionNumber"]}


def test_instances_require_imdsv2_and_encrypted_gp3(
    of_type: Callable[[str], dict[str, dict[str, Any]]], variant: dict[str, Any]
) -> None:
    launch_templates = of_type("AWS::EC2::LaunchTemplate")
    assert len(launch_templates) == 2
    for resource in launch_templates.values():
        data = resource["Properties"]["LaunchTemplateData"]
        assert data["MetadataOptions"] == {"HttpTokens": "required", "HttpPutResponseHopLimit": 1}
        assert [mapping["DeviceName"] for mapping in data["BlockDeviceMappings"]] == ["/dev/xvda"]
        volume = data["BlockDeviceMappings"][0]["Ebs"]
        assert (volume["Encrypted"], volume["VolumeType"], volume["VolumeSize"]) == (True, "gp3", 50)
    sizes = {
        r["Properties"]["LaunchTemplateData"]["BlockDeviceMappings"][0]["Ebs"]["VolumeSize"]
        for r in variant["Resources"].values()
        if r["Type"] == "AWS::EC2::LaunchTemplate"
    }
    assert sizes == {50, 77}


def _boot_commands(template: dict[str, Any], kind: str) -> list[str]:
    """The shell script in an environment's user data, which has to be in the MIME format."""
    reference = _environments(template)[kind]["ComputeResources"]["LaunchTemplate"]
    resource = template["Resources"][reference["LaunchTemplateId"]["Ref"]]
    pieces = resource["Properties"]["LaunchTemplateData"]["UserData"]["Fn::Base64"]["Fn::Join"][1]
    text = "".join(
        piece if isinstance(piece, str) else base64.b64encode(piece["Fn::Base64"].encode()).decode()
        for piece in pieces
    )
    message = email.message_from_string(text)
    assert message.get_content_type() == "multipart/mixed"
    (script,) = message.get_payload()
    commands: list[str] = script.get_payload(decode=True).decode().splitlines()
    assert commands[0] == "#!/bin/bash"
    return commands[1:]


def test_spot_instances_alone_are_drained(template: dict[str, Any]) -> None:
    draining = "echo ECS_ENABLE_SPOT_INSTANCE_DRAINING=true >> /etc/ecs/ecs.config"
    assert draining in _boot_commands(template, "SPOT")
    assert draining not in _boot_commands(template, "EC2")


@pytest.mark.parametrize("kind", ["EC2", "SPOT"])
def test_only_root_reaches_the_instance_metadata_service(template: dict[str, Any], kind: str) -> None:
    commands = _boot_commands(template, kind)
    (rule,) = (command for command in commands if command.startswith("iptables "))
    words = rule.split()
    assert words[words.index("--insert") + 1] == "OUTPUT"
    assert words[words.index("--destination") + 1] == "169.254.169.254"
    assert words[words.index("owner") :] == ["owner", "!", "--uid-owner", "0", "--jump", "REJECT"]
    # Nodes of multi-node parallel jobs have interfaces of their own, past that rule.
    assert "echo ECS_AWSVPC_BLOCK_IMDS=true >> /etc/ecs/ecs.config" in commands
    # The instance's role cannot write logs, so the execution role has to.
    assert "echo ECS_ENABLE_AWSLOGS_EXECUTIONROLE_OVERRIDE=true >> /etc/ecs/ecs.config" in commands


def test_every_workers_image_runs_as_another_user_than_root() -> None:
    dockerfiles = list((Path(__file__).resolve().parents[3] / "containers").glob("*/Dockerfile"))
    assert dockerfiles
    for dockerfile in dockerfiles:
        users = re.findall(r"^USER\s+(\S+)", dockerfile.read_text(encoding="utf-8"), re.MULTILINE)
        assert users, dockerfile
        assert int(users[-1].partition(":")[0]) > 0, dockerfile


def test_environments_are_deleted_before_their_way_to_the_internet(
    template: dict[str, Any], of_type: Callable[[str], dict[str, dict[str, Any]]]
) -> None:
    def needed(name: str) -> set[str]:
        direct = set(template["Resources"][name].get("DependsOn", []))
        return direct.union(*(needed(other) for other in direct))

    must_outlive = {
        *of_type("AWS::EC2::Route"),
        *of_type("AWS::EC2::SubnetRouteTableAssociation"),
        *of_type("AWS::EC2::VPCGatewayAttachment"),
    }
    assert len(must_outlive) == 5
    environments = of_type(COMPUTE_ENVIRONMENT)
    assert len(environments) == 3
    for name in environments:
        assert must_outlive <= needed(name), name


def test_tiers_use_environments_in_order(
    template: dict[str, Any], of_type: Callable[[str], dict[str, dict[str, Any]]]
) -> None:
    kinds = {
        logical_id: resource["Properties"]["ComputeResources"]["Type"]
        for logical_id, resource in of_type(COMPUTE_ENVIRONMENT).items()
    }
    tiers = {
        resource["Properties"]["Priority"]: [
            kinds[entry["ComputeEnvironment"]["Fn::GetAtt"][0]]
            for entry in sorted(resource["Properties"]["ComputeEnvironmentOrder"], key=lambda e: e["Order"])
        ]
        for resource in of_type("AWS::Batch::JobQueue").values()
    }
    assert tiers == {300: ["EC2"], 200: ["SPOT", "EC2"], 100: ["SPOT"], 50: ["FARGATE"]}


def test_each_queue_has_every_time_limit_and_no_name(
    of_type: Callable[[str], dict[str, dict[str, Any]]],
) -> None:
    capacity_limits_s = {}
    for resource in of_type("AWS::Batch::JobQueue").values():
        properties = resource["Properties"]
        assert "JobQueueName" not in properties
        actions = {action["Reason"]: action for action in properties["JobStateTimeLimitActions"]}
        assert sorted(actions) == [
            "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY",
            "MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE",
            "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT",
        ]
        assert {(a["Action"], a["State"]) for a in actions.values()} == {("CANCEL", "RUNNABLE")}
        capacity = actions["CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY"]
        capacity_limits_s[properties["Priority"]] = capacity["MaxTimeSeconds"]
    assert capacity_limits_s == {300: 3600, 200: 21_600, 100: 86_400, 50: 86_400}


def test_the_network_is_free_while_idle_and_closed_from_outside(
    assertions: Any, of_type: Callable[[str], dict[str, dict[str, Any]]]
) -> None:
    for kind in ("AWS::EC2::NatGateway", "AWS::EC2::EIP", "AWS::EC2::SecurityGroupIngress"):
        assertions.resource_count_is(kind, 0)
    assertions.resource_count_is("AWS::EC2::Subnet", 2)
    endpoints = [r["Properties"] for r in of_type("AWS::EC2::VPCEndpoint").values()]
    assert [endpoint["VpcEndpointType"] for endpoint in endpoints] == ["Gateway"]
    assert "s3" in json.dumps(endpoints[0]["ServiceName"])
    (group,) = of_type("AWS::EC2::SecurityGroup").values()
    assert "SecurityGroupIngress" not in group["Properties"]


def test_a_queue_refuses_what_aws_batch_refuses(new_app: Callable[[], Any], cdk: Any) -> None:
    stack = cdk.Stack(new_app(), "refused")
    network = batch_stack.Network(stack, "Network")
    intel = batch_stack.Ec2ComputeEnvironment(stack, "X", network=network, settings=OnDemandSettings())
    arm_settings = OnDemandSettings(instance_types=["default_arm64"])
    arm = batch_stack.Ec2ComputeEnvironment(stack, "A", network=network, settings=arm_settings)
    fargate = batch_stack.FargateComputeEnvironment(stack, "F", network=network, settings=FargateSettings())
    given = {"intel": intel, "again": intel, "arm": arm, "fargate": fargate}

    for number, (names, message) in enumerate(
        [
            (
                ["intel", "again"],
                r"compute\[1\] must differ from those before it, got 'refused/X' again at refused/T0",
            ),
            (
                ["intel", "fargate"],
                r"settings.compute\[1\] must have the platform ec2 like refused/X, got 'refused/F', which "
                "has fargate: a queue takes one platform only at refused/T1",
            ),
            (
                ["intel", "arm"],
                r"settings.compute\[1\] must have the architecture x86_64 like refused/X, got 'refused/A', "
                "which has arm64: a queue takes one architecture only at refused/T2",
            ),
            (
                ["intel", "nonsense"],
                r"settings.compute\[1\] must be one of compute_environments, intel, again, arm, fargate, got "
                "'nonsense' at refused/T3",
            ),
        ]
    ):
        settings = TierSettings(priority=1, compute=names)
        with pytest.raises(ValueError, match=message):
            batch_stack.PriorityTier(stack, f"T{number}", compute_environments=given, settings=settings)
