"""Turns the errors of pydantic into sentences for authors of settings."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from batch_stack.settings.base.errors import MisfitError
from batch_stack.settings.base.names import did_you_mean

_NO_ENTRY = ("model_type", "model_attributes_type", "dict_type")


def problems_of(error: ValidationError, model: type[BaseModel]) -> list[str]:
    """Returns all problems, each beginning with the path of its field.

    Args:
        error: the error of pydantic.
        model: the model of the settings that were read.
    """
    found = error.errors()
    left_out: list[tuple[int | str, ...]] = []
    hints: dict[tuple[int | str, ...], str] = {}
    for details in found:
        if details["type"] in _NO_ENTRY and details["input"] is None and details["loc"]:
            misplaced = list(_misplaced(details["loc"], found, model))
            left_out += [(*details["loc"][:-1], name) for name in misplaced]
            if misplaced:
                hints[details["loc"]] = (
                    f": indent {_and(misplaced)} under {_resolve(details['loc'], model)[0]}"
                )
    problems: list[str] = []
    for details in found:
        raised = details.get("ctx", {}).get("error")
        if isinstance(raised, MisfitError):
            problems += raised.problems
        elif not any(details["loc"][: len(place)] == place for place in left_out):
            problems.append(_sentence(details, model) + hints.get(details["loc"], ""))
    return problems


def _misplaced(
    place: tuple[int | str, ...], found: Sequence[ErrorDetails], model: type[BaseModel]
) -> Iterator[str]:
    """Returns the names beside an empty entry that are fields of the entry."""
    fields = _fields(_resolve(place, model)[1], model)
    beside = dict.fromkeys(
        one["loc"][len(place) - 1] for one in found if one["loc"][: len(place) - 1] == place[:-1]
    )
    return (str(name) for name in beside if name != place[-1] and name in fields)


def _fields(schema: Mapping[str, Any], model: type[BaseModel]) -> set[str]:
    mapping = schema.get("discriminator", {}).get("mapping", {})
    kinds = [_dereferenced(_schema(model), {"$ref": reference}) for reference in mapping.values()]
    return {name for one in (schema, *kinds) for name in one.get("properties", {})}


def _and(names: Sequence[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last


def _sentence(details: ErrorDetails, model: type[BaseModel]) -> str:
    path, schema = _resolve(details["loc"], model)
    given = details["input"]
    if details["type"] == "extra_forbidden":
        return _unknown_field(details["loc"], model)
    if details["type"] == "missing":
        return f"{path} is required: {_allowed(schema)}"
    if details["type"] == "value_error":
        # A check across fields has raised it; its text begins with the field.
        return f"{path}.{details['ctx']['error']}".removeprefix(".")
    if "discriminator" in schema:
        return _wrong_kind(path, schema, given)
    return f"{path} must {_must(details, schema)}".removeprefix(" ")


def _must(details: ErrorDetails, schema: Mapping[str, Any]) -> str:
    given = details["input"]
    if details["type"] == "too_short" and not given:
        return f"have at least one entry, got {given!r}"
    if details["type"] == "too_long":
        return f"have at most {details['ctx']['max_length']} entries, got {len(given)}"
    if details["type"] == "multiple_of":
        return f"be a multiple of {details['ctx']['multiple_of']:g}, got {given!r}"
    return f"be {_allowed(schema)}, got {given!r}{_instead(details, schema)}"


def _instead(details: ErrorDetails, schema: Mapping[str, Any]) -> str:
    """Returns the text to write instead, or an empty string if it is not known."""
    given = details["input"]
    if details["type"] == "list_type" and isinstance(given, str | int | float):
        return _as_a_list(details)
    if details["type"] == "string_type" and isinstance(given, str | int | float):
        return ": quote it"
    if "secret" in schema.get("properties", {}) and isinstance(given, str):
        field = "parameter" if given.startswith("arn:") and ":ssm:" in given else "secret"
        return f": write {{{field}: {given}}}"
    return ""


def _as_a_list(details: ErrorDetails) -> str:
    given = details["input"]
    entries: list[object] = [given]
    if details["loc"][-1] == "command" and isinstance(given, str):
        entries = [*_words(given)]
    elif isinstance(given, str):
        entries = [entry.strip() for entry in given.split(",")]
    flow = yaml.safe_dump(entries, default_flow_style=True, width=math.inf, allow_unicode=True)
    return f": write {flow.strip()}"


def _words(command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError:  # a quotation mark without its pair
        return command.split()


def _unknown_field(place: Sequence[int | str], model: type[BaseModel]) -> str:
    known = sorted(_resolve(place[:-1], model)[1]["properties"])
    path, name = _resolve(place, model)[0], str(place[-1])
    return f"{path} is not a setting{did_you_mean(name, known)}; allowed here: {', '.join(known)}"


def _wrong_kind(path: str, schema: Mapping[str, Any], given: object) -> str:
    discriminator = schema["discriminator"]
    name, kinds = discriminator["propertyName"], ", ".join(discriminator["mapping"])
    if not isinstance(given, Mapping):
        return f"{path} must be a mapping with the field {name} (one of {kinds}), got {given!r}"
    if name not in given:
        return f"{path}.{name} is required: one of {kinds}"
    return f"{path}.{name} must be one of {kinds}, got {given[name]!r}"


@cache
def _schema(model: type[BaseModel]) -> Mapping[str, Any]:
    """Returns the schema of settings. It is cached, because generating it takes longer than all else here."""
    return model.model_json_schema()


def _resolve(place: Sequence[int | str], model: type[BaseModel]) -> tuple[str, Mapping[str, Any]]:
    """Returns the path of a field in the file, and the field's schema."""
    root = _schema(model)
    node: Mapping[str, Any] = root
    path = ""
    for part in place:
        if "discriminator" in node:
            # pydantic names the member of the union, which is no level of the file.
            node = _dereferenced(root, {"$ref": node["discriminator"]["mapping"][part]})
            continue
        path += f"[{part}]" if isinstance(part, int) else f".{part}"
        child = node["items"] if isinstance(part, int) else node.get("properties", {}).get(part)
        node = _dereferenced(root, child or node.get("additionalProperties") or {})
    return path.removeprefix("."), node


