"""The generated reference is current, and what it is made from leaves nothing out."""

import ast
import inspect
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import griffe
import jsonschema
import pytest
import yaml

import batch_stack
from batch_stack.settings.base.model import SettingsModel
from tests.reference import __main__ as reference
from tests.reference import schema as schemas
from tests.reference.construct_pages import NO_PAGE, Kind, names, page, public_attributes, source
from tests.reference.docstrings import ROOT, field_text, package, section

FILES = [ROOT / "batch.yaml", *sorted((ROOT / "examples").glob("*/batch.yaml"))]
UNITS = {
    "_s": "[Ss]econds",
    "_mib": "MiB",
    "_gib": "GiB",
    "_days": "Days|days",
    "_minutes": "minutes",
    "_percent": "per cent|[Pp]ercentage",
    "_acu": "units",
    "_usd": "dollar",
}
CLASSES = [name for name in names() if isinstance(source(name), griffe.Class)]


def test_the_reference_is_current() -> None:
    assert reference.problems() == []


def test_an_outdated_or_unknown_page_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "docs" / "constructs").mkdir(parents=True)
    (tmp_path / "docs" / "constructs" / "Gone.md").write_text("no such construct")
    monkeypatch.setattr(reference, "ROOT", tmp_path)
    assert reference.main([]) == 0
    assert (tmp_path / "docs" / "batch.schema.json").is_file()
    assert not (tmp_path / "docs" / "constructs" / "Gone.md").exists()
    assert reference.main(["--check"]) == 0
    (tmp_path / "docs" / "settings.md").write_text("old")
    (tmp_path / "docs" / "constructs" / "Gone.md").write_text("no such construct")
    assert reference.problems() == [
        "docs/constructs/Gone.md is out of date: run make docs",
        "docs/settings.md is out of date: run make docs",
    ]
    assert reference.main(["--check"]) == 1


def test_every_setting_says_what_it_is() -> None:
    silent = [
        f"{name}.{field}"
        for name, model in schemas.models().items()
        for field in model.model_fields
        if len(field_text(model, field).split()) < 3
    ]
    assert silent == []


def test_a_setting_in_a_unit_names_it() -> None:
    for name, model in schemas.models().items():
        for field in model.model_fields:
            for suffix, unit in UNITS.items():
                if field.endswith(suffix):
                    assert re.search(unit, field_text(model, field)), f"{name}.{field}: {unit}"


def test_every_settings_model_has_a_description_of_its_own() -> None:
    base = inspect.getdoc(SettingsModel)
    parts = schemas.schema()["$defs"]
    assert [name for name, part in parts.items() if part["description"] in ("", base)] == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.parent.name)
