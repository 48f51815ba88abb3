"""Resource types of Amazon EC2, carried out through the EC2 API.

They are records: nothing on this machine translates addresses, logs traffic or separates networks. But stacks
with them deploy, other resources refer to them, and EC2 describes them until the stack is deleted.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from batch_engine.local.aws.client import CallError
from batch_engine.local.cloudformation.resource import (
    Call,
    Resource,
    ResourceError,
    carry_out,
    check_known,
    generated_name,
)

_PEERS: Mapping[str, tuple[str, str]] = {
    "CidrIp": ("IpRanges", "CidrIp"),
    "CidrIpv6": ("Ipv6Ranges", "CidrIpv6"),
    "SourcePrefixListId": ("PrefixListIds", "PrefixListId"),
    "DestinationPrefixListId": ("PrefixListIds", "PrefixListId"),
    "SourceSecurityGroupId": ("UserIdGroupPairs", "GroupId"),
    "DestinationSecurityGroupId": ("UserIdGroupPairs", "GroupId"),
}


@dataclass(frozen=True, slots=True)
class _Kind:
    """A resource type.

    Args:
        operation: the operation that creates a resource.
        tagged: the type's name in EC2's tag specifications; None if it takes no tags.
        properties: the names of its properties, without ``Tags``.
        identify: returns the physical id from the answer of the operation.
        attributes: returns the attributes for a physical id; the first is the resource's id in EC2.
        remove: deletes the resource with a physical id.
    """

    operation: str
    tagged: str | None
    properties: frozenset[str]
    identify: Callable[[Mapping[str, Any]], str]
    attributes: Callable[[Call, str], dict[str, str]]
    remove: Callable[[Call, str], object]


def _address(call: Call, physical_id: str) -> dict[str, str]:
    found = call("DescribeAddresses", {"PublicIps": [physical_id]}).get("Addresses") or []
    # The physical id is the address, since Ref returns it.
    return {
        name: address[name]
        for address in found
        for name in ("AllocationId", "PublicIp")
        if address["PublicIp"] == physical_id
    }


def _release(call: Call, physical_id: str) -> None:
    if address := _address(call, physical_id):
        call("ReleaseAddress", {"AllocationId": address["AllocationId"]})


def _known_as(name: str) -> Callable[[Call, str], dict[str, str]]:
    return lambda _, physical_id: {name: physical_id}


def _revoke(operation: str) -> Callable[[Call, str], None]:
    def revoke(call: Call, physical_id: str) -> None:
        rules = call("DescribeSecurityGroupRules", {"SecurityGroupRuleIds": [physical_id]})
        for rule in rules.get("SecurityGroupRules") or []:
            call(operation, {"GroupId": rule["GroupId"], "SecurityGroupRuleIds": [physical_id]})

    return revoke


def _rule_kind(direction: str, end: str) -> _Kind:
    peers = {f"{end}PrefixListId", f"{end}SecurityGroupId", "CidrIp", "CidrIpv6"}
    return _Kind(
        operation=f"AuthorizeSecurityGroup{direction}",
        tagged=None,
        properties=frozenset({"Description", "FromPort", "GroupId", "IpProtocol", "ToPort", *peers}),
        identify=lambda answer: answer["SecurityGroupRules"][0]["SecurityGroupRuleId"],
        attributes=_known_as("Id"),
        remove=_revoke(f"RevokeSecurityGroup{direction}"),
    )


_KINDS: Mapping[str, _Kind] = {
    "AWS::EC2::EIP": _Kind(
        operation="AllocateAddress",
        tagged="elastic-ip",
        properties=frozenset({"Domain"}),
        identify=lambda answer: answer["PublicIp"],
        attributes=_address,
        remove=_release,
    ),
    "AWS::EC2::FlowLog": _Kind(
        operation="CreateFlowLogs",
        tagged="vpc-flow-log",
        properties=frozenset(
            {
                "DeliverLogsPermissionArn",
                "LogDestination",
                "LogDestinationType",
                "LogFormat",
                "LogGroupName",
                "MaxAggregationInterval",
                "ResourceId",
                "ResourceType",
                "TrafficType",
            }
        ),
        identify=lambda answer: answer["FlowLogIds"][0],
        attributes=_known_as("Id"),
        remove=lambda call, physical_id: call("DeleteFlowLogs", {"FlowLogIds": [physical_id]}),
    ),
    "AWS::EC2::NatGateway": _Kind(
        operation="CreateNatGateway",
        tagged="natgateway",
        properties=frozenset({"AllocationId", "ConnectivityType", "SubnetId"}),
        identify=lambda answer: answer["NatGateway"]["NatGatewayId"],
        attributes=_known_as("NatGatewayId"),
        remove=lambda call, physical_id: call("DeleteNatGateway", {"NatGatewayId": physical_id}),
    ),
    "AWS::EC2::PlacementGroup": _Kind(
        operation="CreatePlacementGroup",
        tagged="placement-group",
        properties=frozenset({"PartitionCount", "SpreadLevel", "Strategy"}),
        identify=lambda answer: answer["PlacementGroup"]["GroupName"],
        attributes=_known_as("GroupName"),
        remove=lambda call, physical_id: call("DeletePlacementGroup", {"GroupName": physical_id}),
    ),
    "AWS::EC2::SecurityGroupEgress": _rule_kind("Egress", "Destination"),
    "AWS::EC2::SecurityGroupIngress": _rule_kind("Ingress", "Source"),
}

NETWORK_TYPES: Sequence[str] = tuple(_KINDS)
"""The resource types that `NetworkResources` carries out."""


class NetworkResources:
    """Creates, updates and deletes resources of `NETWORK_TYPES`.

    Args:
        call: reaches EC2; it may wait.
    """

    def __init__(self, call: Call) -> None:
        self._call = call

    def create(self, resource_type: str, logical_id: str, properties: Mapping[str, Any]) -> Resource:
        """Creates a resource; see ``ResourceHandler``."""
        kind = _KINDS[resource_type]
        check_known(resource_type, _without_tags(properties), kind.properties)
        answer = carry_out(self._call, kind.operation, _request(kind, logical_id, properties))
        return self._resource(kind, kind.identify(answer))

    def update(
        self,
        resource_type: str,
        physical_id: str,
        logical_id: str,
        old: Mapping[str, Any],
        new: Mapping[str, Any],
    ) -> Resource:
        """Updates a resource's tags, or creates its replacement: EC2 changes little else in place."""
        kind = _KINDS[resource_type]
        if _without_tags(old) != _without_tags(new):
            return self.create(resource_type, logical_id, new)
        resource = self._resource(kind, physical_id)
        if kind.tagged and (tags := {tag["Key"]: tag["Value"] for tag in new.get("Tags") or []}):
            name = next(iter(resource.attributes.values()), physical_id)
            listed = [{"Key": key, "Value": value} for key, value in tags.items()]
            carry_out(self._call, "CreateTags", {"Resources": [name], "Tags": listed})
        return resource

    def _resource(self, kind: _Kind, physical_id: str) -> Resource:
        return Resource(physical_id=physical_id, attributes=kind.attributes(self._call, physical_id))

    def delete(self, resource_type: str, physical_id: str) -> None:
        """Deletes a resource; see ``ResourceHandler``."""
        try:
            _KINDS[resource_type].remove(self._call, physical_id)
        except CallError as error:
            if not error.code.endswith(("NotFound", "Unknown")):
                raise ResourceError(str(error)) from error


