"""The rules that every template of the project keeps, each with what went wrong for others who did not."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.stack

Resources = dict[str, dict[str, Any]]
COMPUTE, QUEUE, JOB = (f"AWS::Batch::{kind}" for kind in ("ComputeEnvironment", "JobQueue", "JobDefinition"))


@pytest.fixture(scope="session")
def templates(all_templates: dict[str, Path]) -> dict[str, Resources]:
    """The resources of every template, by the templates' names."""
    return {
        name: json.loads(path.read_text(encoding="utf-8")).get("Resources", {})
        for name, path in all_templates.items()
    }


@pytest.fixture(scope="session")
def each(templates: dict[str, Resources]) -> Callable[[str], list[tuple[str, Resources, dict[str, Any]]]]:
    """All resources of a type, at least one: where it is, the resources around it, and its properties."""

    def of_type(kind: str) -> list[tuple[str, Resources, dict[str, Any]]]:
        found = [
            (f"{template}: {name}", resources, resource["Properties"])
            for template, resources in templates.items()
            for name, resource in resources.items()
            if resource["Type"] == kind
        ]
        assert found, kind
        return found

    return of_type


Each = Callable[[str], list[tuple[str, Resources, dict[str, Any]]]]


def _on_ec2(each: Each) -> Iterator[tuple[str, Resources, dict[str, Any]]]:
    for where, resources, properties in each(COMPUTE):
        compute = properties.get("ComputeResources", {})
        if compute.get("Type") in ("EC2", "SPOT"):
            yield where, resources, compute


def _launch_template(resources: Resources, compute: dict[str, Any]) -> dict[str, Any]:
    reference = compute["LaunchTemplate"]["LaunchTemplateId"]["Ref"]
    return dict(resources[reference]["Properties"]["LaunchTemplateData"])


def test_compute_environments_and_queues_can_be_replaced_and_are_changed_in_place(each: Each) -> None:
    """A name is taken until the old one is gone; a tag that changes replaces; so does an edit, by default."""
    for where, _, properties in each(COMPUTE):
        assert properties["ReplaceComputeEnvironment"] is False, where
        assert not {"ComputeEnvironmentName", "Tags"} & set(properties), where
    for where, _, properties in each(QUEUE):
        assert "JobQueueName" not in properties, where


def test_only_environments_on_ec2_have_a_policy_of_updates(each: Each) -> None:
    """With one, even an empty one, AWS Batch refuses to give Fargate another limit."""
    for where, _, properties in each(COMPUTE):
        on_ec2 = properties.get("ComputeResources", {}).get("Type") in ("EC2", "SPOT")
        assert ("UpdatePolicy" in properties) == on_ec2, where


def test_images_are_amazon_linux_2023_by_name(each: Each) -> None:
    """Without a name the image is the one that AWS Batch chose when the environment was made."""
    for where, _, compute in _on_ec2(each):
        images = {entry["ImageType"] for entry in compute["Ec2Configuration"]}
        assert images <= {"ECS_AL2023", "ECS_AL2023_NVIDIA"}, where
        assert images, where


def test_an_edit_of_a_launch_template_reaches_its_instances(each: Each) -> None:
    """$Latest and $Default never change in the template."""
    for where, _, compute in _on_ec2(each):
        name = compute["LaunchTemplate"]["LaunchTemplateId"]["Ref"]
        assert compute["LaunchTemplate"]["Version"] == {"Fn::GetAtt": [name, "LatestVersionNumber"]}, where


def test_security_groups_are_given_once(each: Each) -> None:
    """AWS Batch takes them of the environment or of interfaces in the launch template, and at most five."""
    for where, resources, compute in _on_ec2(each):
        interfaces = _launch_template(resources, compute).get("NetworkInterfaces", [])
        groups = compute.get("SecurityGroupIds", [])
        assert bool(interfaces) != bool(groups), where
        assert all(1 <= len(given) <= 5 for given in [*([groups] if groups else []), *_groups(interfaces)]), (
            where
        )


def _groups(interfaces: list[dict[str, Any]]) -> list[list[Any]]:
    return [interface["Groups"] for interface in interfaces]


def test_instances_have_imdsv2_and_an_encrypted_disk_of_a_stated_size(each: Each) -> None:
    for where, resources, compute in _on_ec2(each):
        data = _launch_template(resources, compute)
        assert data["MetadataOptions"]["HttpTokens"] == "required", where
        (mapping,) = data["BlockDeviceMappings"]
        assert mapping["Ebs"]["Encrypted"] is True, where
        assert mapping["Ebs"]["VolumeType"] == "gp3", where
        assert mapping["Ebs"]["VolumeSize"] >= 30, where


