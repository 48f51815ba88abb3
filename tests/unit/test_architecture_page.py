"""docs/architecture.md names files and functions that exist, and a new kind of compute touches few files."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
ROWS = (
    "a job setting",
    "a kind of compute",
    "an API operation",
    "a CloudFormation type",
    "a command",
    "a worker",
)
PATH = re.compile(r"`([\w.-]+(?:/[\w.-]+)+|[\w-]+\.\w+|Makefile)`")
NAMED = re.compile(r"`([\w./-]+\.py)` \(((?:`\w+`,?\s*)+)\)")


def paths(text: str) -> list[str]:
    return list(dict.fromkeys(PATH.findall(text)))


def exists(path: str) -> bool:
    """Returns whether a path exists; NAME stands for any part of a name."""
    return any(ROOT.glob(path.replace("NAME", "*")))


def row(title: str) -> list[str]:
    (line,) = (line for line in PAGE.splitlines() if line.startswith(f"| {title}"))
    return line.strip("| ").split(" | ")


def is_source(path: str) -> bool:
    return path.startswith(("batch_stack/", "batch_engine/", "batch_cli/", "lambdas/", "containers/"))


@pytest.mark.parametrize("path", paths(PAGE))
def test_every_path_exists(path: str) -> None:
    assert exists(path), path


@pytest.mark.parametrize(("path", "names"), NAMED.findall(PAGE))
def test_every_function_is_in_its_file(path: str, names: str) -> None:
    text = (ROOT / path).read_text(encoding="utf-8")

    for name in re.findall(r"\w+", names):
        assert re.search(rf"^ *(async )?(def|class) {name}\b", text, re.MULTILINE), name


@pytest.mark.parametrize("title", ROWS)
def test_a_row_has_sources_and_tests(title: str) -> None:
    _, sources, others = row(title)

    assert any(is_source(path) for path in paths(sources))
    assert any(path.startswith("tests/") for path in paths(others))
    assert not any(is_source(path) for path in paths(others))


def test_a_kind_of_compute_touches_six_source_files_at_most() -> None:
    _, sources, _ = row("a kind of compute")

    assert 3 <= len([path for path in paths(sources) if is_source(path)]) <= 6


def test_what_is_gone_is_noticed() -> None:
    assert paths("a `tests/x.py` and `make docs` and `app.py`") == ["tests/x.py", "app.py"]
    assert exists("lambdas/NAME/logic.py")
    assert not exists("lambdas/NAME/gone.py")