def _dereferenced(root: Mapping[str, Any], node: Mapping[str, Any]) -> Mapping[str, Any]:
    if "anyOf" in node:
        node = next(option for option in node["anyOf"] if option.get("type") != "null")
    if "$ref" in node:
        node = root["$defs"][node["$ref"].rpartition("/")[2]]
    return node


def _allowed(schema: Mapping[str, Any]) -> str:
    """Returns the allowed values of a field, as a phrase that follows "must be"."""
    if "enum" in schema:
        return "one of " + ", ".join(map(str, schema["enum"]))
    kind = schema.get("type")
    if kind in ("integer", "number"):
        return _allowed_number(schema)
    if kind == "object":
        fields = schema.get("properties")
        return f"a mapping with the fields {', '.join(fields)}" if fields else "a mapping"
    if "description" in schema:
        return str(schema["description"])
    if kind == "string":
        return f"text of at most {schema['maxLength']} characters" if "maxLength" in schema else "text"
    return {"boolean": "true or false", "array": "a list"}[str(kind)]


def _allowed_number(schema: Mapping[str, Any]) -> str:
    noun = "a whole number" if schema["type"] == "integer" else "a number"
    if "exclusiveMinimum" in schema:
        return f"{noun} above {schema['exclusiveMinimum']:g} and at most {schema['maximum']:g}"
    if "maximum" in schema:
        return f"{noun} between {schema['minimum']:g} and {schema['maximum']}"
    return f"{noun} of at least {schema['minimum']:g}"
