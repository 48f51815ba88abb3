"""Compute environments of every type: GPU images, placement groups, managed, unmanaged and existing ones."""

import json
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from batch_stack.settings.file import parse_settings

pytestmark = pytest.mark.stack

KINDS: dict[str, dict[str, Any]] = {
    "plain": {"type": "on_demand", "instance_types": ["m6i"], "state": "disabled"},
    "gpu": {"type": "spot", "instance_types": ["g5", "g6.xlarge"], "update_timeout_minutes": 7200},
    "mixed": {"type": "on_demand", "instance_types": ["c6i", "g4dn"]},
    "arm": {"type": "spot", "instance_types": ["c7gd", "m7gd.large"], "nvme_scratch": True},
    "nodes": {"type": "on_demand", "instance_types": ["c6i"], "placement_group": True, "placement_zone": 2},
    "graviton": {"type": "fargate_spot", "architecture": "arm64", "state": "disabled"},
    "managed": {
        "type": "managed_instances",
        "instance_types": ["m6id", "c6id.large"],
        "nvme_scratch": True,
        "storage_gib": 120,
    },
    "managed_spot": {"type": "managed_instances", "instance_types": ["m7g"], "spot": True, "max_vcpus": 5},
    "mine": {"type": "unmanaged", "vcpus": 96},
    "theirs": {"type": "existing", "arn": "arn:aws:batch:eu-west-1:111122223333:compute-environment/theirs"},
}


@pytest.fixture(scope="session")
def _text(new_app: Callable[[], Any], cdk: Any) -> str:
    from batch_stack.compute.factory import compute_environment  # noqa: PLC0415 # loads aws_cdk
    from batch_stack.network.network import Network  # noqa: PLC0415

    tiers = {"any": {"priority": 1, "compute": ["plain"]}}
    network = {"mode": "private_with_nat"}
    settings = parse_settings({"network": network, "compute": KINDS, "tiers": tiers}, source="t")
    stack = cdk.Stack(new_app(), "Kinds")
    cdk.Tags.of(stack).add("team", "video")
    where = Network(stack, "Network", settings=settings.network)
    made = {
        name: compute_environment(stack, name.replace("_", ""), network=where, settings=one)
        for name, one in settings.compute.items()
    }
    for number, (name, one) in enumerate(made.items()):
        cdk.aws_batch.JobQueue(
            stack,
            f"{name}Queue",
            priority=number,
            compute_environments=[
                cdk.aws_batch.OrderedComputeEnvironment(compute_environment=one.resource, order=1)
            ],
        )
    return json.dumps(cdk.assertions.Template.from_stack(stack).to_json())


@pytest.fixture
def kinds(_text: str) -> dict[str, dict[str, Any]]:
    """The resources of a stack with one compute environment of each kind, and a queue for each."""
    return dict(json.loads(_text)["Resources"])


def _environment(kinds: Mapping[str, Any], name: str) -> Any:
    """The compute environment that the queue of this name uses: a resource, or an ARN."""
    order = list(KINDS).index(name)
    (queue,) = (
        r["Properties"]
        for r in kinds.values()
        if r["Type"] == "AWS::Batch::JobQueue" and r["Properties"]["Priority"] == order
    )
    used = queue["ComputeEnvironmentOrder"][0]["ComputeEnvironment"]
    return kinds[used["Fn::GetAtt"][0]] if isinstance(used, dict) else used


def _properties(kinds: Mapping[str, Any], name: str) -> dict[str, Any]:
    return dict(_environment(kinds, name)["Properties"])


def _resources(kinds: Mapping[str, Any], name: str) -> dict[str, Any]:
    return dict(_properties(kinds, name)["ComputeResources"])


def _statements(role: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for policy in role["Properties"].get("Policies", []):
        yield from policy["PolicyDocument"]["Statement"]


def _list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list) else [value]


