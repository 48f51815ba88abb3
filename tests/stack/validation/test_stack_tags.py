"""In an app of somebody else: tags on the stack itself would replace compute environments."""

import json
from pathlib import Path
from typing import Any

import pytest

import batch_stack
from batch_stack.settings.file import parse_settings

pytestmark = pytest.mark.stack

ROOT = Path(__file__).resolve().parents[3]
FLAG = "@aws-cdk/core:explicitStackTags"


def _synthesised(
    outdir: Path, cdk: Any, *, flag: bool, tag: bool, own: bool = True
) -> tuple[dict[str, Any], list[str]]:
    """The stack's entry in the manifest, and the warnings that the CDK command shows."""
    app = batch_stack.App(context={FLAG: True} if flag else {}, outdir=str(outdir), analytics_reporting=False)
    settings = parse_settings({"name": "tagged"}, source="tags")
    if own:
        stack = batch_stack.BatchStack(app, "tagged", settings=settings, containers_dir=ROOT / "containers")
    else:
        stack = cdk.Stack(app, "tagged")
        batch_stack.BatchPlatform(stack, "Batch", settings=settings, containers_dir=ROOT / "containers")
    if tag:
        cdk.Tags.of(app).add("cost-centre", "42")
    messages = app.synth().get_stack_by_name(stack.stack_name).messages
    manifest = json.loads((outdir / "manifest.json").read_text(encoding="utf-8"))
    texts = [str(message.entry.data) for message in messages if str(message.level).endswith("WARNING")]
    return manifest["artifacts"]["tagged"], [text for text in texts if "batch-stack:stackTags" in text]


@pytest.mark.parametrize("own", [True, False], ids=["a stack of its own", "in another's stack"])
def test_without_the_feature_flag_a_tag_on_the_app_is_warned_of(tmp_path: Path, cdk: Any, own: bool) -> None:
    artifact, warnings = _synthesised(tmp_path, cdk, flag=False, tag=True, own=own)

    # The tag is CloudFormation's own here: nothing in the template could keep it away.
    assert artifact["properties"]["tags"] == {"cost-centre": "42"}
    (warning,) = warnings
    for part in ("cost-centre", "replaces a compute environment", FLAG, "At tagged"):
        assert part in warning


@pytest.mark.parametrize(("flag", "tag"), [(True, True), (True, False), (False, False)])
def test_there_is_no_warning_without_a_stack_tag(tmp_path: Path, cdk: Any, flag: bool, tag: bool) -> None:
    artifact, warnings = _synthesised(tmp_path, cdk, flag=flag, tag=tag)

    assert "tags" not in artifact["properties"]
    assert warnings == []
