"""Writes a page for each public name of the package, from its docstrings."""

from __future__ import annotations

import re
from typing import Any

import griffe

import batch_stack
from tests.reference.docstrings import cell, package, section, sections
from tests.reference.schema import models

Kind = griffe.DocstringSectionKind

NO_PAGE = {"App"}
"""The public names without a page: CDK's class. The models of settings are in docs/settings.md."""

INTRODUCTION = """\
# Constructs

Each public name of `batch_stack` has a page. [`BatchPlatform`](BatchPlatform.md) contains all other
constructs and creates them from [settings](../settings.md). You can also use each construct alone, in any
stack:

```python
from batch_stack import IsolatedNetworkSettings, Network

network = Network(stack, "Network", settings=IsolatedNetworkSettings())
```

`App` is CDK's own class, `aws_cdk.App`, and has no page. Import `batch_stack` before `aws_cdk`: jsii then
runs on the Node.js that is installed with it. Wrong settings raise `SettingsError`, a `ValueError`: when
they are read (`load_settings`, `parse_settings`), made in Python (`JobSettings(...)`) or checked together
(`BatchPlatform`). Arguments that do not fit a construct raise a plain `ValueError`, with the construct's
path.

`make docs` writes these pages from the docstrings: edit those.
"""


def names() -> list[str]:
    """The public names that have a page."""
    return [name for name in batch_stack.__all__ if name not in NO_PAGE and name not in models()]


def source(name: str) -> griffe.Class | griffe.Function:
    """The source of a public name."""
    found = package()[name]
    target = found.final_target if isinstance(found, griffe.Alias) else found
    assert isinstance(target, griffe.Class | griffe.Function)
    return target


def pages() -> dict[str, str]:
    """The pages by their file names."""
    return {"README.md": _index(), **{f"{name}.md": page(name) for name in names()}}


def _index() -> str:
    rows = ["| name | what it is |", "| --- | --- |"]
    for name in names():
        first = sections(source(name))[0].value.split("\n\n")[0]
        rows.append(f"| [`{name}`]({name}.md) | {cell(first)} |")
    return INTRODUCTION + "\n" + "\n".join(rows) + "\n"


def page(name: str) -> str:
    """The page of a public name."""
    thing = source(name)
    blocks = [f"# {name}", f"`from batch_stack import {name}`", _text(thing)]
    if isinstance(thing, griffe.Function):
        blocks += _call(thing, "##")
    else:
        blocks += _class(thing)
    return "\n\n".join(block for block in blocks if block) + "\n"


def _class(thing: griffe.Class) -> list[str]:
    members = {**thing.inherited_members, **thing.members}
    initializer = members.get("__init__")
    blocks = []
    if isinstance(initializer, griffe.Alias | griffe.Function) and initializer.docstring:
        blocks += ["## Parameters", *_call(initializer, "###")]
    blocks += _attributes(thing)
    for name, member in sorted(members.items()):
        if not name.startswith("_") and member.is_function and "property" not in member.labels:
            blocks += [f"## `{name}({_arguments(member)})`", _text(member), *_call(member, "###")]
    return blocks


def public_attributes(thing: griffe.Class) -> dict[str, str]:
    """What a class and its bases say about attributes; properties have docstrings of their own."""
    found: dict[str, str] = {}
    for owner in [*reversed(thing.mro()), thing]:
        found |= {one.name: one.description for one in section(owner, Kind.attributes)}
        for name, member in owner.members.items():
            if "property" in member.labels and not name.startswith("_") and member.docstring:
                found.setdefault(name, member.docstring.value)
    return found


def _attributes(thing: griffe.Class) -> list[str]:
    rows = [f"| `{name}` | {cell(text)} |" for name, text in public_attributes(thing).items()]
    return ["## Attributes", "\n".join(["| name | |", "| --- | --- |", *rows])] if rows else []


def _arguments(function: Any) -> str:
    return ", ".join(
        f"*{one.name}" if one.kind is griffe.ParameterKind.var_positional else one.name
        for one in function.parameters
        if one.name != "self"
    )


def _call(function: Any, level: str) -> list[str]:
    described = {one.name.lstrip("*"): one.description for one in section(function, Kind.parameters)}
    rows = []
    for one in function.parameters:
        if one.name in described:
            default = (
                f"`{one.default}`" if one.default is not None and "_positional" not in one.kind.name else ""
            )
            default = "" if one.kind is griffe.ParameterKind.var_positional else default or "required"
            rows.append(
                f"| `{one.name}` | {_type(one.annotation)} | {default} | {cell(described[one.name])} |"
            )
    blocks = ["\n".join(["| name | type | default | |", "| --- | --- | --- | --- |", *rows])] if rows else []
    returns = section(function, Kind.returns)
    if returns:
        blocks += [f"{level} Returns", cell(" ".join(one.description for one in returns))]
    errors = section(function, Kind.raises)
    if errors:
        lines = [f"- `{one.annotation}`: {cell(one.description)}" for one in errors]
        blocks += [f"{level} Errors", "\n".join(lines)]
    return blocks


def _type(annotation: Any) -> str:
    """A type; settings lead to their own reference, and public names to their pages."""
    shown = f"`{annotation}`".replace("|", "\\|")
    for word in re.findall(r"\w+", str(annotation)):
        if word in models():
            return f"[{shown}](../settings.md#{'the-whole-file' if word == 'Settings' else word.lower()})"
        if word in names():
            return f"[{shown}]({word}.md)"
    return shown


def _text(thing: Any) -> str:
    return "\n\n".join(one.value for one in sections(thing) if one.kind is Kind.text).replace("``", "`")