@pytest.mark.parametrize("name", [name for name in KINDS if name != "theirs"])
def test_none_is_named_tagged_or_replaced(kinds: dict[str, Any], name: str) -> None:
    properties = _properties(kinds, name)
    assert properties["ReplaceComputeEnvironment"] is False
    assert not {"ComputeEnvironmentName", "Tags"} & set(properties)
    disabled = KINDS[name].get("state") == "disabled"
    assert properties["State"] == ("DISABLED" if disabled else "ENABLED")


def test_no_edit_of_limits_orders_newer_images_and_with_them_new_instances(kinds: dict[str, Any]) -> None:
    for name in KINDS:
        if name != "theirs":
            assert "UpdateToLatestImageVersion" not in _properties(kinds, name).get("ComputeResources", {})


@pytest.mark.parametrize(("name", "minutes"), [("plain", 60), ("gpu", 7200)])
def test_jobs_have_as_long_as_they_are_given_to_leave_old_instances(
    kinds: dict[str, Any], name: str, minutes: int
) -> None:
    assert _properties(kinds, name)["UpdatePolicy"] == {
        "JobExecutionTimeoutMinutes": minutes,
        "TerminateJobsOnUpdate": False,
    }


@pytest.mark.parametrize(
    ("name", "images"),
    [
        ("plain", ["ECS_AL2023"]),
        ("gpu", ["ECS_AL2023_NVIDIA"]),
        ("mixed", ["ECS_AL2023", "ECS_AL2023_NVIDIA"]),
        ("arm", ["ECS_AL2023"]),
    ],
)
def test_images_suit_the_instance_types(kinds: dict[str, Any], name: str, images: list[str]) -> None:
    configured = _resources(kinds, name)["Ec2Configuration"]
    assert sorted(entry["ImageType"] for entry in configured) == images


def test_nodes_are_close_together_in_one_zone_and_speak_to_each_other_only(kinds: dict[str, Any]) -> None:
    nodes, others = _resources(kinds, "nodes"), _resources(kinds, "plain")
    group = kinds[nodes["PlacementGroup"]["Fn::GetAtt"][0]]
    jobs, own = nodes["SecurityGroupIds"]
    rules = [r["Properties"] for r in kinds.values() if r["Type"] == "AWS::EC2::SecurityGroupIngress"]

    assert (group["Type"], group["Properties"]["Strategy"]) == ("AWS::EC2::PlacementGroup", "cluster")
    assert nodes["Subnets"] == others["Subnets"][1:2]
    assert others["SecurityGroupIds"] == [jobs]
    assert "PlacementGroup" not in others
    (rule,) = rules
    assert rule["GroupId"] == rule["SourceSecurityGroupId"] == own
    assert rule["IpProtocol"] == "-1"
    assert all("SecurityGroupIngress" not in r["Properties"] for r in kinds.values() if "Properties" in r)


