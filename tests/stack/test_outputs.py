"""What a stack tells others of itself: its outputs."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import batch_stack
from batch_stack.settings.file import parse_settings
from batch_stack.settings.jobs import JobSettings
from batch_stack.settings.triggers import TriggerSettings

pytestmark = pytest.mark.stack

IMAGE = "public.ecr.aws/docker/library/busybox:1"
# What stacks that are deployed have: other stacks and scripts go by these names.
NAMED_BY_SETTINGS = {
    "BulkQueueArn",
    "CriticalQueueArn",
    "FargateQueueArn",
    "InputBucketName",
    "MediaFunctionName",
    "MediaJobDefinitionArn",
    "MediaJobDefinitionLatestArn",
    "NotificationTopicArn",
    "OutputBucketName",
    "StandardQueueArn",
}


def test_outputs_of_the_default_stack_keep_their_names(template: dict[str, Any]) -> None:
    assert set(template["Outputs"]) == NAMED_BY_SETTINGS


@pytest.fixture(scope="module")
def grown(cdk: Any, new_app: Callable[[], Any]) -> dict[str, Any]:
    """A stack to which a team has added jobs and a trigger in Python, and an output of its own."""
    content = {
        "compute": {"c": {"type": "spot"}},
        "tiers": {"t": {"priority": 1, "compute": ["c"]}},
        "jobs": {"first": {"image": IMAGE}},
        "triggers": {"first": {"job": "first", "tier": "t", "prefix": "in/"}},
    }
    settings = parse_settings(content, source="test")
    stack = batch_stack.BatchStack(new_app(), "grown", settings=settings)
    platform = stack.platform
    platform.add_job("by-hand", JobSettings(image=IMAGE, vcpu=2))
    platform.add_trigger("late", TriggerSettings(job="by-hand", tier="t", prefix="late/"))
    cdk.CfnOutput(stack, "TeamJobDefinitionArn", value="what the team has said before")
    platform.add_job("team", JobSettings(image=IMAGE))
    text = (Path(stack.node.root.synth().directory) / stack.template_file).read_text(encoding="utf-8")
    return dict(json.loads(text))


def test_jobs_and_triggers_added_in_python_have_outputs_like_those_of_the_settings(
    grown: dict[str, Any],
) -> None:
    outputs, resources = grown["Outputs"], grown["Resources"]
    for name, kind in (
        ("FirstJobDefinitionArn", "AWS::Batch::JobDefinition"),
        ("ByHandJobDefinitionArn", "AWS::Batch::JobDefinition"),
        ("FirstFunctionName", "AWS::Lambda::Function"),
        ("LateFunctionName", "AWS::Lambda::Function"),
    ):
        target = outputs[name]["Value"]["Ref"]
        assert resources[target]["Type"] == kind
        prefix = name.removesuffix("DefinitionArn").removesuffix("FunctionName")
        assert target.startswith(prefix), f"{name} is of {target}"


def test_an_output_that_the_team_has_made_stays_theirs(grown: dict[str, Any]) -> None:
    assert grown["Outputs"]["TeamJobDefinitionArn"] == {"Value": "what the team has said before"}
    assert len(grown["Outputs"]) == 12


def test_a_script_can_keep_an_arn_that_has_no_revision_in_it(grown: dict[str, Any]) -> None:
    value = grown["Outputs"]["FirstJobDefinitionLatestArn"]["Value"]
    *_, prefix, name = value["Fn::Join"][1]
    assert prefix == ":job-definition/"
    # Of arn:aws:batch:region:account:job-definition/name:revision the sixth part, behind its slash.
    (slash, part) = name["Fn::Select"][1]["Fn::Split"]
    (colon, arn) = part["Fn::Select"][1]["Fn::Split"]
    assert (name["Fn::Select"][0], slash, part["Fn::Select"][0], colon) == (1, "/", 5, ":")
    assert arn == grown["Outputs"]["FirstJobDefinitionArn"]["Value"]


def test_both_arns_are_of_the_same_definition(grown: dict[str, Any]) -> None:
    outputs = grown["Outputs"]
    for job in ("First", "ByHand"):
        resource = outputs[f"{job}JobDefinitionArn"]["Value"]["Ref"]
        assert resource in json.dumps(outputs[f"{job}JobDefinitionLatestArn"]["Value"])


def test_a_platform_in_a_stack_of_others_makes_no_outputs(cdk: Any, new_app: Callable[[], Any]) -> None:
    stack = cdk.Stack(new_app(), "theirs")
    content = {"compute": {"c": {"type": "spot"}}, "tiers": {"t": {"priority": 1, "compute": ["c"]}}}
    platform = batch_stack.BatchPlatform(stack, "Batch", settings=parse_settings(content, source="test"))
    platform.add_job("by-hand", JobSettings(image=IMAGE))
    assert cdk.assertions.Template.from_stack(stack).find_outputs("*") == {}
