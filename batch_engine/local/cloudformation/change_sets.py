"""What a change set compares: templates in which references to resources still tell one from another."""

from collections.abc import Callable
from typing import Any

Resolver = Callable[..., dict[str, Any]]


def telling_references_apart(resolve: Resolver) -> Resolver:
    """Have change sets notice that a property refers to another resource than before.

    MiniStack compares templates once their intrinsics are resolved, and an attribute of a resource, which
    nobody knows at that time, becomes an empty string: a queue whose compute environments change places would
    be as it was, and ``cdk deploy``, which works with change sets, would say that there are no changes.

    Args:
        resolve: MiniStack's, of a template and what belongs to it.
    """

    def resolved(template: dict[str, Any], *rest: Any) -> dict[str, Any]:
        resources = template.get("Resources") if template else None
        if not resources:
            return resolve(template, *rest)
        named = {name: _with_named_attributes(resource) for name, resource in resources.items()}
        return resolve({**template, "Resources": named}, *rest)

    return resolved


def _with_named_attributes(resource: dict[str, Any]) -> dict[str, Any]:
    if "Properties" not in resource:
        return resource
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
