"""Makes the JSON schema with which editors complete and check a batch.yaml."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from batch_stack.settings.base.model import SettingsModel
from batch_stack.settings.root import Settings
from tests.reference.docstrings import field_text, one_line

Schema = dict[str, Any]


def models() -> dict[str, type[SettingsModel]]:
    """All settings models by their names in the schema."""
    return {model.__name__: model for model in _subclasses(SettingsModel)}


def _subclasses(model: type[SettingsModel]) -> Iterator[type[SettingsModel]]:
    for one in model.__subclasses__():
        yield one
        yield from _subclasses(one)


def schema() -> Schema:
    """The schema of settings files: pydantic's, with each setting's own description."""
    made = Settings.model_json_schema()
    for name, part in made["$defs"].items():
        _describe(part, models()[name])
    _describe(made, Settings)
    _require_discriminators(made, made["$defs"])
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **made, "title": "batch.yaml"}


def text() -> str:
    """The schema as a file."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


def _describe(part: Schema, model: type[SettingsModel]) -> None:
    part.pop("title", None)
    part["description"] = one_line(part["description"])
    for name, field in part.get("properties", {}).items():
        _to_error_messages(field)
        field["description"] = field_text(model, name)


def _to_error_messages(node: Any) -> None:
    """What pydantic calls the description of a value's type is the end of "must be ..."."""
    if isinstance(node, list):
        for item in node:
            _to_error_messages(item)
    elif isinstance(node, dict):
        node.pop("title", None)
        if isinstance(node.get("description"), str):
            node["errorMessage"] = f"must be {node.pop('description')}"
        for key, item in node.items():
            if key != "default":
                _to_error_messages(item)


def _require_discriminators(node: Any, parts: dict[str, Schema]) -> None:
    """A file must name the kind that it means: an editor could not tell kinds apart otherwise."""
    if isinstance(node, list):
        for item in node:
            _require_discriminators(item, parts)
    elif isinstance(node, dict):
        discriminator = node.get("discriminator")
        if isinstance(discriminator, dict) and "mapping" in discriminator:
            # A keyword of OpenAPI, which validators of JSON schemas do not know.
            del node["discriminator"]
            field = discriminator["propertyName"]
            for target in discriminator["mapping"].values():
                part = parts[target.rpartition("/")[2]]
                part["required"] = sorted({field, *part.get("required", [])})
                part["properties"][field].pop("default", None)
        for item in list(node.values()):
            _require_discriminators(item, parts)
