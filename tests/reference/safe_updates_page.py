"""Writes docs/safe-updates.md from the tables of edits that tests/stack/updates goes through."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.reference.docstrings import cell
from tests.stack.updates.test_safe_updates import EDITS, REFUSED, Edit

INTRODUCTION = Path(__file__).with_name("safe_updates.md")
BECOMES = {
    "Compute": {"in place": "compute environment in place", "added": "compute environment added"},
    "TierQueue": {"in place": "queue in place", "added": "queue added"},
    "JobDefinition": {"new revision": "new revision", "added": "job definition added"},
}


def text() -> str:
    """The page."""
    edits = [f"| {cell(name)} | {_edit(edit)} | {_outcome(kinds)} |" for name, (edit, kinds) in EDITS.items()]
    refused = [
        f"| {cell(name)} | {_edit(edit)} | {cell(advice)} |" for name, (edit, advice) in REFUSED.items()
    ]
    lines = [
        INTRODUCTION.read_text(encoding="utf-8"),
        "## Edits that are safe\n",
        "| edit | settings | what it does to what holds jobs |",
        "| --- | --- | --- |",
        *edits,
        "\n## Edits that are refused\n",
        "| edit | settings | `cdk synth` says, among other things |",
        "| --- | --- | --- |",
        *refused,
    ]
    return "\n".join(lines) + "\n"


def _edit(edit: Edit) -> str:
    return "<br>".join(f"`{path}{_value(value)}`" for path, value in edit.items())


def _value(value: Any) -> str:
    # An object of its own stands for a setting that is removed.
    return " (removed)" if type(value) is object else f": {json.dumps(value)}".replace("|", "\\|")


def _outcome(kinds: Mapping[str, str]) -> str:
    found = set()
    for logical_id, kind in kinds.items():
        suffix = next(suffix for suffix in BECOMES if logical_id.endswith(suffix))
        found.add(BECOMES[suffix][kind])
    return ", ".join(sorted(found)) or "nothing: other resources change in place"
