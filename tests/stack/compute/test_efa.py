"""Elastic Fabric Adapters: interfaces, security groups, and what jobs on them are given."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from batch_stack.settings.base.errors import SettingsError

pytestmark = pytest.mark.stack

Resources = dict[str, dict[str, Any]]
IMAGE = "111122223333.dkr.ecr.eu-west-1.amazonaws.com/solver:1"  # isolated subnets reach no other registry


def _settings(instance_types: list[str], **more: Any) -> dict[str, Any]:
    fabric = {"type": "on_demand", "instance_types": instance_types, "placement_group": True, "efa": True}
    return {
        "network": {"mode": "private_with_nat"},
        "compute": {
            "fabric": {**fabric, "max_vcpus": 512},
            "close": {"type": "on_demand", "instance_types": ["c6in"], "placement_group": True},
        },
        "tiers": {
            "fast": {"priority": 2, "compute": ["fabric"]},
            "any": {"priority": 1, "compute": ["fabric", "close"]},
        },
        "jobs": {
            "solve": {"image": IMAGE, "tiers": ["fast"], "nodes": {"count": 2, "groups": [{"nodes": "0"}]}},
            "spread": {"image": IMAGE, "tiers": ["fast", "any"], "nodes": {"count": 2}},
            "single": {"image": IMAGE, "tiers": ["fast"]},
        },
        **more,
    }


@pytest.fixture
def template(synth: Callable[..., dict[str, Any]]) -> dict[str, Any]:
    return synth(_settings(["c6in.32xlarge", "hpc7a.96xlarge"]))


@pytest.fixture
def resources(template: dict[str, Any]) -> Resources:
    return dict(template["Resources"])


def _only(resources: Resources, kind: str, prefix: str) -> dict[str, Any]:
    (found,) = (r for name, r in resources.items() if r["Type"] == kind and name.startswith(prefix))
    return dict(found["Properties"])


def _interfaces(resources: Resources, prefix: str = "FabricCompute") -> list[dict[str, Any]]:
    data = _only(resources, "AWS::EC2::LaunchTemplate", prefix)["LaunchTemplateData"]
    return list(data.get("NetworkInterfaces", []))


def _containers(resources: Resources, prefix: str) -> list[dict[str, Any]]:
    properties = _only(resources, "AWS::Batch::JobDefinition", prefix)
    if "ContainerProperties" in properties:
        return [properties["ContainerProperties"]]
    return [one["Container"] for one in properties["NodeProperties"]["NodeRangeProperties"]]


def _groups(resources: Resources) -> tuple[str, str]:
    """The logical ids of the security groups of all jobs and of the nodes with EFA."""
    names = [name for name, r in resources.items() if r["Type"] == "AWS::EC2::SecurityGroup"]
    (jobs,) = (name for name in names if name.startswith("NetworkJob"))
    (nodes,) = (name for name in names if name.startswith("FabricCompute"))
    return jobs, nodes


def test_cfn_lint_has_nothing_to_say(template: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "efa.template.json"
    path.write_text(json.dumps(template))
    command = [str(Path(sys.executable).parent / "cfn-lint"), str(path)]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_each_network_card_has_an_interface_and_the_first_an_address(resources: Resources) -> None:
    first, second = _interfaces(resources)
    jobs, nodes = _groups(resources)

    assert (first["NetworkCardIndex"], first["DeviceIndex"], first["InterfaceType"]) == (0, 0, "efa")
    assert (second["NetworkCardIndex"], second["DeviceIndex"], second["InterfaceType"]) == (1, 1, "efa-only")
    assert [group["Fn::GetAtt"] for group in first["Groups"]] == [[jobs, "GroupId"], [nodes, "GroupId"]]
    assert [group["Fn::GetAtt"] for group in second["Groups"]] == [[nodes, "GroupId"]]
    for interface in (first, second):
        assert interface["DeleteOnTermination"] is True
        assert "SubnetId" not in interface, "the compute environment's is taken"
        assert "AssociatePublicIpAddress" not in interface
    assert _interfaces(resources, "CloseCompute") == []


def test_security_groups_are_given_in_one_place_only(resources: Resources) -> None:
    kind = "AWS::Batch::ComputeEnvironment"
    fabric = _only(resources, kind, "FabricCompute")["ComputeResources"]
    close = _only(resources, kind, "CloseCompute")["ComputeResources"]

    assert "SecurityGroupIds" not in fabric
    assert len(close["SecurityGroupIds"]) == 2
    assert len(fabric["Subnets"]) == 1
    assert resources[fabric["PlacementGroup"]["Fn::GetAtt"][0]]["Properties"]["Strategy"] == "cluster"
    data = _only(resources, "AWS::EC2::LaunchTemplate", "FabricCompute")["LaunchTemplateData"]
    assert "SecurityGroupIds" not in data


@pytest.mark.parametrize(
    ("direction", "other"), [("Ingress", "SourceSecurityGroupId"), ("Egress", "DestinationSecurityGroupId")]
)
def test_all_traffic_passes_among_the_nodes_in_both_directions(
    resources: Resources, direction: str, other: str
) -> None:
    _, nodes = _groups(resources)
    rule = _only(resources, f"AWS::EC2::SecurityGroup{direction}", "FabricCompute")
    assert rule["GroupId"] == rule[other] == {"Fn::GetAtt": [nodes, "GroupId"]}
    assert rule["IpProtocol"] == "-1"
    # A group without a rule of its own would be given one by EC2 that allows everything.
    (none,) = resources[nodes]["Properties"]["SecurityGroupEgress"]
    assert none["CidrIp"] == "255.255.255.255/32"


DATA = {
    "network": {"mode": "isolated"},
    "results": {"database": {}},
    "storage": {"file_system": {"access_points": {"all": {"path": "/all"}}}},
}


def _admitted(template: dict[str, Any], port: int) -> list[Any]:
    rules = [r for r in template["Resources"].values() if r["Type"] == "AWS::EC2::SecurityGroupIngress"]
    return [
        rule["Properties"]["SourceSecurityGroupId"]["Fn::GetAtt"][1]
        for rule in rules
        if rule["Properties"].get("FromPort") == port
    ]


@pytest.mark.parametrize("port", [443, 5432, 2049])
def test_nodes_reach_what_other_jobs_do_although_they_are_in_the_default_group(
    synth: Callable[..., dict[str, Any]], port: int
) -> None:
    """AWS Batch gives containers of nodes the group of the VPC where the environment names none."""
    with_efa = _settings(["c6in.32xlarge"], **DATA)
    assert sorted(_admitted(synth(with_efa), port)) == ["DefaultSecurityGroup", "GroupId"]
    fabric = {**with_efa["compute"]["fabric"], "efa": False}
    without = {**with_efa, "compute": {**with_efa["compute"], "fabric": fabric}}
    assert _admitted(synth(without), port) == ["GroupId"]


def test_of_a_vpc_that_exists_the_default_group_is_somebody_elses(
    new_app: Callable[[], Any], cdk: Any
) -> None:
    from batch_stack import Ec2ComputeEnvironment, Network  # noqa: PLC0415 # loads aws_cdk
    from batch_stack.settings.compute.ec2 import OnDemandSettings  # noqa: PLC0415
    from batch_stack.settings.network import ExistingNetworkSettings  # noqa: PLC0415

    stack = cdk.Stack(new_app(), "Warned", env=cdk.Environment(region="eu-west-1"))
    existing = ExistingNetworkSettings(
        mode="existing",
        vpc_id="vpc-0a000001",
        availability_zones=["eu-west-1a"],
        subnet_ids=["subnet-0a000001"],
    )
    settings = OnDemandSettings(instance_types=["c6in.32xlarge"], placement_group=True, efa=True)
    Ec2ComputeEnvironment(
        stack, "Nodes", network=Network(stack, "Network", settings=existing), settings=settings
    )
    warnings = cdk.assertions.Annotations.from_stack(stack).find_warning(
        "*", cdk.assertions.Match.string_like_regexp("default security group of the VPC")
    )
    assert [warning.id for warning in warnings] == ["/Warned/Nodes"]


@pytest.mark.parametrize(
    ("restricts", "warned"), [(None, ["/Given/Nodes"]), (True, ["/Given/Nodes"]), (False, [])]
)
def test_of_a_vpc_given_in_python_the_default_group_may_have_been_emptied(
    new_app: Callable[[], Any], cdk: Any, restricts: bool | None, warned: list[str]
) -> None:
    """None is what cdk.json has: the flag is on."""
    from batch_stack import Ec2ComputeEnvironment, Network  # noqa: PLC0415 # loads aws_cdk
    from batch_stack.settings.compute.ec2 import OnDemandSettings  # noqa: PLC0415

    stack = cdk.Stack(new_app(), "Given", env=cdk.Environment(region="eu-west-1"))
    vpc = cdk.aws_ec2.Vpc(stack, "Vpc", max_azs=1, restrict_default_security_group=restricts)
    network = Network.from_vpc(stack, "Network", vpc)
    settings = OnDemandSettings(instance_types=["c6in.32xlarge"], placement_group=True, efa=True)
    Ec2ComputeEnvironment(stack, "Nodes", network=network, settings=settings)

    warnings = cdk.assertions.Annotations.from_stack(stack).find_warning(
        "*", cdk.assertions.Match.string_like_regexp("default security group of the VPC")
    )
    assert [warning.id for warning in warnings] == warned
    assert len(network.clients) == (1 if warned else 2)


def test_the_driver_is_loaded_where_there_is_a_device(resources: Resources) -> None:
    def says(prefix: str) -> bool:
        return "modprobe efa ||" in json.dumps(_only(resources, "AWS::EC2::LaunchTemplate", prefix))

    assert (says("FabricCompute"), says("CloseCompute")) == (True, False)


def test_every_node_gets_the_devices_and_may_pin_memory(resources: Resources) -> None:
    containers = _containers(resources, "SolveJob")
    assert len(containers) == 2
    for container in containers:
        devices = container["LinuxParameters"]["Devices"]
        paths = [f"/dev/infiniband/uverbs{number}" for number in range(2)]
        # Permissions that are left out are all of them.
        assert devices == [{"HostPath": path, "ContainerPath": path} for path in paths]
        assert container["Ulimits"] == [{"Name": "memlock", "SoftLimit": -1, "HardLimit": -1}]
        assert container["Privileged"] is False


@pytest.mark.parametrize("job", ["SpreadJob", "SingleJob"])
def test_a_job_that_may_run_where_there_is_no_device_names_none(resources: Resources, job: str) -> None:
    for container in _containers(resources, job):
        assert "Devices" not in container["LinuxParameters"]
        assert "Ulimits" not in container


def test_one_interface_may_have_a_public_address_and_several_may_not(
    synth: Callable[..., dict[str, Any]],
) -> None:
    public = {"network": {"mode": "public"}}
    (first,) = _interfaces(synth(_settings(["c6i.32xlarge"], **public))["Resources"])
    assert first["AssociatePublicIpAddress"] is True
    with pytest.raises(SettingsError) as refused:
        synth(_settings(["p4d.24xlarge"], **public))
    assert str(refused.value) == (
        "subnets must be private for instances with 4 EFA interfaces, because EC2 gives a public address to "
        "a sole interface only, and without one they never join their cluster (network.mode private_with_nat "
        "or isolated), got public ones at batch-stack/Default/FabricCompute"
    )


def test_a_jobs_own_limits_are_added_and_replace_that_of_efa(synth: Callable[..., dict[str, Any]]) -> None:
    settings = _settings(["c6in.32xlarge"])
    settings["jobs"]["solve"]["ulimits"] = {"nofile": 65536}
    settings["jobs"]["single"]["ulimits"] = {"nofile": 65536}
    settings["jobs"]["spread"]["ulimits"] = {"memlock": 1024}
    settings["jobs"]["spread"]["tiers"] = ["fast"]
    resources = synth(settings)["Resources"]

    nofile = {"Name": "nofile", "SoftLimit": 65536, "HardLimit": 65536}
    pinned = {"Name": "memlock", "SoftLimit": -1, "HardLimit": -1}
    assert [one["Ulimits"] for one in _containers(resources, "SolveJob")] == [[pinned, nofile]] * 2
    assert [one["Ulimits"] for one in _containers(resources, "SingleJob")] == [[nofile]]
    own = {"Name": "memlock", "SoftLimit": 1024, "HardLimit": 1024}
    assert [one["Ulimits"] for one in _containers(resources, "SpreadJob")] == [[own]]
