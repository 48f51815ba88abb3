"""MiniStack is imported, and looked up by name, in one room only."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[4]
ROOM = ROOT / "batch_engine/local/ministack"
SOURCES = ("batch_cli", "batch_engine", "batch_stack", "benchmarks", "containers", "lambdas")
MODULE = re.compile(r"ministack(\.\w+)*")


def references(source: str) -> Iterator[int]:
    """Yield the line of each import of MiniStack, and of each text that could be the name of its module."""
    for node in ast.walk(ast.parse(source)):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names = [node.module or ""]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            names = [node.value]
        if any(MODULE.fullmatch(name) for name in names):
            yield node.lineno


def test_no_other_room_knows_ministack() -> None:
    files = [path for folder in SOURCES for path in (ROOT / folder).rglob("*.py") if ROOM not in path.parents]
    assert len(files) > 200
    found = [f"{path.relative_to(ROOT)}:{line}" for path in files for line in references(path.read_text())]
    assert found == []


@pytest.mark.parametrize(
    "source",
    [
        "import ministack",
        "def f():\n    from ministack.services import sts",
        "import importlib\nimportlib.import_module('ministack.app')",
    ],
)
def test_each_way_to_know_it_is_found(source: str) -> None:
    assert list(references(source))


@pytest.mark.parametrize("source", ["from . import ministack", "from batch_engine.local.ministack import x"])
def test_our_own_room_is_not_meant(source: str) -> None:
    assert not list(references(source))
