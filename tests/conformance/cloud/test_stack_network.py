"""NAT, flow logs, placement groups and every kind of compute environment, in stacks of the local cloud."""

from typing import Any

import pytest

from tests.conformance.cloud.conftest import LocalCloud
from tests.conformance.cloud.test_stacks import Stack

pytestmark = pytest.mark.cloud


def _resource(kind: str, **properties: Any) -> dict[str, Any]:
    return {"Type": f"AWS::{kind}", "Properties": properties}


def _attribute(name: str, attribute: str) -> dict[str, Any]:
    return {"Fn::GetAtt": [name, attribute]}


def _template(*, tag: str = "one", strategy: str = "cluster") -> dict[str, Any]:
    vpc, group = {"Ref": "Vpc"}, _attribute("Group", "GroupId")
    rule = {"GroupId": group, "IpProtocol": "-1", "Description": "from the other nodes"}
    resources = {
        "Vpc": _resource("EC2::VPC", CidrBlock="10.0.0.0/16"),
        "Subnet": _resource("EC2::Subnet", VpcId=vpc, CidrBlock="10.0.0.0/20"),
        "Table": _resource("EC2::RouteTable", VpcId=vpc),
        "Address": _resource("EC2::EIP", Domain="vpc", Tags=[{"Key": "team", "Value": tag}]),
        "Nat": _resource(
            "EC2::NatGateway",
            SubnetId={"Ref": "Subnet"},
            AllocationId=_attribute("Address", "AllocationId"),
            Tags=[{"Key": "team", "Value": tag}],
        ),
        "Route": _resource(
            "EC2::Route",
            RouteTableId={"Ref": "Table"},
            DestinationCidrBlock="0.0.0.0/0",
            NatGatewayId={"Ref": "Nat"},
        ),
        "Logs": _resource("Logs::LogGroup", RetentionInDays=7),
        "FlowLog": _resource(
            "EC2::FlowLog",
            ResourceId=vpc,
            ResourceType="VPC",
            TrafficType="ALL",
            LogGroupName={"Ref": "Logs"},
            DeliverLogsPermissionArn="arn:aws:iam::000000000000:role/logs",
            MaxAggregationInterval=60,
        ),
        "Group": _resource("EC2::SecurityGroup", VpcId=vpc, GroupDescription="nodes"),
        "Among": _resource("EC2::SecurityGroupIngress", **rule, SourceSecurityGroupId=group),
        "Out": _resource(
            "EC2::SecurityGroupEgress",
            GroupId=group,
            IpProtocol="tcp",
            FromPort=443,
            ToPort="443",
            CidrIp="10.0.0.0/16",
        ),
        "Placement": _resource("EC2::PlacementGroup", Strategy=strategy),
    }
    outputs = {name: {"Value": {"Ref": name}} for name in resources}
    outputs["AllocationId"] = {"Value": _attribute("Address", "AllocationId")}
    outputs["GroupName"] = {"Value": _attribute("Placement", "GroupName")}
    outputs["GroupId"] = {"Value": group}
    outputs["FlowLogId"] = {"Value": _attribute("FlowLog", "Id")}
    return {"Resources": resources, "Outputs": outputs}