@pytest.mark.parametrize(("name", "option"), [("managed", "ON_DEMAND"), ("managed_spot", "SPOT")])
def test_managed_instances_are_described_to_ecs(kinds: dict[str, Any], name: str, option: str) -> None:
    resources, settings = _resources(kinds, name), KINDS[name]
    provider = resources["ManagedInstancesProvider"]
    launch = provider["InstanceLaunchTemplate"]
    profile = kinds[launch["Ec2InstanceProfileArn"]["Fn::GetAtt"][0]]
    (instance_role,) = profile["Properties"]["Roles"]
    infrastructure = kinds[provider["InfrastructureRoleArn"]["Fn::GetAtt"][0]]
    passing = [s for s in _statements(infrastructure) if s["Action"] == "iam:PassRole"]

    assert set(resources) == {"CapacityTags", "ManagedInstancesProvider", "MaxvCpus", "Type"}
    assert resources["Type"] == "ECS_MANAGED_INSTANCES"
    assert resources["MaxvCpus"] == settings.get("max_vcpus", 64)
    assert launch["CapacityOptionType"] == option
    assert launch["InstanceRequirements"] == {"AllowedInstanceTypes": settings["instance_types"]}
    assert launch["StorageConfiguration"] == {"StorageSizeGiB": settings.get("storage_gib", 80)}
    local = launch.get("LocalStorageConfiguration")
    assert local == ({"UseLocalStorage": True} if "nvme_scratch" in settings else None)
    assert launch["NetworkConfiguration"]["Subnets"] == _resources(kinds, "plain")["Subnets"]
    assert launch["NetworkConfiguration"]["SecurityGroups"] == _resources(kinds, "plain")["SecurityGroupIds"]
    # AWS's own policy would pass roles of one name only, and all of that name.
    assert [s["Resource"] for s in passing] == [{"Fn::GetAtt": [instance_role["Ref"], "Arn"]}]
    assert passing[0]["Condition"] == {"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}}
    linked = [s for s in _statements(infrastructure) if s["Action"] == "iam:CreateServiceLinkedRole"]
    assert len(linked) == (1 if option == "SPOT" else 0)
    assert any("DefaultRoute" in needed for needed in _environment(kinds, name)["DependsOn"])


@pytest.mark.parametrize("name", ["managed", "managed_spot"])
def test_instances_of_ecs_have_the_tags_that_the_environment_must_not_have(
    kinds: dict[str, Any], name: str
) -> None:
    resources = _resources(kinds, name)
    path = f"Kinds/{name.replace('_', '')}"
    assert resources["CapacityTags"] == {"team": "video", "batch-stack-compute-environment": path}
    assert resources["ManagedInstancesProvider"]["PropagateTags"] == "CAPACITY_PROVIDER"


def test_what_ecs_launches_is_marked_as_its_own(kinds: dict[str, Any]) -> None:
    provider = _resources(kinds, "managed")["ManagedInstancesProvider"]
    infrastructure = kinds[provider["InfrastructureRoleArn"]["Fn::GetAtt"][0]]
    for statement in _statements(infrastructure):
        made = [arn for arn in _list(statement["Resource"]) if ":instance/*" in json.dumps(arn)]
        for action in {"ec2:CreateFleet", "ec2:RunInstances"} & set(_list(statement["Action"])):
            if made:
                expected = {"StringEquals": {"aws:RequestTag/AmazonECSManaged": "true"}}
                assert statement["Condition"] == expected, action


def test_ecs_launches_into_the_subnets_and_the_security_group_of_the_network_only(
    kinds: dict[str, Any],
) -> None:
    provider = _resources(kinds, "managed")["ManagedInstancesProvider"]
    infrastructure = kinds[provider["InfrastructureRoleArn"]["Fn::GetAtt"][0]]
    network = provider["InstanceLaunchTemplate"]["NetworkConfiguration"]
    places = [
        arn["Fn::Join"][1]
        for statement in _statements(infrastructure)
        for arn in _list(statement["Resource"])
        if any(kind in json.dumps(arn) for kind in (":subnet/", ":security-group/"))
    ]
    assert [parts[-1] for parts in places if ":subnet/" in parts[-2]] == network["Subnets"]
    assert [parts[-1] for parts in places if ":security-group/" in parts[-2]] == network["SecurityGroups"]


@pytest.mark.parametrize("name", ["managed", "managed_spot"])
def test_instances_of_ecs_do_what_their_agent_does_in_clusters_of_aws_batch_only(
    kinds: dict[str, Any], name: str
) -> None:
    launch = _resources(kinds, name)["ManagedInstancesProvider"]["InstanceLaunchTemplate"]
    (role,) = kinds[launch["Ec2InstanceProfileArn"]["Fn::GetAtt"][0]]["Properties"]["Roles"]
    on_cluster, on_instance, unbound = {}, {}, set()
    for statement in _statements(kinds[role["Ref"]]):
        resources = json.dumps(statement["Resource"])
        actions = _list(statement["Action"])
        if statement["Resource"] == "*":
            unbound |= set(actions)
        elif ":container-instance/*" in resources:
            on_instance |= dict.fromkeys(actions, statement["Condition"]["ArnLike"]["ecs:cluster"])
        else:
            on_cluster |= dict.fromkeys(actions, statement["Resource"])
    assert unbound == {"ecs:DiscoverPollEndpoint"}
    assert set(on_instance) == {"ecs:Poll", "ecs:PutSystemLogEvents", "ecs:StartTelemetrySession"}
    assert set(on_cluster) == {
        "ecs:PutSystemLogEvents",
        "ecs:RegisterContainerInstance",
        "ecs:SubmitAttachmentStateChanges",
        "ecs:SubmitTaskStateChange",
    }
    for arns in [*on_instance.values(), *on_cluster.values()]:
        assert {arn["Fn::Join"][1][-1] for arn in arns} == {":cluster/AWSBatch*", ":cluster/*_Batch_*"}


def test_an_unmanaged_environment_has_a_role_that_reaches_no_instances(kinds: dict[str, Any]) -> None:
    properties = _properties(kinds, "mine")
    role = kinds[properties["ServiceRole"]["Fn::GetAtt"][0]]
    (trust,) = role["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    services = {action.split(":")[0] for s in _statements(role) for action in _list(s["Action"])}

    assert properties["Type"].upper() == "UNMANAGED"
    assert "ComputeResources" not in properties
    assert properties["UnmanagedvCpus"] == 96
    assert services == {"ecs", "iam", "logs"}
    assert "ManagedPolicyArns" not in role["Properties"]
    assert set(trust["Condition"]) == {"StringEquals", "ArnLike"}


def test_an_existing_environment_is_used_by_its_arn(kinds: dict[str, Any]) -> None:
    assert _environment(kinds, "theirs") == KINDS["theirs"]["arn"]


# What AWS lets be bound to no resource: describing actions of EC2 and ECS, and the agent's first call.
UNBOUND = {"DiscoverPollEndpoint", "DeregisterTaskDefinition"}


def test_roles_have_no_wildcard_actions_and_are_bound_where_aws_allows_it(kinds: dict[str, Any]) -> None:
    roles = {name: r for name, r in kinds.items() if r["Type"] == "AWS::IAM::Role"}
    assert len(roles) == 5 + 2 * 2 + 1  # of instances; of ECS and its instances; of AWS Batch
    for name, role in roles.items():
        for statement in _statements(role):
            for action in _list(statement["Action"]):
                verb = action.partition(":")[2]
                assert "*" not in action, name
                if _list(statement["Resource"]) == ["*"]:
                    assert verb in UNBOUND or verb.startswith(("Describe", "List")), (name, action)


def test_nodes_in_public_subnets_are_warned_of(new_app: Callable[[], Any], cdk: Any) -> None:
    from batch_stack import Ec2ComputeEnvironment, Network  # noqa: PLC0415 # loads aws_cdk
    from batch_stack.settings.compute.ec2 import OnDemandSettings  # noqa: PLC0415

    stack = cdk.Stack(new_app(), "Warned")
    network = Network(stack, "Network")
    Ec2ComputeEnvironment(stack, "Nodes", network=network, settings=OnDemandSettings(placement_group=True))
    warnings = cdk.assertions.Annotations.from_stack(stack).find_warning(
        "*", cdk.assertions.Match.string_like_regexp("nodes of multi-node parallel jobs")
    )
    assert [warning.id for warning in warnings] == ["/Warned/Nodes"]
    far = OnDemandSettings(placement_group=True, placement_zone=3)
    zones = (
        "placement_zone must be between 1 and 2, the number of Availability Zones of Warned/Network, got 3"
    )
    with pytest.raises(ValueError, match=zones):
        Ec2ComputeEnvironment(stack, "Far", network=network, settings=far)


VOLUMES = "/var/lib/docker/volumes"
STUBS = {
    "mountpoint": 'grep -q "^mount $2$" "$LOG"',
    "blkid": 'grep -q "^mkfs.xfs -L scratch" "$LOG"',
    "lsblk": 'for d in $DISKS; do echo "$d Amazon EC2 NVMe Instance Storage"; done\n'
    'echo "/dev/nvme0n1 Amazon Elastic Block Store"',
    **{name: f'echo "{name} $*" >> "$LOG"' for name in ("mdadm", "mkfs.xfs", "mount")},
}


@pytest.fixture
def boot(tmp_path: Path, kinds: dict[str, Any]) -> Callable[[str], list[str]]:
    """Runs what makes the scratch volume, of the user data, among stubs; says what it did."""
    template = kinds[_resources(kinds, "arm")["LaunchTemplate"]["LaunchTemplateId"]["Ref"]]
    user_data = json.dumps(template["Properties"]["LaunchTemplateData"]["UserData"])
    from batch_stack.compute.user_data import _SCRATCH  # noqa: PLC0415 # loads aws_cdk

    assert json.dumps(_SCRATCH)[1:-1] in user_data
    (tmp_path / "bin").mkdir()
    for name, body in STUBS.items():
        path = tmp_path / "bin" / name
        path.write_text(f"#!/bin/bash\n{body}\n")
        path.chmod(0o755)
    for name in ("fstab", "log"):
        (tmp_path / name).touch()
    # The paths of this machine are not touched: those of the script are put below the test's folder.
    text = _SCRATCH.replace("/etc/fstab", f"{tmp_path}/fstab").replace(VOLUMES, f"{tmp_path}{VOLUMES}")

    def run(disks: str) -> list[str]:
        environment = {"PATH": f"{tmp_path}/bin:/usr/bin:/bin", "LOG": f"{tmp_path}/log", "DISKS": disks}
        command = ["/bin/bash", "-e", "-u", "-o", "pipefail", "-c", text]
        result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stderr
        return (tmp_path / "log").read_text().replace(str(tmp_path), "").splitlines()

    return run


MOUNTED = f"mount {VOLUMES}"


def test_one_disk_holds_the_volumes_of_jobs(boot: Callable[[str], list[str]], tmp_path: Path) -> None:
    assert boot("/dev/nvme1n1") == ["mkfs.xfs -L scratch /dev/nvme1n1", MOUNTED]
    (line,) = (tmp_path / "fstab").read_text().replace(str(tmp_path), "").splitlines()
    options = "defaults,noatime,nofail,x-systemd.before=docker.service"
    assert line == f"LABEL=scratch {VOLUMES} xfs {options} 0 2"
    assert Path(f"{tmp_path}{VOLUMES}").stat().st_mode & 0o777 == 0o701


def test_several_disks_become_one_volume_once(boot: Callable[[str], list[str]], tmp_path: Path) -> None:
    disks = "/dev/nvme1n1 /dev/nvme2n1"
    made = [
        f"mdadm --create /dev/md/scratch --run --level=0 --raid-devices=2 {disks}",
        "mkfs.xfs -L scratch /dev/md/scratch",
    ]
    assert boot(disks) == [*made, MOUNTED]
    assert boot(disks) == [*made, MOUNTED], "nothing more is done"
    # After a restart the volume is there and not mounted: it is, and nothing on it is lost.
    (tmp_path / "log").write_text(f"{made[1]}\n")
    assert boot(disks) == [made[1], MOUNTED]
    assert len((tmp_path / "fstab").read_text().splitlines()) == 1


def test_without_a_disk_docker_is_left_alone(boot: Callable[[str], list[str]]) -> None:
    assert boot("") == []


def test_only_environments_that_ask_for_it_touch_their_disks(kinds: dict[str, Any]) -> None:
    templates = {
        name: json.dumps(kinds[_resources(kinds, name)["LaunchTemplate"]["LaunchTemplateId"]["Ref"]])
        for name in ("arm", "gpu", "plain")
    }
    assert [name for name, text in templates.items() if "mkfs" in text] == ["arm"]


def test_the_agent_cleans_up_sooner_than_by_default(kinds: dict[str, Any]) -> None:
    text = json.dumps(kinds[_resources(kinds, "plain")["LaunchTemplate"]["LaunchTemplateId"]["Ref"]])
    for setting in ("ECS_ENGINE_TASK_CLEANUP_WAIT_DURATION=10m", "ECS_IMAGE_CLEANUP_INTERVAL=10m"):
        assert f"echo {setting} >> /etc/ecs/ecs.config" in text
