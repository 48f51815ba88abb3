"""The template with everything on that keeps data, and ways to look into it."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from tests.stack.everything import EVERYTHING

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


@pytest.fixture
def everything(synth: Callable[[Mapping[str, Any]], dict[str, Any]]) -> Template:
    """All that keeps data, with a key of the platform's own."""
    return Template(synth(EVERYTHING))


@pytest.fixture
def plain(synth: Callable[[Mapping[str, Any]], dict[str, Any]]) -> Template:
    """The same without a key, to be destroyed with the stack, and without a database's minimum."""
    storage = {**EVERYTHING["storage"], "kms": False, "on_delete": "destroy"}
    tiers = {**EVERYTHING["tiers"], "low": {"priority": 1, "compute": ["spot"]}}
    return Template(synth({**EVERYTHING, "storage": storage, "tiers": tiers}))