def test_what_private_networks_and_nodes_need_is_there_until_the_stack_is_deleted(cloud: LocalCloud) -> None:
    stack, ec2 = Stack(cloud, "network"), cloud.client("ec2")
    assert stack.deploy(_template()) == "CREATE_COMPLETE", stack.reasons()
    out = stack.outputs()

    (nat,) = ec2.describe_nat_gateways(NatGatewayIds=[out["Nat"]])["NatGateways"]
    assert (nat["SubnetId"], nat["VpcId"], nat["State"]) == (out["Subnet"], out["Vpc"], "available")
    (address,) = ec2.describe_addresses(AllocationIds=[out["AllocationId"]])["Addresses"]
    assert address["PublicIp"] == out["Address"]
    (table,) = ec2.describe_route_tables(RouteTableIds=[out["Table"]])["RouteTables"]
    assert out["Nat"] in [route.get("NatGatewayId") for route in table["Routes"]]
    (log,) = ec2.describe_flow_logs(FlowLogIds=[out["FlowLog"]])["FlowLogs"]
    assert (log["ResourceId"], log["LogDestination"]) == (out["Vpc"], out["Logs"])
    assert out["FlowLogId"] == out["FlowLog"]
    (placement,) = ec2.describe_placement_groups(GroupNames=[out["Placement"]])["PlacementGroups"]
    assert placement["Strategy"] == "cluster"
    assert out["GroupName"] == out["Placement"]
    (group,) = ec2.describe_security_groups(GroupIds=[out["GroupId"]])["SecurityGroups"]
    (among,) = group["IpPermissions"]
    assert [pair["GroupId"] for pair in among["UserIdGroupPairs"]] == [out["GroupId"]]
    assert {rule.get("ToPort") for rule in group["IpPermissionsEgress"]} >= {443}

    stack.delete()
    left = ec2.describe_nat_gateways(NatGatewayIds=[out["Nat"]])["NatGateways"]
    assert {gateway["State"] for gateway in left} <= {"deleted"}
    everything = ec2.describe_addresses()["Addresses"]
    assert out["AllocationId"] not in [address["AllocationId"] for address in everything]
    assert ec2.describe_flow_logs(FlowLogIds=[out["FlowLog"]])["FlowLogs"] == []


def test_tags_change_in_place_and_all_else_by_replacement(cloud: LocalCloud) -> None:
    stack, ec2 = Stack(cloud, "changes"), cloud.client("ec2")
    assert stack.deploy(_template()) == "CREATE_COMPLETE", stack.reasons()
    first = stack.outputs()
    changed = _template(tag="two", strategy="spread")
    assert stack.deploy(changed, update=True) == "UPDATE_COMPLETE", stack.reasons()
    second = stack.outputs()

    assert {name for name in first if first[name] != second[name]} == {"Placement", "GroupName"}
    (address,) = ec2.describe_addresses(AllocationIds=[second["AllocationId"]])["Addresses"]
    assert {"Key": "team", "Value": "two"} in address["Tags"]
    names = [group["GroupName"] for group in ec2.describe_placement_groups()["PlacementGroups"]]
    assert second["Placement"] in names
    assert first["Placement"] not in names
    stack.delete()


def test_a_property_that_is_not_known_is_refused_by_name(cloud: LocalCloud) -> None:
    stack = Stack(cloud, "unknown")
    resources = {"Nat": _resource("EC2::NatGateway", SubnetId="subnet-1", AvailabilityMode="regional")}
    assert stack.deploy({"Resources": resources}) in {"ROLLBACK_COMPLETE", "CREATE_FAILED"}
    assert "extraneous key [AvailabilityMode] is not supported by the local cloud" in stack.reasons()


