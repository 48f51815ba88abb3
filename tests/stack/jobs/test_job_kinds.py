"""Job definitions of every kind: platforms, images, nodes, GPUs, consumables."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import batch_stack
from batch_stack.settings.base.errors import SettingsError
from batch_stack.settings.jobs import JobSettings
from batch_stack.settings.volumes import EfsVolumeSettings
from tests.stack.jobs.conftest import IMAGE, JOBS, LICENCES, S3_FILES, World
from tests.stack.jobs.reading import (
    HERE,
    allowed,
    container,
    definition,
    flat,
    requirements,
    statements,
    variables,
)

pytestmark = pytest.mark.stack


def test_cfn_lint_has_nothing_to_say_of_any_kind(synthesised: Path) -> None:
    command = [str(Path(sys.executable).parent / "cfn-lint"), str(synthesised)]
    result = subprocess.run(command, cwd=synthesised.parent, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


@pytest.mark.parametrize("job", JOBS)
def test_every_kind_has_a_timeout_retries_and_revisions_that_stay(kinds: dict[str, Any], job: str) -> None:
    one = definition(kinds, job)
    assert one["Timeout"] == {"AttemptDurationSeconds": 3600}
    assert one["RetryStrategy"]["Attempts"] == 3
    assert one["RetryStrategy"]["EvaluateOnExit"][-1] == {"Action": "EXIT", "OnReason": "*"}
    assert one["ResourceRetentionPolicy"] == {"SkipDeregisterOnUpdate": True}
    assert one["PropagateTags"] is True
    assert "JobDefinitionName" not in one
    assert '"Privileged": true' not in json.dumps(one)


def test_what_is_asked_for_reaches_the_definition(kinds: dict[str, Any]) -> None:
    one, plain = definition(kinds, "plain"), container(kinds, "plain")
    assert one["Parameters"] == {"quality": "high"}
    assert one["SchedulingPriority"] == 7
    assert plain["Image"] == IMAGE
    assert plain["User"] == "1000:1000"
    assert plain["ReadonlyRootFilesystem"] is False
    assert plain["LinuxParameters"] == {"InitProcessEnabled": True, "SharedMemorySize": 512}
    assert requirements(plain) == {"VCPU": "1", "MEMORY": "2048", "GPU": "2"}
    assert plain["Ulimits"] == [
        {"Name": "nofile", "SoftLimit": 65536, "HardLimit": 65536},
        {"Name": "memlock", "SoftLimit": -1, "HardLimit": -1},
    ]


def test_what_is_not_asked_for_is_not_said(kinds: dict[str, Any]) -> None:
    one = definition(kinds, "tagged")
    assert not {"Parameters", "SchedulingPriority", "ConsumableResourceProperties"} & set(one)
    assert not {"User", "Secrets", "Ulimits"} & set(one["ContainerProperties"])
    assert "GPU" not in requirements(one["ContainerProperties"])


def test_managed_policies_are_for_the_job_role_only(kinds: dict[str, Any]) -> None:
    with_policies = {
        name: resource["Properties"]["ManagedPolicyArns"]
        for name, resource in kinds.items()
        if "ManagedPolicyArns" in resource.get("Properties", {})
    }
    ((name, arns),) = with_policies.items()
    assert name.startswith("PlainJobRole")
    assert arns == ["arn:aws:iam::aws:policy/AWSXRayDaemonWriteAccess"]


@pytest.mark.parametrize(("job", "ending"), [("tagged", ":1.4"), ("digest", "@sha256:" + "ab" * 32)])
def test_an_image_of_ecr_is_named_by_tag_or_digest_and_only_its_repository_is_pulled_from(
    kinds: dict[str, Any], job: str, ending: str
) -> None:
    image = flat(container(kinds, job)["Image"])
    assert image == f"{{AWS::AccountId}}.dkr.ecr.{{AWS::Region}}.{{AWS::URLSuffix}}/team/tool{ending}"
    role = f"{job.capitalize()}ExecutionRole"
    repository = f"arn:{{AWS::Partition}}:ecr:{HERE}:repository/team/tool"
    assert allowed(kinds, role, "ecr:BatchGetImage") == {repository}
    assert allowed(kinds, role, "ecr:GetDownloadUrlForLayer") == {repository}
    assert allowed(kinds, role, "ecr:GetAuthorizationToken") == {"*"}


@pytest.mark.parametrize(("job", "ending"), [("private", ":1.4"), ("pinned", "@sha256:" + "cd" * 32)])
def test_a_private_image_named_in_full_may_be_pulled_and_no_other(
    kinds: dict[str, Any], job: str, ending: str
) -> None:
    image = flat(container(kinds, job)["Image"])
    assert image == f"210987654321.dkr.ecr.eu-west-1.{{AWS::URLSuffix}}/team/tool{ending}"
    role = f"{job.capitalize()}ExecutionRole"
    repository = "arn:{AWS::Partition}:ecr:eu-west-1:210987654321:repository/team/tool"
    assert allowed(kinds, role, "ecr:BatchGetImage") == {repository}
    assert allowed(kinds, role, "ecr:GetAuthorizationToken") == {"*"}


def test_an_image_that_only_the_deployment_knows_is_warned_of(cdk: Any, new_app: Callable[[], Any]) -> None:
    stack = cdk.Stack(new_app(), "tokens")
    own = cdk.aws_ecr.Repository(stack, "Own")

    def warnings(construct_id: str, **image: str) -> list[str]:
        job = batch_stack.ContainerJob(stack, construct_id, name="job", settings=JobSettings(**image))
        return [one.data for one in job.node.metadata if one.type == "aws:cdk:warning"]

    (text,) = warnings("Uri", image=f"{own.repository_uri}:1")
    assert "no permission to pull it" in text
    assert "At tokens/Uri [ack: batch-stack:imageOfToken]" in text
    assert warnings("Name", ecr_repository=own.repository_name, tag="1") == []
    assert warnings("Public", image=IMAGE) == []
    resources = cdk.assertions.Template.from_stack(stack).to_json()["Resources"]
    (repository,) = (name for name, one in resources.items() if one["Type"] == "AWS::ECR::Repository")
    (pulled_from,) = allowed(resources, "NameExecutionRole", "ecr:BatchGetImage")
    assert pulled_from.endswith(f"repository/{{{repository}}}")


def test_a_repository_of_another_account_is_named_by_its_arn(kinds: dict[str, Any]) -> None:
    image = flat(container(kinds, "theirs")["Image"])
    assert image == "210987654321.dkr.ecr.eu-west-1.{AWS::URLSuffix}/team/tool:1.4"
    repository = "arn:aws:ecr:eu-west-1:210987654321:repository/team/tool"
    assert allowed(kinds, "TheirsExecutionRole", "ecr:BatchGetImage") == {repository}


def test_an_image_of_a_registry_needs_no_permission(kinds: dict[str, Any]) -> None:
    assert not [s for s in statements(kinds, "PlainExecutionRole") if "ecr:" in json.dumps(s)]


def test_fargate_has_the_disk_it_is_asked_for(kinds: dict[str, Any]) -> None:
    assert container(kinds, "disk")["EphemeralStorage"] == {"SizeInGiB": 120}
    assert definition(kinds, "disk")["PlatformCapabilities"] == ["FARGATE"]


def test_managed_instances_take_ecs_properties_and_nothing_else(kinds: dict[str, Any]) -> None:
    one = definition(kinds, "managed")
    assert one["PlatformCapabilities"] == ["MANAGED_INSTANCES"]
    assert "ContainerProperties" not in one
    (task,) = one["EcsProperties"]["TaskProperties"]
    # They are Fargate's, and refused here.
    assert not {"NetworkConfiguration", "PlatformVersion", "EphemeralStorage"} & set(task)
    assert task["RuntimePlatform"] == {"CpuArchitecture": "ARM64", "OperatingSystemFamily": "LINUX"}
    assert flat(task["TaskRoleArn"]).startswith("{ManagedJobRole")
    assert flat(task["ExecutionRoleArn"]).startswith("{ManagedExecutionRole")


def test_a_container_on_managed_instances_is_the_same_as_one_on_ec2(kinds: dict[str, Any]) -> None:
    (task,) = definition(kinds, "managed")["EcsProperties"]["TaskProperties"]
    (one,) = task["Containers"]
    assert (one["Name"], one["Essential"], one["Privileged"]) == ("main", True, False)
    assert one["Image"] == IMAGE
    assert one["Command"] == ["echo", "Ref::what"]
    assert requirements(one) == {"VCPU": "1", "MEMORY": "2048", "GPU": "1"}
    assert variables(one)["MODE"] == "fast"
    assert one["LinuxParameters"] == {"InitProcessEnabled": True}
    assert one["ReadonlyRootFilesystem"] is True
    assert [secret["Name"] for secret in one["Secrets"]] == ["TOKEN"]
    assert one["LogConfiguration"]["Options"]["awslogs-stream-prefix"] == "managed"
    assert [mount["ContainerPath"] for mount in one["MountPoints"]] == ["/scratch", "/models"]
    assert task["Volumes"] == [
        {"Name": "scratch", "Host": {}},
        {"Name": "models", "S3FilesVolumeConfiguration": {"FileSystemArn": S3_FILES}},
    ]


def test_every_field_of_a_container_is_copied_to_managed_instances_or_left_out_by_name(cdk: Any) -> None:
    from batch_stack.jobs.definition import NOT_OF_A_TASKS_CONTAINER, _names  # noqa: PLC0415

    definitions = cdk.aws_batch.CfnJobDefinition
    of_container = set(_names(definitions.ContainerPropertiesProperty))
    of_task = set(_names(definitions.TaskContainerPropertiesProperty))
    assert len(of_container) > 20
    assert of_container - of_task == NOT_OF_A_TASKS_CONTAINER


def test_managed_instances_keep_what_the_l2_does_not_set_today(cdk: Any, new_app: Callable[[], Any]) -> None:
    from batch_stack.jobs.definition import _to_managed_instances  # noqa: PLC0415

    stack, definitions = cdk.Stack(new_app(), "copied"), cdk.aws_batch.CfnJobDefinition
    one = definitions(
        stack,
        "Definition",
        type="container",
        container_properties=definitions.ContainerPropertiesProperty(
            image=IMAGE,
            ulimits=[definitions.UlimitProperty(name="nofile", soft_limit=1024, hard_limit=4096)],
            enable_execute_command=True,
        ),
    )
    _to_managed_instances(one, "arm64")
    template = cdk.assertions.Template.from_stack(stack).to_json()
    (task,) = template["Resources"]["Definition"]["Properties"]["EcsProperties"]["TaskProperties"]
    assert task["Containers"][0]["Ulimits"] == [{"Name": "nofile", "SoftLimit": 1024, "HardLimit": 4096}]
    assert task["EnableExecuteCommand"] is True


def test_all_nodes_are_alike_but_for_the_groups(kinds: dict[str, Any]) -> None:
    one = definition(kinds, "nodes")
    assert one["Type"] == "multinode"
    assert one["PlatformCapabilities"] == ["EC2"]
    assert (one["NodeProperties"]["NumNodes"], one["NodeProperties"]["MainNode"]) == (6, 1)
    everyone, main, rest = one["NodeProperties"]["NodeRangeProperties"]
    assert [r["TargetNodes"] for r in (everyone, main, rest)] == ["0:", "1", "4:"]
    assert requirements(everyone["Container"]) == {"VCPU": "4", "MEMORY": "8192"}
    assert requirements(main["Container"]) == {"VCPU": "4", "MEMORY": "4096"}
    assert requirements(rest["Container"]) == {"VCPU": "2", "MEMORY": "8192"}
    assert [r["Container"]["Command"] for r in (everyone, main, rest)] == [["solve"], ["lead"], ["solve"]]
    assert [variables(r["Container"])["ROLE"] for r in (everyone, main, rest)] == ["worker", "main", "worker"]
    assert {variables(r["Container"])["MODE"] for r in (everyone, main, rest)} == {"mpi"}
    assert {r["Container"]["InstanceType"] for r in (everyone, main, rest)} == {"c6i.2xlarge"}


def test_every_node_has_the_jobs_volumes_roles_and_consumables(kinds: dict[str, Any]) -> None:
    for node_range in definition(kinds, "nodes")["NodeProperties"]["NodeRangeProperties"]:
        one = node_range["Container"]
        assert one["Volumes"][1] == {
            "Name": "data",
            "S3FilesVolumeConfiguration": {"FileSystemArn": S3_FILES},
        }
        assert flat(one["JobRoleArn"]).startswith("{NodesJobRole")
        assert one["LinuxParameters"] == {"InitProcessEnabled": True}
        (seats,) = node_range["ConsumableResourceProperties"]["ConsumableResourceList"]
        assert seats["Quantity"] == 1
    assert "ConsumableResourceProperties" not in definition(kinds, "nodes")


def test_consumable_resources_come_back_or_are_used_up_and_are_referred_to_by_arn(
    kinds: dict[str, Any],
) -> None:
    resources = {
        name: r["Properties"] for name, r in kinds.items() if r["Type"] == "AWS::Batch::ConsumableResource"
    }
    seats = next(name for name in resources if name.startswith("Seats"))
    credit = next(name for name in resources if name.startswith("Credits"))
    assert resources[seats] == {"ResourceType": "REPLENISHABLE", "TotalQuantity": 8}
    assert resources[credit] == {"ResourceType": "NON_REPLENISHABLE", "TotalQuantity": 100}
    listed = definition(kinds, "plain")["ConsumableResourceProperties"]["ConsumableResourceList"]
    assert [(flat(one["ConsumableResource"]), one["Quantity"]) for one in listed] == [
        (f"{{{seats}}}", 2),
        (LICENCES, 1),
    ]


def test_what_is_not_there_is_refused_by_name(world: World) -> None:
    volume = EfsVolumeSettings(type="efs", path="/data", access_point="missing")
    with pytest.raises(SettingsError) as raised:
        world.job("lost", JobSettings(image=IMAGE, volumes={"data": volume}))
    assert str(raised.value) == (
        "jobs.lost.volumes.data.access_point must be one of storage.file_system.access_points, reference, "
        "got 'missing'"
    )
    with pytest.raises(SettingsError) as raised:
        world.job("idle", JobSettings(image=IMAGE, consumable_resources={"missing": 1}))
    assert str(raised.value) == (
        "jobs.idle.consumable_resources must name one of seats, or an ARN, got 'missing'"
    )
