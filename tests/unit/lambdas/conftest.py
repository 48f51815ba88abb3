"""Loads a Lambda function the way Lambda does: its folder is on the path, its modules have short names."""

import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

FOLDERS = Path(__file__).resolve().parents[3] / "lambdas"


@pytest.fixture
def function() -> str:
    """The folder of the function under test; a test file of another one has a fixture of its own."""
    return "submit_job"


@pytest.fixture
def handler(function: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """A fresh copy of the handler's module."""
    monkeypatch.syspath_prepend(str(FOLDERS / function))
    for name in ("handler", "logic"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    yield import_module("handler")
    for name in ("handler", "logic"):
        sys.modules.pop(name, None)


@pytest.fixture
def logic(handler: ModuleType) -> ModuleType:
    """The pure part."""
    return sys.modules["logic"]
