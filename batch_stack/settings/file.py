"""Reads settings from YAML and says what is wrong with them in one message."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from batch_stack.settings.checks import MisfitError
from batch_stack.settings.root import Settings


class SettingsError(Exception):
    """The settings cannot be used; the message names the file, the field, the value and what is allowed."""


def load_settings(path: Path) -> Settings:
    """Read and check a settings file.

    Args:
        path: the YAML file.

    Raises:
        SettingsError: the file is missing, is not YAML or has no setting at all, or a setting is unknown or
            out of range. All that is wrong is in the one message, a line each.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise SettingsError(f"{path}: cannot be read: {reason}") from error
    loader = _UniqueKeyLoader(text)
    loader.name = str(path)
    try:
        content = loader.get_single_data()
    except yaml.YAMLError as error:
        raise SettingsError(f"{path}: not valid YAML: {error}") from error
    finally:
        loader.dispose()
    if content is None:
        # An editor that was cut off, or a file that is still to be written: not a platform of defaults.
        raise SettingsError(
            f"{path}: must have at least one setting, got none: for a platform with every default, write {{}}"
        )
    return parse_settings(content, source=str(path))


def parse_settings(content: object, *, source: str) -> Settings:
    """Check settings that are already in memory.

    Args:
        content: what a settings file holds.
        source: where it came from; errors begin with it.

    Raises:
        SettingsError: as `load_settings`.
    """
    try:
        return Settings.model_validate(content).read_from(source)
    except ValidationError as error:
        problems = [sentence for details in error.errors() for sentence in _sentences(details)]
    raise _settings_error(problems, source)


def _settings_error(problems: Sequence[str], source: str) -> SettingsError:
    if len(problems) == 1:
        return SettingsError(f"{source}: {problems[0]}")
    return SettingsError("\n  ".join([f"{source}: {len(problems)} settings are wrong", *problems]))


class _UniqueKeyLoader(yaml.SafeLoader):
    """YAML lets a later key silently win over an earlier one; a settings file with two is a mistake."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            name = str(getattr(key, "value", key))
            if name in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"the field {name!r} is given twice", problem_mark=key.start_mark
                )
            seen.add(name)
        return super().construct_mapping(node, deep=deep)


def _sentences(details: ErrorDetails) -> list[str]:
    raised = details.get("ctx", {}).get("error")
    return raised.problems if isinstance(raised, MisfitError) else [_sentence(details)]


def _sentence(details: ErrorDetails) -> str:
    path, schema = _resolve(details["loc"])
    given = details["input"]
    if details["type"] == "extra_forbidden":
        return _unknown_field(details["loc"])
    if details["type"] == "missing":
        return f"{path} is required: {_allowed(schema)}"
    if details["type"] == "value_error":
        # Raised by a check across fields, whose text begins with the field it means.
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
    return f"be {_allowed(schema)}, got {given!r}{_as_a_list(details)}"


def _as_a_list(details: ErrorDetails) -> str:
    """What to write in place of a single value where a list belongs."""
    given = details["input"]
    if details["type"] != "list_type" or not isinstance(given, str | int | float):
        return ""
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


def _unknown_field(place: Sequence[int | str]) -> str:
    known = sorted(_resolve(place[:-1])[1]["properties"])
    path, name = _resolve(place)[0], str(place[-1])
    close = get_close_matches(name, known, n=1)
    hint = f" (did you mean {close[0]}?)" if close else ""
    return f"{path} is not a setting{hint}; allowed here: {', '.join(known)}"


def _wrong_kind(path: str, schema: Mapping[str, Any], given: object) -> str:
    discriminator = schema["discriminator"]
    name, kinds = discriminator["propertyName"], ", ".join(discriminator["mapping"])
    if not isinstance(given, Mapping):
        return f"{path} must be a mapping with the field {name} (one of {kinds}), got {given!r}"
    if name not in given:
        return f"{path}.{name} is required: one of {kinds}"
    return f"{path}.{name} must be one of {kinds}, got {given[name]!r}"


@cache
def _schema() -> Mapping[str, Any]:
    """The schema of all settings: it takes longer to make than all else that is said of a problem."""
    return Settings.model_json_schema()


def _resolve(place: Sequence[int | str]) -> tuple[str, Mapping[str, Any]]:
    """Return the path of a field as a reader of the file writes it, and the field's schema."""
    root = _schema()
    node: Mapping[str, Any] = root
    path = ""
    for part in place:
        if "discriminator" in node:
            # pydantic names the member of a union, which is no level of the file.
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
    """Say what a field takes, for the end of "must be"."""
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
