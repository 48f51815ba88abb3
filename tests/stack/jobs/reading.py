"""Reads templates of jobs: definitions, containers, and what roles may do."""

from collections.abc import Mapping
from typing import Any

HERE = "{AWS::Region}:{AWS::AccountId}"


def definition(kinds: Mapping[str, Any], job: str) -> dict[str, Any]:
    (found,) = (
        resource["Properties"]
        for name, resource in kinds.items()
        if name.startswith(f"{job[0].upper()}{job[1:]}Definition")
    )
    return found


def container(kinds: Mapping[str, Any], job: str) -> dict[str, Any]:
    return definition(kinds, job)["ContainerProperties"]


def requirements(one: Mapping[str, Any]) -> dict[str, str]:
    return {entry["Type"]: entry["Value"] for entry in one["ResourceRequirements"]}


def variables(one: Mapping[str, Any]) -> dict[str, Any]:
    return {entry["Name"]: entry["Value"] for entry in one["Environment"]}


def flat(value: Any) -> str:
    """An ARN with its intrinsic functions as text: {AWS::Region} and {Logical.Arn}."""
    if isinstance(value, str):
        return value
    if "Fn::Join" in value:
        return "".join(map(flat, value["Fn::Join"][1]))
    if "Fn::Select" in value:  # a part of an ARN
        return flat(value["Fn::Select"][1]["Fn::Split"][1])
    return "{" + (value["Ref"] if "Ref" in value else ".".join(value["Fn::GetAtt"])) + "}"


def statements(kinds: Mapping[str, Any], role: str) -> list[dict[str, Any]]:
    """What a role may do, with resources and conditions as text."""
    found = []
    for resource in kinds.values():
        if resource["Type"] == "AWS::IAM::Policy":
            (owner,) = resource["Properties"]["Roles"]
            if owner["Ref"].startswith(role):
                found += resource["Properties"]["PolicyDocument"]["Statement"]
    return found


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def allowed(kinds: Mapping[str, Any], role: str, action: str) -> set[str]:
    resources: set[str] = set()
    for statement in statements(kinds, role):
        actions = statement["Action"]
        if action in (actions if isinstance(actions, list) else [actions]):
            listed = statement["Resource"]
            resources |= {flat(one) for one in (listed if isinstance(listed, list) else [listed])}
    return resources
