"""The shape of the import graph. What each folder may import is in pyproject.toml (import-linter)."""

import subprocess
import sys
from pathlib import Path

import grimp
import pytest

from tests.import_graph import (
    cycle,
    folder_ties,
    imports,
    is_one_line_of_documentation,
    loaders_by_name,
    modules_by_folder,
    strings_that_name,
)

ROOT = Path(__file__).resolve().parents[2]
OURS = ("batch_stack", "batch_engine", "batch_cli")
PACKAGES = (*OURS, "batch_worker", "media_worker", "benchmarks")
MAX_MODULES = 24
# The public names of two libraries: users import from the packages themselves.
FACADES = {"batch_stack/__init__.py", "containers/batch_worker/batch_worker/__init__.py"}
MINISTACK_ADAPTER = "batch_engine/local/ministack/"


@pytest.fixture(scope="module")
def ties():
    return imports(*PACKAGES)


def sources(*folders):
    names = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *folders],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    paths = (ROOT / name for name in names.stdout.split("\0") if name.endswith(".py"))
    return {path.relative_to(ROOT).as_posix(): path for path in paths if path.is_file()}


def test_no_cycle_between_modules(ties):
    assert cycle(ties) == []


def test_no_cycle_between_folders(ties):
    assert cycle(folder_ties(ties)) == []


def test_no_folder_is_crowded(ties):
    assert {folder: n for folder, n in modules_by_folder(ties).items() if n > MAX_MODULES} == {}


def test_packages_hold_one_line_that_says_what_is_in_them():
    inits = {
        name: path
        for name, path in sources(*OURS, "containers", "benchmarks", "lambdas").items()
        if path.name == "__init__.py"
    }

    assert set(inits) >= FACADES
    assert [name for name, path in inits.items() if not is_one_line_of_documentation(path)] == sorted(FACADES)


def test_the_core_imports_the_standard_library_only():
    graph = grimp.build_graph("batch_engine", include_external_packages=True, cache_dir=None)
    core = {module for module in graph.modules if module.startswith("batch_engine.core")}
    outside = set().union(*(graph.find_modules_directly_imported_by(module) for module in core)) - core

    assert outside
    assert outside <= set(sys.stdlib_module_names)


def test_modules_are_loaded_by_name_in_few_places():
    found = {name for name, path in sources(*OURS).items() if loaders_by_name(path.read_text())}

    assert {name for name in found if not name.startswith(MINISTACK_ADAPTER)} == {
        "batch_cli/lazy.py",  # subcommands: `batch-stack --help` imports none of them
    }


def test_only_the_adapter_names_ministack_in_a_string():
    named = {name: strings_that_name("ministack", path.read_text()) for name, path in sources(*OURS).items()}

    assert any(found for name, found in named.items() if name.startswith(MINISTACK_ADAPTER))
    assert {n: found for n, found in named.items() if found and not n.startswith(MINISTACK_ADAPTER)} == {}


# --- the checks themselves, on packages with one fault each ---


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Writes a package from its files and returns its name."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(name, **files):
        for path, text in {"__init__": "", **files}.items():
            file = tmp_path / name / f"{path.replace('__to__', '/')}.py"
            file.parent.mkdir(parents=True, exist_ok=True)
            (file.parent / "__init__.py").touch()
            file.write_text(text)
        return name

    return write


@pytest.mark.parametrize(
    "hidden",
    [
        "import {}",
        "def f():\n    import {}",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import {}",
    ],
)
def test_finds_a_cycle_of_modules_however_it_is_hidden(package, hidden):
    name = package("house_a", one="import house_a.two", two=hidden.format("house_a.one"))

    assert set(cycle(imports(name))) == {"house_a.one", "house_a.two"}


def test_finds_a_cycle_of_folders_that_is_none_of_modules(package):
    name = package(
        "house_b",
        up__to__one="import house_b.down.one",
        up__to__two="",
        down__to__one="",
        down__to__two="import house_b.up.two",
    )

    assert cycle(imports(name)) == []
    assert set(cycle(folder_ties(imports(name)))) == {"house_b.up", "house_b.down"}


def test_finds_a_room_that_imports_from_the_facade_above_it(package):
    name = package("house_c", platform="import house_c.room.one", room__to__one="import house_c")

    assert set(cycle(folder_ties(imports(name)))) == {"house_c", "house_c.room"}


def test_counts_the_modules_of_a_folder_without_those_of_its_folders(package):
    name = package("house_d", one="", two="", room__to__one="", room__to__two="", room__to__three="")

    assert modules_by_folder(imports(name)) == {"house_d": 2, "house_d.room": 3}


def test_packages_without_faults_pass(package):
    name = package("house_e", top="import house_e.room.one", room__to__one="import json", room__to__two="")

    assert cycle(imports(name)) == []
    assert cycle(folder_ties(imports(name))) == []


@pytest.mark.parametrize(
    "text", ["", '"""One.\n\nTwo.\n"""\n', '"""One."""\nimport json\n', "import json\n", "'  '\n"]
)
def test_refuses_what_is_not_one_line(tmp_path, text):
    (tmp_path / "__init__.py").write_text(text)

    assert not is_one_line_of_documentation(tmp_path / "__init__.py")


def test_sees_modules_that_are_loaded_by_name():
    assert loaders_by_name("import importlib\nimportlib.import_module('ministack.app')")
    assert loaders_by_name("__import__('ministack')")
    assert not loaders_by_name("import json\njson.loads('')")
    assert strings_that_name(
        "ministack", "x = ['ministack.core.app', 'ministack:main', 'the ministack']"
    ) == [
        "ministack.core.app",
        "ministack:main",
    ]
