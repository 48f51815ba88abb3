"""Ways to look into a template."""

import json
from collections.abc import Mapping
from typing import Any

Resources = dict[str, dict[str, Any]]


class Template:
    """A template's resources by type, and the statements of roles."""

    def __init__(self, template: Mapping[str, Any]) -> None:
        self.resources: Resources = template["Resources"]
        self.outputs = template["Outputs"]

    def of(self, kind: str) -> Resources:
        """The resources of a type, such as ``S3::Bucket``."""
        return {name: one for name, one in self.resources.items() if one["Type"] == f"AWS::{kind}"}

    def one(self, kind: str, prefix: str = "") -> tuple[str, dict[str, Any]]:
        """The only one of a type whose name begins so."""
        ((name, resource),) = ((name, one) for name, one in self.of(kind).items() if name.startswith(prefix))
        return name, resource

    def statements(self, role_prefix: str) -> list[dict[str, Any]]:
        """What the default policy of a role says."""
        _, policy = self.one("IAM::Policy", f"{role_prefix}DefaultPolicy")
        statements: list[dict[str, Any]] = policy["Properties"]["PolicyDocument"]["Statement"]
        return statements

    def actions_on(self, role_prefix: str, resource: str) -> set[str]:
        """What a role may do with a resource, by the resource's name in the template."""
        return {
            action
            for statement in self.statements(role_prefix)
            if f'"{resource}"' in json.dumps(statement["Resource"])
            for action in _listed(statement["Action"])
        }

    def environment(self, job_prefix: str) -> dict[str, Any]:
        """The variables of a job."""
        _, definition = self.one("Batch::JobDefinition", job_prefix)
        pairs = definition["Properties"]["ContainerProperties"]["Environment"]
        return {pair["Name"]: pair["Value"] for pair in pairs}


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
