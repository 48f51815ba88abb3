"""What replaces and what updates in place: every property of every type, against CloudFormation's schemas."""

from collections.abc import Iterator
from typing import Any

import pytest
from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER

from batch_engine import translation as cfn
from batch_engine.local.cloudformation import batch_updates as updates
from batch_engine.local.cloudformation.batch_types import RESOURCE_TYPES

# A definition has no update: each change registers a revision.
UPDATED_TYPES = sorted(set(cfn.CREATE_OPERATIONS) - {cfn.JOB_DEFINITION})
ARN = "arn:aws:batch:us-east-1:000000000000:x/y"
# Told to CloudFormation, not to AWS Batch: a change of one of these alone is no request.
NOT_SENT = {"ReplaceComputeEnvironment"}


def schema(kind: str) -> dict[str, Any]:
    return dict(PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", kind).schema)


def paths(kind: str, member: str) -> set[str]:
    found = schema(kind).get(member) or []
    return {path.removeprefix("/properties/").replace("/", ".") for path in found}


def resolved(root: dict[str, Any], part: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in part:
        target: Any = root
        for name in part["$ref"].split("/")[1:]:
            target = target[name]
        part = target
    return part


def leaves(
    root: dict[str, Any], part: dict[str, Any], path: str = ""
) -> Iterator[tuple[str, dict[str, Any]]]:
    part = resolved(root, part)
    if part.get("properties"):
        for name, child in part["properties"].items():
            yield from leaves(root, child, f"{path}.{name}" if path else name)
    else:
        yield path, part


def sample(root: dict[str, Any], part: dict[str, Any], version: int) -> Any:
    part = resolved(root, part)
    if part.get("properties"):
        return {name: sample(root, child, version) for name, child in part["properties"].items()}
    kinds = part.get("type", "object")
    kind = kinds[0] if isinstance(kinds, list) else kinds
    if kind == "array":
        return [sample(root, part["items"], version)]
    values: dict[str, list[Any]] = {
        "string": ["old", "new"],
        "integer": [1, 2],
        "number": [1, 2],
        "boolean": [False, True],
        "object": [{"key": "old"}, {"key": "new"}],
    }
    return values[kind][version]


def with_leaf(document: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A copy with another value at a path."""
    name, _, rest = path.partition(".")
    return document | {name: with_leaf(document[name], rest, value) if rest else value}


def change(kind: str, path: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """A resource that says all it can, before and after a change of one property."""
    root = schema(kind)
    whole = sample(root, root, 0)
    for read_only in paths(kind, "readOnlyProperties"):
        if "*" not in read_only and "." not in read_only:
            del whole[read_only]
    part = dict(leaves(root, root))[path]
    return whole, with_leaf(whole, path, sample(root, part, 1))


def under(path: str, parents: set[str]) -> bool:
    return any(path == parent or path.startswith(f"{parent}.") for parent in parents)


CASES = [
    (kind, path)
    for kind in UPDATED_TYPES
    for path, _ in leaves(schema(kind), schema(kind))
    if not under(path, paths(kind, "readOnlyProperties"))
]
IN_PLACE = [(kind, path) for kind, path in CASES if not under(path, paths(kind, "createOnlyProperties"))]


@pytest.mark.parametrize(("kind", "path"), CASES)
def test_a_change_replaces_where_the_schema_says_so(kind: str, path: str) -> None:
    old, new = change(kind, path)
    always = under(path, paths(kind, "createOnlyProperties"))
    unless_told = under(path, paths(kind, "conditionalCreateOnlyProperties"))
    told = {"ReplaceComputeEnvironment": "true"}
    replaces = updates.requires_replacement
    assert replaces(kind, old, new) is (always and path != "ReplaceComputeEnvironment")
    if kind == cfn.COMPUTE_ENVIRONMENT and path != "ReplaceComputeEnvironment":
        del old["ReplaceComputeEnvironment"], new["ReplaceComputeEnvironment"]
        assert replaces(kind, old, new) is (always or unless_told), "the default is to replace"
        assert replaces(kind, old | told, new | told) is (always or unless_told)
        assert replaces(kind, old, old) is False


@pytest.mark.parametrize(("kind", "path"), IN_PLACE)
def test_an_update_without_replacement_is_a_request_of_the_api(kind: str, path: str) -> None:
    old, new = change(kind, path)
    requests = updates.requests(kind, ARN, old, new)
    if path in NOT_SENT:
        assert requests == []
        return
    (operation, request) = requests[-1]
    if path.split(".", maxsplit=1)[0] == "Tags":
        assert (operation, request) == ("TagResource", {"resourceArn": ARN, "tags": {"key": "new"}})
    else:
        assert operation == RESOURCE_TYPES[kind].update
        assert request.pop(RESOURCE_TYPES[kind].reference) == ARN
        assert request, "the change itself is sent"
    assert updates.requests(kind, ARN, new, new) == []


def test_a_consumable_resources_total_is_set() -> None:
    old, new = {"TotalQuantity": 5}, {"TotalQuantity": "7"}
    assert updates.requests(cfn.CONSUMABLE_RESOURCE, ARN, old, new) == [
        ("UpdateConsumableResource", {"consumableResource": ARN, "operation": "SET", "quantity": 7})
    ]