def test_spot_takes_what_is_least_likely_to_be_taken_back_and_drains(each: Each) -> None:
    for where, resources, compute in _on_ec2(each):
        spot = compute["Type"] == "SPOT"
        draining = "ECS_ENABLE_SPOT_INSTANCE_DRAINING=true" in json.dumps(
            _launch_template(resources, compute)
        )
        best = compute["AllocationStrategy"] == "SPOT_PRICE_CAPACITY_OPTIMIZED"
        assert (draining, best) == (spot, spot), where
        assert not spot or len(compute["InstanceTypes"]) >= 2, where


def test_nothing_is_kept_running_without_jobs(each: Each) -> None:
    for where, _, compute in _on_ec2(each):
        assert compute["MinvCpus"] == 0, where
        assert "DesiredvCpus" not in compute, where


def test_a_queue_has_every_time_limit_and_at_most_three_environments_of_one_kind(each: Each) -> None:
    """One job that can never start blocks all behind it."""
    for where, resources, properties in each(QUEUE):
        reasons = {entry["Reason"].partition(":")[0] for entry in properties["JobStateTimeLimitActions"]}
        assert len(properties["JobStateTimeLimitActions"]) == 3, where
        assert reasons == {"CAPACITY", "MISCONFIGURATION"}, where
        used = [entry["ComputeEnvironment"] for entry in properties["ComputeEnvironmentOrder"]]
        assert 1 <= len(used) <= 3, where
        ours = [resources[one["Fn::GetAtt"][0]]["Properties"] for one in used if isinstance(one, dict)]
        kinds = {one.get("ComputeResources", {}).get("Type", "EC2") for one in ours}
        assert len({"FARGATE" in kind for kind in kinds}) <= 1, where


def test_nothing_can_be_reached_from_outside(each: Each) -> None:
    for where, _, properties in each("AWS::EC2::SecurityGroup"):
        assert "SecurityGroupIngress" not in properties, where
    for where, _, properties in each("AWS::EC2::SecurityGroupIngress"):
        assert not {"CidrIp", "CidrIpv6", "SourcePrefixListId"} & set(properties), where
        assert "SourceSecurityGroupId" in properties, where


def test_revisions_stay_and_jobs_end(each: Each) -> None:
    """A deregistered revision strands the jobs that wait on it; one that hangs costs until somebody looks."""
    for where, _, properties in each(JOB):
        assert properties["ResourceRetentionPolicy"] == {"SkipDeregisterOnUpdate": True}, where
        assert properties["Timeout"]["AttemptDurationSeconds"] >= 60, where
        assert "JobDefinitionName" not in properties, where


def test_containers_have_an_init_process_their_own_log_and_no_privileges(each: Each) -> None:
    for where, resources, properties in each(JOB):
        for container in _containers(properties):
            assert container["LinuxParameters"]["InitProcessEnabled"] is True, where
            assert not container.get("Privileged"), where
            group = container["LogConfiguration"]["Options"]["awslogs-group"]["Ref"]
            assert resources[group]["Properties"]["RetentionInDays"] >= 1, where
            assert container["ExecutionRoleArn"] != container["JobRoleArn"], where


def _containers(properties: dict[str, Any]) -> list[dict[str, Any]]:
    if "NodeProperties" in properties:
        return [one["Container"] for one in properties["NodeProperties"]["NodeRangeProperties"]]
    if "EcsProperties" in properties:
        (task,) = properties["EcsProperties"]["TaskProperties"]
        roles = {"ExecutionRoleArn": task["ExecutionRoleArn"], "JobRoleArn": task["TaskRoleArn"]}
        return [{**container, **roles} for container in task["Containers"]]
    return [properties["ContainerProperties"]]


def test_only_networks_that_ask_for_it_cost_money_while_idle(templates: dict[str, Resources]) -> None:
    def paid(resources: Resources) -> bool:
        return any(
            resource["Type"] in ("AWS::EC2::NatGateway", "AWS::EC2::EIP")
            or resource.get("Properties", {}).get("VpcEndpointType") == "Interface"
            for resource in resources.values()
        )

    free = {name for name, resources in templates.items() if not paid(resources)}
    assert {"default", "variant"} <= free
    assert any(name.startswith("minimal.") for name in free)
    assert any(name.startswith("genomics-hpc") for name in templates.keys() - free)


def test_an_environment_on_eks_is_used_by_its_arn_and_nothing_is_provisioned_for_it(
    synth: Callable[..., dict[str, Any]],
) -> None:
    arn = "arn:aws:batch:eu-west-1:111122223333:compute-environment/pods"
    resources = synth(
        {
            "compute": {"pods": {"type": "existing", "platform": "eks", "arn": arn}},
            "tiers": {"t": {"priority": 1, "compute": ["pods"]}},
        }
    )["Resources"]
    (queue,) = (r["Properties"] for r in resources.values() if r["Type"] == QUEUE)
    assert [entry["ComputeEnvironment"] for entry in queue["ComputeEnvironmentOrder"]] == [arn]
    assert not {"AWS::EC2::LaunchTemplate", COMPUTE} & {r["Type"] for r in resources.values()}
