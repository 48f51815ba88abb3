"""Writes docs/conformance.md from docs/conformance/*.toml, and checks both.

Each TOML file holds the facts of one part of AWS Batch: an id, the fact, and either the tests that check it
or the reason why the engine does not model it. ``python -m tests.conformance_page`` writes the page,
``--check`` only looks whether everything fits.
"""

import argparse
import ast
import re
import sys
import tomllib
from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
SOURCES = ROOT / "docs" / "conformance"
PAGE = ROOT / "docs" / "conformance.md"
COMMAND = "run python -m tests.conformance_page"
SECTION_MEMBERS = {"section", "title", "pages", "fact"}
FACT_MEMBERS = {"id", "group", "fact", "tests", "not_modelled"}

INTRODUCTION = """\
# Conformance with AWS Batch

This page lists facts about AWS Batch, and whether the engine follows each. The facts come from the AWS
documentation, in our own words; each section names its pages.

* **Tested**: the named tests run in this repository and fail if the engine does not follow the fact. They
  compare the engine with the text of the fact, without an AWS account. If AWS documents nothing, the fact
  says what the engine does.
* **Not modelled**: the engine does not follow the fact, for the given reason. It refuses requests that need
  it with a `ClientException`, unless the reason says that such requests are accepted and stored.

`python -m tests.conformance_page` writes this page from `docs/conformance/*.toml`: edit those.
"""


@dataclass(frozen=True, slots=True)
class Fact:
    """One rule of AWS Batch, and its tests or the reason why there are none."""

    id: str
    group: str
    fact: str
    tests: tuple[str, ...]
    not_modelled: str | None


@dataclass(frozen=True, slots=True)
class Section:
    """The facts of one part of AWS Batch, and the pages of its documentation that they come from."""

    number: int
    title: str
    pages: tuple[str, ...]
    facts: tuple[Fact, ...]


def read(path: Path) -> Section:
    """Read one source file.

    Raises:
        ValueError: a member that is not known or has the wrong type, with the place.
    """
    wire = tomllib.loads(path.read_text(encoding="utf-8"))
    if unknown := set(wire) - SECTION_MEMBERS:
        raise ValueError(f"{path.name}: unknown {', '.join(sorted(unknown))}")
    facts = tuple(_fact(path, entry) for entry in wire["fact"])
    return Section(wire["section"], wire["title"], tuple(wire.get("pages", [])), facts)


def _fact(path: Path, entry: dict[str, Any]) -> Fact:
    name = entry.get("id", "a fact without an id")
    if unknown := set(entry) - FACT_MEMBERS:
        raise ValueError(f"{path.name}: {name}: unknown {', '.join(sorted(unknown))}")
    if not (entry.get("id") and entry.get("fact")):
        raise ValueError(f"{path.name}: {name}: id and fact are both required")
    tests = entry.get("tests", [])
    if not isinstance(tests, list):
        raise ValueError(f"{path.name}: {name}: tests must be a list, got {tests!r}")
    return Fact(entry["id"], entry.get("group", ""), entry["fact"], tuple(tests), entry.get("not_modelled"))


def read_all(folder: Path = SOURCES) -> list[Section]:
    """Every section, in order."""
    return sorted((read(path) for path in folder.glob("*.toml")), key=lambda section: section.number)


@cache
def _test_names(path: Path) -> frozenset[str]:
    """The test functions of a file: ``function`` and ``Class::function``."""
    names = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.ClassDef):
            functions = (item for item in node.body if isinstance(item, ast.FunctionDef))
            names.update(f"{node.name}::{function.name}" for function in functions)
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            # A Hypothesis state machine's test case is assigned, not defined.
            names.add(node.targets[0].id)
    return frozenset(name for name in names if name.rpartition("::")[2].lower().startswith("test"))


