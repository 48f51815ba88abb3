"""Templates as change sets compare them: a reference to one resource differs from a reference to another."""

from collections.abc import Mapping
from typing import Any


def with_named_attributes(template: dict[str, Any]) -> dict[str, Any]:
    """Returns a template in which each ``Fn::GetAtt`` is the text ``<logical id>.<attribute>``.

    MiniStack compares templates after it has resolved their intrinsic functions. The attributes of resources
    are not known at that time and become empty strings. A queue whose compute environments change places
    would then look unchanged, and ``cdk deploy``, which works with change sets, would report no changes.

    Args:
        template: the parsed template; it is not changed.
    """
    resources = template.get("Resources") if template else None
    if not resources:
        return template
    return {**template, "Resources": {name: _resource(one) for name, one in resources.items()}}


def _resource(resource: Mapping[str, Any]) -> dict[str, Any]:
    if "Properties" not in resource:
        return dict(resource)
    return {**resource, "Properties": _named(resource["Properties"])}


def _named(value: Any) -> Any:
    if isinstance(value, list):
        return [_named(one) for one in value]
    if not isinstance(value, dict):
        return value
    if value.keys() == {"Fn::GetAtt"}:
        attribute = value["Fn::GetAtt"]
        return attribute if isinstance(attribute, str) else ".".join(str(part) for part in attribute)
    return {key: _named(one) for key, one in value.items()}
