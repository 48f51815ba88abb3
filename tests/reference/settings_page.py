"""Writes the reference of all settings, from the schema that editors use."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from tests.reference.docstrings import cell
from tests.reference.schema import Schema, schema

INTRODUCTION = """\
# Settings

This page lists all settings of `batch.yaml`, with their defaults. `cdk synth` checks them when it reads the
file. If a setting is unknown or out of range, it fails with the path of the setting, its value and the
allowed values. Names of durations and sizes end with the unit: `_s` seconds, `_mib` MiB, `_gib` GiB, `_days`
days, `_minutes` minutes.

An editor with a YAML language server completes and checks the file with
[batch.schema.json](batch.schema.json), which the first line of [batch.yaml](../batch.yaml) names. In Python
the same settings are models of `batch_stack`, under the names in brackets:
`from batch_stack import JobSettings`.

`make docs` writes this page and the schema from the docstrings in `batch_stack/settings/`.
"""


def text() -> str:
    """The page."""
    whole = schema()
    parts = whole.pop("$defs")
    places = _places(whole, parts)
    blocks = [INTRODUCTION, "## The whole file\n", _table(whole, parts)]
    for name, paths in places.items():
        blocks += [f'## <a id="{name.lower()}"></a>{_heading(paths, parts[name])}\n', _part(name, parts)]
    return "\n".join(blocks)


def _part(name: str, parts: Schema) -> str:
    description = cell(parts[name]["description"]).replace("\\|", "|")
    return f"{description} (`{name}`)\n\n{_table(parts[name], parts)}"


def _heading(paths: list[str], part: Schema) -> str:
    kinds = ", ".join(_kinds(part))
    shown = ", ".join(f"`{path}`" for path in paths)
    return f"{shown}: {kinds}" if kinds else shown


def _kinds(part: Schema) -> list[str]:
    """The names under which a union has this part."""
    for name in ("type", "mode"):
        if name in part.get("required", []):
            field = part["properties"][name]
            return [f"`{name}: {kind}`" for kind in field.get("enum", [field.get("const")])]
    return []


def _places(whole: Schema, parts: Schema) -> dict[str, list[str]]:
    """Where in a file each part may stand, in the order of the file."""
    found: dict[str, list[str]] = {}

    def visit(part: Schema, path: str) -> None:
        for field, node in part["properties"].items():
            for target, suffix in _references(node):
                place = f"{path}{field}{suffix}"
                new = target not in found
                if place not in found.setdefault(target, []):
                    found[target].append(place)
                if new:
                    visit(parts[target], f"{place}.")

    visit(whole, "")
    return found


def _references(node: Any, suffix: str = "") -> Iterator[tuple[str, str]]:
    if "$ref" in node:
        yield node["$ref"].rpartition("/")[2], suffix
    for option in [*node.get("oneOf", []), *node.get("anyOf", [])]:
        yield from _references(option, suffix)
    if isinstance(node.get("additionalProperties"), dict):
        yield from _references(node["additionalProperties"], f"{suffix}.NAME")
    if "items" in node:
        yield from _references(node["items"], f"{suffix}[]")


def _table(part: Schema, parts: Schema) -> str:
    rows = ["| setting | takes | default | |", "| --- | --- | --- | --- |"]
    required = part.get("required", [])
    fields = sorted(part["properties"].items(), key=lambda item: item[0] not in ("type", "mode"))
    for name, node in fields:
        default = "required" if name in required else _default(node)
        rows.append(f"| `{name}` | {_takes(node, parts)} | {default} | {cell(node['description'])} |")
    return "\n".join(rows) + "\n"


def _default(node: Schema) -> str:
    value = node.get("default")
    # Whole sections of defaults stand in tables of their own.
    if value is None or (isinstance(value, dict) and value):
        return "" if value else "none"
    shown = ", ".join(map(str, value)) if isinstance(value, list) and value else json.dumps(value)
    return '`""`' if value == "" else f"`{shown}`".replace('"', "")


def _takes(node: Schema, parts: Schema) -> str:
    options = [option for option in node.get("anyOf", []) if option.get("type") != "null"]
    if options:
        return f"{_takes(options[0], parts)}, or null"
    if "oneOf" in node:
        return ", ".join(_takes(option, parts) for option in node["oneOf"])
    if "$ref" in node:
        name = node["$ref"].rpartition("/")[2]
        kinds = _kinds(parts[name])
        return f"[{kinds[0] if kinds else name}](#{name.lower()})"
    if "errorMessage" in node:
        return cell(node["errorMessage"].removeprefix("must be "))
    if "const" in node or "enum" in node:
        return ", ".join(f"`{value}`" for value in node.get("enum", [node.get("const")]))
    return _takes_plain(node, parts)


def _takes_plain(node: Schema, parts: Schema) -> str:
    kind = node["type"]
    if kind in ("integer", "number"):
        return _number(node)
    if kind == "array":
        return f"a list{_entries(node, 'Items')} of {_takes(node['items'], parts)}"
    if kind == "object":
        return f"names{_entries(node, 'Properties')}, each with {_takes(node['additionalProperties'], parts)}"
    if kind == "boolean":
        return "`true`, `false`"
    return f"text of at most {node['maxLength']} characters" if "maxLength" in node else "text"


def _entries(node: Schema, what: str) -> str:
    least, most = node.get(f"min{what}"), node.get(f"max{what}")
    if most is not None:
        return f" ({least or 0} to {most})"
    return f" (at least {least})" if least else ""


def _number(node: Schema) -> str:
    noun = "a whole number" if node["type"] == "integer" else "a number"
    if "multipleOf" in node:
        noun = f"a multiple of {node['multipleOf']:g}"
    low = f"above {node['exclusiveMinimum']:g}" if "exclusiveMinimum" in node else f"{node['minimum']:g}"
    if "maximum" not in node:
        return f"{noun} of at least {low}"
    return f"{noun}, {low} to {node['maximum']:,g}" if node["maximum"] < 1e6 else f"{noun} from {low}"