def _without_tags(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in properties.items() if name != "Tags"}


def _request(kind: _Kind, logical_id: str, properties: Mapping[str, Any]) -> dict[str, Any]:
    request = _without_tags(properties)
    for name in ("MaxAggregationInterval", "PartitionCount"):
        if name in request:
            request[name] = int(request[name])
    if kind.operation == "CreateFlowLogs":
        request["ResourceIds"] = [request.pop("ResourceId")]
    elif kind.operation == "CreatePlacementGroup":
        request["GroupName"] = generated_name(logical_id)
    elif kind.operation.startswith("AuthorizeSecurityGroup"):
        request = _permission(properties)
    if kind.tagged and properties.get("Tags"):
        request["TagSpecifications"] = [{"ResourceType": kind.tagged, "Tags": properties["Tags"]}]
    return request


def _permission(properties: Mapping[str, Any]) -> dict[str, Any]:
    permission: dict[str, Any] = {"IpProtocol": str(properties["IpProtocol"])}
    permission |= {name: int(properties[name]) for name in ("FromPort", "ToPort") if name in properties}
    for name, (member, key) in _PEERS.items():
        if name in properties:
            peer = {key: properties[name]}
            if "Description" in properties:
                peer["Description"] = properties["Description"]
            permission[member] = [peer]
    return {"GroupId": properties["GroupId"], "IpPermissions": [permission]}
