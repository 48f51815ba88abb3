"""Decides what an update of an ``AWS::Batch::*`` resource needs: a replacement, or requests in place."""

from collections.abc import Mapping
from typing import Any

from batch_engine import translation as cfn
from batch_engine.local.cloudformation.batch_types import RESOURCE_TYPES

# createOnlyProperties and conditionalCreateOnlyProperties of CloudFormation's resource schemas.
_ALWAYS_REPLACES: Mapping[str, tuple[str, ...]] = {
    cfn.COMPUTE_ENVIRONMENT: (
        "ComputeEnvironmentName",
        "Type",
        "Tags",
        "EksConfiguration.EksClusterArn",
        "EksConfiguration.KubernetesNamespace",
        "ComputeResources.SpotIamFleetRole",
        "ComputeResources.ManagedInstancesProvider.InstanceLaunchTemplate.CapacityOptionType",
        "ComputeResources.ManagedInstancesProvider.InstanceLaunchTemplate.FipsEnabled",
    ),
    cfn.JOB_QUEUE: ("JobQueueName", "JobQueueType"),
    cfn.SCHEDULING_POLICY: ("Name",),
    cfn.CONSUMABLE_RESOURCE: ("ConsumableResourceName", "ResourceType"),
    cfn.SERVICE_ENVIRONMENT: ("ServiceEnvironmentName", "ServiceEnvironmentType"),
    cfn.QUOTA_SHARE: ("QuotaShareName", "JobQueue"),
}
_REPLACES_UNLESS_TOLD_NOT_TO = tuple(
    f"ComputeResources.{name}"
    for name in (
        "AllocationStrategy",
        "BidPercentage",
        "Ec2Configuration",
        "Ec2KeyPair",
        "ImageId",
        "InstanceRole",
        "InstanceTypes",
        "LaunchTemplate",
        "PlacementGroup",
        "ScalingPolicy",
        "SecurityGroupIds",
        "Subnets",
        "Tags",
        "Type",
    )
)

# The values that reset a property that the new template no longer has.
_REMOVED: Mapping[str, Mapping[str, object]] = {
    cfn.COMPUTE_ENVIRONMENT: {"State": "ENABLED"},
    cfn.JOB_QUEUE: {"State": "ENABLED", "JobStateTimeLimitActions": []},
    cfn.SERVICE_ENVIRONMENT: {"State": "ENABLED"},
    cfn.QUOTA_SHARE: {"State": "ENABLED"},
}
_REMOVED_COMPUTE_RESOURCES: Mapping[str, object] = {
    "Ec2KeyPair": "",
    "LaunchTemplate": {"LaunchTemplateId": ""},
    "PlacementGroup": "",
    "ScalingPolicy": {"MinScaleDownDelayMinutes": 0},
    "Tags": {},
}

Request = tuple[str, dict[str, Any]]


def requires_replacement(resource_type: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Returns whether CloudFormation replaces the resource for this change.

    Args:
        resource_type: a type of AWS Batch other than the job definition, which always gets a new revision.
        old: the properties before the update.
        new: the properties after it.
    """
    paths = _ALWAYS_REPLACES[resource_type]
    if resource_type == cfn.COMPUTE_ENVIRONMENT and cfn.is_true(new.get("ReplaceComputeEnvironment", True)):
        paths += _REPLACES_UNLESS_TOLD_NOT_TO
    return any(_at(old, path) != _at(new, path) for path in paths)


def requests(
    resource_type: str, physical_id: str, old: Mapping[str, Any], new: Mapping[str, Any]
) -> list[Request]:
    """Returns the requests that update a resource in place.

    Raises:
        PropertyError: a property is unknown or its value has the wrong type.
    """
    if resource_type == cfn.COMPUTE_ENVIRONMENT:
        return _compute_environment(physical_id, old, new)
    update = _changed(old, new, without={"Tags"}, removed=_REMOVED.get(resource_type))
    if resource_type == cfn.CONSUMABLE_RESOURCE and update:
        update = {"Operation": "SET", "Quantity": update["TotalQuantity"]}
    return _update(resource_type, physical_id, update) + _tags(physical_id, old, new)


def _compute_environment(physical_id: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Request]:
    update = _changed(
        old,
        new,
        without={"ReplaceComputeEnvironment", "ComputeResources", "UpdatePolicy"},
        removed=_REMOVED[cfn.COMPUTE_ENVIRONMENT],
    )
    resources = _changed(
        old.get("ComputeResources") or {},
        new.get("ComputeResources") or {},
        removed=_REMOVED_COMPUTE_RESOURCES,
    )
    if resources:
        update["ComputeResources"] = resources
    # The policy says how this same update treats running jobs, so it goes along with any change.
    if "UpdatePolicy" in new and (update or new["UpdatePolicy"] != old.get("UpdatePolicy")):
        update["UpdatePolicy"] = new["UpdatePolicy"]
    # These properties are unchanged, or the resource would be replaced. No update accepts them, and they are
    # here only if another member of the same object has changed.
    for path in _ALWAYS_REPLACES[cfn.COMPUTE_ENVIRONMENT]:
        update = _without(update, path)
    return _update(cfn.COMPUTE_ENVIRONMENT, physical_id, update)


def _update(resource_type: str, physical_id: str, properties: Mapping[str, Any]) -> list[Request]:
    if not properties:
        return []
    kind = RESOURCE_TYPES[resource_type]
    request = cfn.to_request(resource_type, kind.update, properties)
    return [(kind.update, {kind.reference: physical_id, **request})]


def _tags(physical_id: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Request]:
    before, after = old.get("Tags") or {}, new.get("Tags") or {}
    calls: list[Request] = []
    if gone := sorted(set(before) - set(after)):
        calls.append(("UntagResource", {"resourceArn": physical_id, "tagKeys": gone}))
    if changed := {key: str(value) for key, value in after.items() if before.get(key) != value}:
        calls.append(("TagResource", {"resourceArn": physical_id, "tags": changed}))
    return calls


def _changed(
    old: Mapping[str, Any],
    new: Mapping[str, Any],
    *,
    without: set[str] | None = None,
    removed: Mapping[str, object] | None = None,
) -> dict[str, Any]:
    left_out = without or set()
    changed = {key: value for key, value in new.items() if key not in left_out and old.get(key) != value}
    gone = {key: value for key, value in (removed or {}).items() if key in old and key not in new}
    return changed | gone


def _without(properties: Mapping[str, Any], path: str) -> dict[str, Any]:
    name, _, rest = path.partition(".")
    if not rest:
        return {key: value for key, value in properties.items() if key != name}
    child = properties.get(name)
    return {**properties, name: _without(child, rest)} if isinstance(child, Mapping) else dict(properties)


def _at(properties: Mapping[str, Any], path: str) -> object:
    value: object = properties
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value
