"""docs/conformance.md: every fact has tests that exist, or a reason."""

import re

import pytest

from tests import conformance_page
from tests.conformance_page import Fact, Section, missing, problems, read, read_all, render

FILE = """
def helper(): ...
@pytest.mark.parametrize("x", ["case"])
def test_one(x): ...
async def test_two(): ...
class TestMany:
    def test_three(self): ...
TestMachine = object
"""


@pytest.fixture
def repository(tmp_path):
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_it.py").write_text(FILE)
    return tmp_path


def section(*facts):
    return Section(1, "A title", ("job_states",), facts)


def fact(name="a.b", tests=(), not_modelled=None):
    return Fact(name, "", "water is wet", tuple(tests), not_modelled)


def test_every_fact_has_tests_that_exist_or_a_reason():
    assert problems(read_all()) == []


def test_the_page_is_up_to_date():
    page = conformance_page.PAGE.read_text(encoding="utf-8")
    assert page == render(read_all()), conformance_page.COMMAND


def test_every_section_is_there():
    assert [found.number for found in read_all()] == list(range(1, 15))


@pytest.mark.parametrize(
    "name", ["test_one", "test_one[case]", "test_two", "TestMany::test_three", "TestMachine"]
)
def test_a_test_that_exists_is_found(repository, name):
    assert missing(f"tests/test_it.py::{name}", repository) is None


@pytest.mark.parametrize(
    "name",
    [
        "test_it.py::test_one",
        "tests/test_it.py",
        "tests/test_it.py::test_gone",
        "tests/test_it.py::helper",
        "tests/test_it.py::test_one[other]",
    ],
)
def test_a_test_that_does_not_exist_is_named(repository, name):
    (text,) = problems([section(fact(tests=[name]))], repository)
    assert name in text


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ([fact()], "has neither"),
        ([fact(tests=["tests/test_it.py::test_one"], not_modelled="no need")], "has both"),
        ([fact(not_modelled="x"), fact(not_modelled="y")], "2 facts have this id"),
        ([fact(tests=["tests/test_it.py::test_one"] * 2)], "names a test twice"),
    ],
)
def test_what_does_not_fit_is_said(repository, facts, words):
    (text,) = problems([section(*facts)], repository)
    assert words in text


def test_a_misspelt_member_is_refused(tmp_path):
    path = tmp_path / "01.toml"
    path.write_text('section = 1\ntitle = "t"\n[[fact]]\nid = "a"\nfact = "f"\ntest = ["x"]\n')
    with pytest.raises(ValueError, match=r"01\.toml: a: unknown test"):
        read(path)


def test_the_summary_counts_and_cells_hold():
    page = render([section(fact(tests=["tests/test_it.py::test_one"]), fact("c", not_modelled="a | <b> *"))])
    assert "| [1. A title](#1-a-title) | 2 | 1 | 1 |" in page
    assert "[test_it::test_one](../tests/test_it.py)" in page
    assert r"**not modelled**: a \| &lt;b> \*" in page


def test_check_fails_where_the_page_is_old(tmp_path, monkeypatch, capsys):
    page = tmp_path / "conformance.md"
    monkeypatch.setattr(conformance_page, "PAGE", page)
    assert conformance_page.main(["--check"]) == 1
    assert re.search(r"out of date: run python -m tests\.conformance_page", capsys.readouterr().err)
    assert conformance_page.main([]) == 0
    assert conformance_page.main(["--check"]) == 0
