"""What the README says about submitting jobs is what works."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import batch_stack

pytestmark = pytest.mark.stack

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def chapter() -> str:
    return (ROOT / "README.md").read_text(encoding="utf-8").split("\n## Submit jobs\n")[1].split("\n## ")[0]


def test_its_grants_are_of_the_default_stack_and_what_it_names_are_its_outputs(
    chapter: str, cdk: Any, new_app: Callable[[], Any]
) -> None:
    stack = batch_stack.BatchStack(
        new_app(),
        "readme",
        settings=batch_stack.load_settings(ROOT / "batch.yaml"),
        containers_dir=ROOT / "containers",
    )
    role = cdk.aws_iam.Role(stack, "Caller", assumed_by=cdk.aws_iam.AccountRootPrincipal())
    (code,) = re.findall(r"```python\n(.+?)```", chapter, re.DOTALL)
    exec(code, {"platform": stack.platform, "role": role})
    template = cdk.assertions.Template.from_stack(stack).to_json()
    (policy,) = (one for name, one in template["Resources"].items() if name.startswith("CallerDefaultPolicy"))
    assert [one["Action"] for one in policy["Properties"]["PolicyDocument"]["Statement"]] == [
        "batch:SubmitJob",
        "batch:TagResource",
        ["batch:CancelJob", "batch:TerminateJob"],
    ]
    assert json.dumps(policy).count("CriticalTierQueue") == 1
    named = set(re.findall(r"<(\w+)>", chapter))
    assert len(named) == 4
    assert named <= set(template["Outputs"])


def test_its_command_gives_the_job_the_parameters_that_its_worker_reads(chapter: str) -> None:
    (given,) = re.findall(r'--parameters "(.+?)"', chapter)
    command = batch_stack.load_settings(ROOT / "batch.yaml").jobs["media"].command
    read = {word.removeprefix("Ref::") for word in command or () if word.startswith("Ref::")}
    assert read == {pair.partition("=")[0] for pair in given.split(",")}


@pytest.fixture
def own_app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], dict[str, Any]]:
    """Runs the program of "In a CDK app of your own" on settings."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(from pathlib .+?)```", text, re.DOTALL)

    def run(settings: str) -> dict[str, Any]:
        (tmp_path / "batch.yaml").write_text(settings, encoding="utf-8")
        monkeypatch.chdir(tmp_path)
        names: dict[str, Any] = {}
        exec(compile(code, "README.md", "exec"), names)
        return names

    return run


def test_its_app_is_synthesised_and_held_to_its_lock_file(
    own_app: Callable[[str], dict[str, Any]], tmp_path: Path
) -> None:
    lock = tmp_path / "batch.lock.json"
    batch_stack.check_against_lock(batch_stack.Settings(), lock, create=True)
    names = own_app("{name: batch-stack}\n")
    assert (Path(names["app"].synth().directory) / "batch.template.json").is_file()
    with pytest.raises(SystemExit, match="what is deployed would be lost"):
        own_app("tiers: {critical: {priority: 1, compute: [spot]}}\n")