def missing(test: str, root: Path = ROOT) -> str | None:
    """What is wrong with the name of a test, or None where the test exists."""
    file, _, function = test.partition("::")
    path = root / file
    if not function or not path.name.startswith("test_") or not path.is_file():
        return f"{test}: no such file of tests"
    name, _, case = function.partition("[")
    if name not in _test_names(path):
        return f"{test}: no such test in {file}"
    if case.removesuffix("]") not in path.read_text(encoding="utf-8"):
        return f"{test}: {file} does not name this case"
    return None


def problems(sections: list[Section], root: Path = ROOT) -> list[str]:
    """Everything that is wrong with the sources, a line each."""
    facts = [fact for section in sections for fact in section.facts]
    found = [
        f"{name}: {count} facts have this id"
        for name, count in Counter(fact.id for fact in facts).items()
        if count > 1
    ]
    for fact in facts:
        if bool(fact.tests) == bool(fact.not_modelled):
            found.append(
                f"{fact.id}: needs either tests or not_modelled, has {'both' if fact.tests else 'neither'}"
            )
        if len(set(fact.tests)) < len(fact.tests):
            found.append(f"{fact.id}: names a test twice")
        found.extend(f"{fact.id}: {text}" for test in fact.tests if (text := missing(test, root)))
    return found


def render(sections: list[Section]) -> str:
    """The page."""
    tested = [sum(1 for fact in section.facts if fact.tests) for section in sections]
    lines = [INTRODUCTION, "| section | facts | tested | not modelled |", "| --- | ---: | ---: | ---: |"]
    for section, count in zip(sections, tested, strict=True):
        total = len(section.facts)
        link = f"[{section.number}. {section.title}](#{_anchor(section)})"
        lines.append(f"| {link} | {total} | {count} | {total - count} |")
    total = sum(len(section.facts) for section in sections)
    lines.append(f"| **all** | **{total}** | **{sum(tested)}** | **{total - sum(tested)}** |")
    for section in sections:
        lines += _section(section)
    return "\n".join(lines) + "\n"


def _anchor(section: Section) -> str:
    words = f"{section.number}. {section.title}".lower().replace(" ", "-")
    return "".join(character for character in words if character.isalnum() or character in "-_")


def _section(section: Section) -> list[str]:
    lines = ["", f"## {section.number}. {section.title}"]
    if section.pages:
        lines += ["", f"Pages of the AWS documentation: {', '.join(f'`{page}`' for page in section.pages)}."]
    group = None
    for fact in section.facts:
        if fact.group != group:
            group = fact.group
            lines += ["", f"### {group}"] if group else []
            lines += ["", "| fact | tested by, or why not |", "| --- | --- |"]
        proof = _links(fact.tests) if fact.tests else f"**not modelled**: {_cell(fact.not_modelled or '')}"
        lines.append(f'| <a id="{fact.id}"></a>{_cell(fact.fact)} | {proof} |')
    return lines


def _cell(text: str) -> str:
    """Text that Markdown shows as it is, in one cell of a table."""
    plain = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;")
    return re.sub(r"([\\|*`])", r"\\\1", plain)


def _links(tests: tuple[str, ...]) -> str:
    links = []
    for test in tests:
        file, _, function = test.partition("::")
        place = file.removeprefix("tests/").removesuffix(".py")
        links.append(f"[{place}::{_cell(function)}](../{file})")
    return "<br>".join(links)


def main(arguments: list[str] | None = None) -> int:
    """Write the page, or with ``--check`` say what does not fit."""
    parser = argparse.ArgumentParser(prog="python -m tests.conformance_page", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if the page is out of date")
    check = parser.parse_args(arguments).check
    sections = read_all()
    found = problems(sections)
    page = render(sections)
    if check and (not PAGE.is_file() or PAGE.read_text(encoding="utf-8") != page):
        found.append(f"docs/conformance.md is out of date: {COMMAND}")
    if found:
        sys.stderr.write("\n".join(found) + "\n")
        return 1
    if not check:
        PAGE.write_text(page, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