def test_every_kind_of_compute_environment_becomes_usable(cloud: LocalCloud) -> None:
    """Nodes, managed instances and unmanaged ones, as the constructs write them."""
    launch = {
        "Ec2InstanceProfileArn": "arn:aws:iam::000000000000:instance-profile/p",
        "NetworkConfiguration": {"Subnets": ["subnet-1"], "SecurityGroups": ["sg-1"]},
        "CapacityOptionType": "SPOT",
        "InstanceRequirements": {"AllowedInstanceTypes": ["m6i"]},
        "StorageConfiguration": {"StorageSizeGiB": 80},
        "LocalStorageConfiguration": {"UseLocalStorage": True},
    }
    role = "arn:aws:iam::000000000000:role/r"
    managed = {
        "Type": "ECS_MANAGED_INSTANCES",
        "MaxvCpus": 4,
        "CapacityTags": {"team": "video"},
        "ManagedInstancesProvider": {
            "InfrastructureRoleArn": role,
            "InstanceLaunchTemplate": launch,
            "PropagateTags": "CAPACITY_PROVIDER",
        },
    }
    nodes = {
        "Type": "EC2",
        "MinvCpus": 0,
        "MaxvCpus": 4,
        "InstanceTypes": ["g5"],
        "Ec2Configuration": [{"ImageType": "ECS_AL2023_NVIDIA"}],
        "AllocationStrategy": "BEST_FIT_PROGRESSIVE",
        "PlacementGroup": {"Ref": "Placement"},
        "Subnets": ["subnet-1"],
        "InstanceRole": "ecsInstanceRole",
        # With EFA the launch template has the security groups.
        "LaunchTemplate": {
            "LaunchTemplateId": {"Ref": "Fabric"},
            "Version": _attribute("Fabric", "LatestVersionNumber"),
        },
    }
    interface = {"DeleteOnTermination": True, "Groups": ["sg-1"]}
    interfaces = [
        {**interface, "NetworkCardIndex": 0, "DeviceIndex": 0, "InterfaceType": "efa"},
        {**interface, "NetworkCardIndex": 1, "DeviceIndex": 1, "InterfaceType": "efa-only"},
    ]
    ce = "Batch::ComputeEnvironment"
    resources = {
        "Placement": _resource("EC2::PlacementGroup", Strategy="cluster"),
        "Fabric": _resource("EC2::LaunchTemplate", LaunchTemplateData={"NetworkInterfaces": interfaces}),
        "Managed": _resource(ce, Type="managed", ReplaceComputeEnvironment=False, ComputeResources=managed),
        "Nodes": _resource(ce, Type="managed", ReplaceComputeEnvironment=False, ComputeResources=nodes),
        "Mine": _resource(
            ce, Type="unmanaged", ServiceRole=role, UnmanagedvCpus=9, ReplaceComputeEnvironment=False
        ),
    }
    for number, name in enumerate(("Managed", "Nodes", "Mine")):
        order = [{"ComputeEnvironment": {"Ref": name}, "Order": 1}]
        resources[f"{name}Queue"] = _resource(
            "Batch::JobQueue", Priority=number, ComputeEnvironmentOrder=order
        )
    outputs = {name: {"Value": {"Ref": name}} for name in resources}
    stack = Stack(cloud, "kinds")
    assert stack.deploy({"Resources": resources, "Outputs": outputs}) == "CREATE_COMPLETE", stack.reasons()
    out = stack.outputs()

    found = {ce["computeEnvironmentArn"]: ce for ce in stack.environments()}
    assert {found[out[name]]["status"] for name in ("Managed", "Nodes", "Mine")} == {"VALID"}
    provider = found[out["Managed"]]["computeResources"]["managedInstancesProvider"]
    assert provider["instanceLaunchTemplate"]["storageConfiguration"] == {"storageSizeGiB": 80}
    assert found[out["Managed"]]["computeResources"]["capacityTags"] == {"team": "video"}
    assert provider["propagateTags"] == "CAPACITY_PROVIDER"
    fabric = found[out["Nodes"]]["computeResources"]
    assert fabric["placementGroup"] == out["Placement"]
    assert fabric["launchTemplate"]["launchTemplateId"] == out["Fabric"]
    assert not fabric.get("securityGroupIds")
    assert found[out["Mine"]]["unmanagedvCpus"] == 9

    managed["CapacityTags"] = {"team": "audio"}
    assert stack.deploy({"Resources": resources, "Outputs": outputs}, update=True) == "UPDATE_COMPLETE"
    assert stack.outputs() == out, "tags of instances replace nothing"
    found = {ce["computeEnvironmentArn"]: ce for ce in stack.environments()}
    assert found[out["Managed"]]["computeResources"]["capacityTags"] == {"team": "audio"}
    stack.delete()
