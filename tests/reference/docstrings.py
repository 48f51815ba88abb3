"""What the source says about itself: docstrings of classes, functions and settings, not imported."""

from __future__ import annotations

import inspect
import re
from functools import cache
from pathlib import Path
from typing import Any

import griffe

ROOT = Path(__file__).parents[2]


@cache
def package() -> griffe.Module:
    """The package `batch_stack`, as it is written."""
    loaded = griffe.load("batch_stack", search_paths=[str(ROOT)], docstring_parser=griffe.Parser.google)
    assert isinstance(loaded, griffe.Module)
    return loaded


def source_of(thing: Any) -> griffe.Class | griffe.Function:
    """The source of a class or a function of the package."""
    found = package()[f"{thing.__module__.removeprefix('batch_stack.')}.{thing.__qualname__}"]
    assert isinstance(found, griffe.Class | griffe.Function)
    return found


def field_text(model: type, name: str) -> str:
    """The docstring below a field of a settings model, or of the class that it has the field from."""
    for owner in model.__mro__:
        if name in inspect.get_annotations(owner):
            docstring = source_of(owner).members[name].docstring
            return one_line(docstring.value) if docstring else ""
    return ""


def one_line(text: str) -> str:
    """A text without its line breaks."""
    return " ".join(text.split())


def sections(thing: griffe.Object) -> list[griffe.DocstringSection]:
    """The parts of a docstring: text, parameters, attributes, errors."""
    return thing.docstring.parsed if thing.docstring else []


def section(thing: griffe.Object, kind: griffe.DocstringSectionKind) -> list[Any]:
    """The entries of one part of a docstring; none where it has no such part."""
    return next((list(one.value) for one in sections(thing) if one.kind is kind), [])


def cell(text: str) -> str:
    """A text for one cell of a Markdown table, with addresses as short links."""
    shown = one_line(text).replace("|", "\\|").replace("``", "`")
    # Markdown shows what stands between backticks as it is.
    parts = re.split(r"(`[^`]*`)", shown)
    shown = "".join(part if part.startswith("`") else part.replace("<", "&lt;") for part in parts)
    return re.sub(r"(https://\S+?)([.,:;)]*)(?=\s|$)", r"[AWS](\1)\2", shown)