def test_editors_accept_the_files_that_are_shipped_and_find_their_schema(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    jsonschema.validate(yaml.safe_load(text), schemas.schema())
    named = re.fullmatch(r"# yaml-language-server: \$schema=(\S+)", text.splitlines()[0])
    assert named
    assert (path.parent / named[1]).resolve() == ROOT / "docs" / "batch.schema.json"


@pytest.mark.parametrize(
    "content",
    [
        {"nme": "x"},
        {"compute": {"x": {"max_vcpus": 4}}},
        {"compute": {"x": {"type": "spot", "ebs_gib": 8}}},
        {"compute": {"x": {"type": "fargate", "ebs_gib": 80}}},
        {"tiers": {"x": {"compute": ["a"], "priority": "high"}}},
        {"jobs": {"x": {"folder": "../x"}}},
        {"network": {"mode": "isolatd"}},
    ],
)
def test_editors_mark_what_would_be_refused(content: object) -> None:
    schema = schemas.schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    assert not jsonschema.Draft202012Validator(schema).is_valid(content)


def test_editors_say_what_a_text_must_be() -> None:
    folder = schemas.schema()["$defs"]["JobSettings"]["properties"]["folder"]
    assert folder["anyOf"][0]["errorMessage"] == "must be the name of a folder of containers/"
    assert folder["description"].startswith("A folder of containers/ whose Dockerfile")


def _functions(thing: griffe.Class | griffe.Function) -> list[griffe.Function]:
    if isinstance(thing, griffe.Function):
        return [thing]
    # What a dataclass is made of are its attributes, described as such.
    return [
        member
        for name, member in thing.members.items()
        if isinstance(member, griffe.Function)
        and ((name == "__init__" and "dataclass" not in thing.labels) or name[0] != "_")
    ]


def _modules(package: griffe.Module) -> Iterator[griffe.Module]:
    yield package
    for member in package.members.values():
        if isinstance(member, griffe.Module):
            yield from _modules(member)


def test_every_construct_has_a_page() -> None:
    """Those that others hold as attributes, too: whoever gets one can look it up."""
    constructs = {
        one.name
        for module in _modules(package())
        for one in module.members.values()
        if isinstance(one, griffe.Class) and one.name[0] != "_"
        and any(str(base).rpartition(".")[2] in ("Construct", "ComputeEnvironment") for base in one.bases)
    }  # fmt: skip
    assert len(constructs) > 20
    assert constructs <= set(names())


def test_a_stack_has_the_errors_of_the_platform_in_it() -> None:
    def errors(name: str) -> dict[str, str]:
        initializer = source(name).members["__init__"]
        return {str(one.annotation): one.description for one in section(initializer, Kind.raises)}

    assert errors("BatchStack") == errors("BatchPlatform")


@pytest.mark.parametrize("name", names())
def test_every_parameter_result_and_error_is_described(name: str) -> None:
    for function in _functions(source(name)):
        if "property" in function.labels:
            continue
        given = {one.name for one in function.parameters} - {"self"}
        described = {one.name.lstrip("*") for one in section(function, Kind.parameters)}
        assert described == given, function.path
        tree = ast.parse(textwrap.dedent("\n".join(function.lines)))
        raised = {
            node.exc.func.id
            for node in ast.walk(tree)
            if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call)
            and isinstance(node.exc.func, ast.Name)
        }  # fmt: skip
        assert raised <= {str(one.annotation) for one in section(function, Kind.raises)}, function.path


@pytest.mark.parametrize("name", CLASSES)
def test_every_public_attribute_is_described(name: str) -> None:
    thing = source(name)
    described = public_attributes(thing)
    for owner in [thing, *thing.mro()]:
        for attribute, member in owner.members.items():
            if member.is_attribute and not attribute.startswith("_"):
                assert attribute in described, f"{owner.path}.{attribute}"


@pytest.mark.parametrize("name", names())
def test_every_public_name_has_a_page_that_says_what_it_is(name: str) -> None:
    lines = page(name).splitlines()
    assert lines[0] == f"# {name}"
    assert len(lines[4].split()) >= 4


def test_what_has_no_page_is_described_elsewhere() -> None:
    public, models = set(batch_stack.__all__), set(schemas.models())
    assert public - set(names()) - models == NO_PAGE == {"App"}


def test_every_model_that_a_file_can_hold_is_a_public_name() -> None:
    assert {*schemas.schema()["$defs"], "Settings"} == set(batch_stack.__all__) & set(schemas.models())


@pytest.mark.parametrize("name", batch_stack.__all__)
def test_every_public_name_is_what_it_says(name: str) -> None:
    assert getattr(batch_stack, name).__name__ == name


def test_importing_the_package_imports_no_cdk_and_names_are_listed() -> None:
    code = "import sys, batch_stack; print('aws_cdk' in sys.modules, 'JobSettings' in dir(batch_stack))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]


PAGES = [
    ROOT / "README.md",
    *(ROOT / "docs").glob("*.md"),
    *(ROOT / "docs" / "constructs").glob("*.md"),
    *(ROOT / "examples").glob("*/README.md"),
]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_of_a_page_leads_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", path.read_text(encoding="utf-8")):
        if target.startswith("http"):
            continue
        file, _, anchor = target.partition("#")
        linked = (path.parent / file).resolve() if file else path
        assert linked.exists(), target
        if anchor and linked.name == "settings.md":
            text = linked.read_text(encoding="utf-8")
            assert f'id="{anchor}"' in text or f"## {anchor.replace('-', ' ').capitalize()}\n" in text, target
