"""What CloudFormation will do with a stack, told from the old and the new template alone.

CloudFormation's own resource schemas say which properties are create-only; cfn-lint brings them along. A
resource that is replaced gets a new physical id, so whatever refers to it changes, too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER

REGION = "us-east-1"
JOB_DEFINITION = "AWS::Batch::JobDefinition"
COMPUTE_ENVIRONMENT = "AWS::Batch::ComputeEnvironment"

Kind = Literal["added", "removed", "kept behind", "in place", "replaced", "new revision"]
Template = Mapping[str, Any]


@dataclass(frozen=True)
class Change:
    """One resource's part of an update.

    Attributes:
        logical_id: its name in the template.
        type: its CloudFormation type.
        kind: what happens; ``kept behind`` is one that leaves the stack and goes on to exist.
        properties: the properties that change, by their paths.
    """

    logical_id: str
    type: str
    kind: Kind
    properties: tuple[str, ...] = ()


def changes(old: Template, new: Template) -> dict[str, Change]:
    """Tell what an update from one template to another does, by logical id."""
    before, after = old["Resources"], new["Resources"]
    found = {
        name: Change(name, before[name]["Type"], _end(before[name])) for name in before.keys() - after.keys()
    }
    found |= {name: Change(name, after[name]["Type"], "added") for name in after.keys() - before.keys()}
    common = before.keys() & after.keys()
    # Until nothing is new: a resource may change because another has, on which it depends.
    while True:
        unstable = {name for name, change in found.items() if change.kind == "replaced"}
        versions = {name for name, change in found.items() if change.kind in ("in place", "replaced")}
        again = {
            name: change
            for name in common
            if (change := _change(name, before[name], after[name], unstable, versions)) is not None
        }
        if all(found.get(name) == change for name, change in again.items()):
            return found
        found |= again


def _end(resource: Mapping[str, Any]) -> Kind:
    return "kept behind" if resource.get("DeletionPolicy", "Delete").startswith("Retain") else "removed"


def _change(
    name: str,
    old: Mapping[str, Any],
    new: Mapping[str, Any],
    unstable: set[str],
    versions: set[str],
) -> Change | None:
    if old["Type"] != new["Type"]:
        return Change(name, new["Type"], "replaced", ("Type",))
    properties = new.get("Properties", {})
    differing = tuple(sorted({*_differing(old.get("Properties", {}), properties)}))
    referring = tuple(
        path for path in _leaves(properties) if _moves(_at(properties, path), unstable, versions)
    )
    touched = tuple(sorted({*differing, *referring}))
    if not touched:
        return None
    if new["Type"] == JOB_DEFINITION and not _touches(touched, _create_only(new["Type"], properties)):
        return Change(name, new["Type"], "new revision", touched)
    replaced = _touches(touched, _create_only(new["Type"], properties))
    return Change(name, new["Type"], "replaced" if replaced else "in place", touched)


@cache
def _schema(resource_type: str) -> Mapping[str, Any]:
    return PROVIDER_SCHEMA_MANAGER.get_resource_schema(REGION, resource_type).schema


def _create_only(resource_type: str, properties: Mapping[str, Any]) -> tuple[str, ...]:
    schema = _schema(resource_type)
    paths = tuple(schema.get("createOnlyProperties", ()))
    if resource_type != COMPUTE_ENVIRONMENT or properties.get("ReplaceComputeEnvironment", True) is not False:
        paths += tuple(schema.get("conditionalCreateOnlyProperties", ()))
    return tuple(path.removeprefix("/properties/") for path in paths)


def _touches(touched: tuple[str, ...], create_only: tuple[str, ...]) -> bool:
    def within(path: str, other: str) -> bool:
        return path == other or path.startswith(other + "/")

    return any(within(path, one) or within(one, path) for path in touched for one in create_only)


def _differing(old: Any, new: Any, path: str = "") -> Iterator[str]:
    if old == new:
        return
    if isinstance(old, dict) and isinstance(new, dict) and not (_is_intrinsic(old) or _is_intrinsic(new)):
        for key in old.keys() | new.keys():
            yield from _differing(old.get(key), new.get(key), f"{path}/{key}".lstrip("/"))
        return
    yield path


def _is_intrinsic(value: Mapping[str, Any]) -> bool:
    return len(value) == 1 and next(iter(value)).startswith(("Fn::", "Ref"))


def _leaves(value: Any, path: str = "") -> Iterator[str]:
    if isinstance(value, dict) and not _is_intrinsic(value):
        for key, child in value.items():
            yield from _leaves(child, f"{path}/{key}".lstrip("/"))
    else:
        yield path


def _at(value: Any, path: str) -> Any:
    for key in path.split("/") if path else []:
        value = value[key]
    return value


def _moves(value: Any, unstable: set[str], versions: set[str]) -> bool:
    """Whether a value refers to something that an update changes: a new id, or a new version number."""
    if isinstance(value, list):
        return any(_moves(one, unstable, versions) for one in value)
    if not isinstance(value, dict):
        return False
    if "Ref" in value:
        return value["Ref"] in unstable
    if "Fn::GetAtt" in value:
        name, attribute = value["Fn::GetAtt"]
        return name in unstable or (name in versions and attribute == "LatestVersionNumber")
    return any(_moves(one, unstable, versions) for one in value.values())
