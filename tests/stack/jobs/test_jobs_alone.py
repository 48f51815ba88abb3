"""Jobs that are made without a platform."""

from collections.abc import Callable
from typing import Any

import pytest

import batch_stack
from batch_stack.settings.file import parse_settings
from batch_stack.settings.jobs import JobSettings
from batch_stack.settings.retry import RetrySettings
from tests.stack.jobs.conftest import IMAGE

pytestmark = pytest.mark.stack


def test_a_job_by_itself_needs_no_more_than_its_settings(cdk: Any, new_app: Callable[[], Any]) -> None:
    stack = cdk.Stack(new_app(), "alone")
    settings = {
        "Plain": JobSettings(image=IMAGE),
        "Own": JobSettings(image=IMAGE, retry=RetrySettings(attempts=7), log_retention_days=365),
    }
    for name, one in settings.items():
        batch_stack.ContainerJob(stack, name, name=name.lower(), settings=one)
    resources = cdk.assertions.Template.from_stack(stack).to_json()["Resources"].values()
    definitions = [one for one in resources if one["Type"] == "AWS::Batch::JobDefinition"]
    groups = [one for one in resources if one["Type"] == "AWS::Logs::LogGroup"]
    assert [one["Properties"]["RetryStrategy"]["Attempts"] for one in definitions] == [3, 7]
    assert [one["Properties"]["RetentionInDays"] for one in groups] == [30, 365]


def test_a_job_is_kept_out_of_tiers_of_another_architecture(cdk: Any, new_app: Callable[[], Any]) -> None:
    stack = cdk.Stack(new_app(), "arm")
    compute = {
        "c": {"type": "fargate", "architecture": "arm64"},
        "e": {"type": "spot", "instance_types": ["c7g"]},
    }
    tiers = {"t": {"priority": 1, "compute": ["c"]}, "u": {"priority": 1, "compute": ["e"]}}
    content = {"compute": compute, "tiers": tiers}
    platform = batch_stack.BatchPlatform(stack, "Default", settings=parse_settings(content, source="test"))
    assert platform.tiers["t"].architecture == "arm64"
    on_fargate = JobSettings(image=IMAGE, platform="fargate", vcpu=1, memory_mib=2048)
    made = batch_stack.ContainerJob(stack, "Made", name="made", settings=on_fargate)
    with pytest.raises(ValueError, match=r"because jobs\.made is made for x86_64, got 't' at here"):
        made.check_tier(platform.tiers["t"], at="here")
    # Whose image it is, AWS Batch on EC2 does not ask: it may be of both.
    either = batch_stack.ContainerJob(stack, "Either", name="either", settings=JobSettings(image=IMAGE))
    either.check_tier(platform.tiers["u"], at="here")
    armed = batch_stack.ContainerJob(
        stack, "Armed", name="armed", settings=on_fargate, tiers=[platform.tiers["t"]]
    )
    assert armed.architecture == "arm64", "that of its tiers"
