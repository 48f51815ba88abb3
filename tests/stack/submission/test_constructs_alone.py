"""Triggers, schedules, submitters and data policies that are made in Python refuse what settings refuse."""

from collections.abc import Callable
from typing import Any

import pytest

import batch_stack
from batch_stack.settings.file import parse_settings

pytestmark = pytest.mark.stack

SETTINGS = {
    "compute": {"spot": {"type": "spot"}},
    "tiers": {
        "plain": {"priority": 2, "compute": ["spot"]},
        "fair": {"priority": 1, "compute": ["spot"], "fair_share": {"shares": {"red": 1}}},
    },
    "jobs": {"work": {"image": "public.ecr.aws/docker/library/busybox:1", "tiers": ["plain", "fair"]}},
}


@pytest.fixture
def platform(cdk: Any, new_app: Callable[[], Any]) -> batch_stack.BatchPlatform:
    stack = cdk.Stack(new_app(), "stack", env=cdk.Environment(account="111111111111", region="eu-west-1"))
    return batch_stack.BatchPlatform(stack, "Batch", settings=parse_settings(SETTINGS, source="test"))


def schedule(platform: batch_stack.BatchPlatform, tier: str = "plain", **more: Any) -> Any:
    return batch_stack.JobSchedule(
        platform,
        "Nightly",
        **{
            "name": "nightly",
            "expression": "rate(1 day)",
            "job": platform.jobs["work"],
            "tier": platform.tiers[tier],
            **more,
        },
    )


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"state": "on"}, "state must be enabled or disabled, got 'on' at stack/Batch/Nightly"),
        ({"parameters": {"n": 3}}, "parameters.n must be a text, got 3 at stack/Batch/Nightly"),
        (
            {"tier": "fair", "share": "a*"},
            r"share must be 1 to 255 letters and digits, got 'a\*' at stack/Batch/Nightly",
        ),
    ],
)
def test_a_schedule_refuses_what_aws_would_refuse_later(
    platform: batch_stack.BatchPlatform, given: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        schedule(platform, **given)


def test_a_schedule_takes_a_time_zone_that_only_the_deployment_knows(
    cdk: Any, platform: batch_stack.BatchPlatform
) -> None:
    zone = cdk.CfnParameter(platform, "Zone").value_as_string
    made = schedule(platform, expression="cron(0 3 * * ? *)", time_zone=zone)

    assert made.schedule.schedule_expression_timezone == zone


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "output_prefix must not overlap prefix, which is '', .* got '' at stack/Batch/Loop"),
        ({"prefix": "in/", "output_prefix": "in/out/"}, "must not overlap prefix, which is 'in/'"),
        ({"prefix": "in/", "output_prefix": "out"}, "must end in a slash, got 'out' at stack/Batch/Loop"),
    ],
)
def test_a_trigger_refuses_an_endless_loop(
    platform: batch_stack.BatchPlatform, given: dict[str, str], message: str
) -> None:
    bucket = platform.storage.input_bucket
    with pytest.raises(ValueError, match=message):
        batch_stack.ObjectTrigger(
            platform,
            "Loop",
            bucket=bucket,
            output_bucket=bucket,
            job=platform.jobs["work"],
            tier=platform.tiers["plain"],
            **given,
        )


def test_a_submitter_refuses_a_role_of_another_account(cdk: Any, platform: batch_stack.BatchPlatform) -> None:
    roles = {
        account: cdk.aws_iam.Role.from_role_arn(platform, account, f"arn:aws:iam::{account}:role/them")
        for account in ("111111111111", "222222222222")
    }
    batch_stack.Submitter(platform, "Own", roles=[roles["111111111111"]])

    with pytest.raises(ValueError, match="111111111111, got arn:aws:iam::222222222222:role/them at"):
        batch_stack.Submitter(platform, "Foreign", roles=[roles["222222222222"]])


def test_platforms_that_share_a_topic_have_statements_of_their_own(
    cdk: Any, new_app: Callable[[], Any]
) -> None:
    stack = cdk.Stack(new_app(), "stack")
    topic = cdk.aws_sns.Topic(stack, "Topic")
    for name in ("One", "Two"):
        batch_stack.BatchPlatform(stack, name, settings=parse_settings(SETTINGS, source="test"), topic=topic)
    policies = cdk.assertions.Template.from_stack(stack).find_resources("AWS::SNS::TopicPolicy").values()
    (statements,) = [one["Properties"]["PolicyDocument"]["Statement"] for one in policies]
    sids = [statement["Sid"] for statement in statements if "Sid" in statement]

    assert len([sid for sid in sids if sid.startswith("RulesOfThisStack")]) == 2
    assert len(sids) == len(set(sids))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"removal_policy": "SNAPSHOT"}, "removal_policy must be RETAIN or DESTROY, got SNAPSHOT"),
        ({"log_retention_days": 31}, "log_retention_days must be one of 1, 3, .*, got 31"),
    ],
)
def test_a_data_policy_takes_only_what_every_construct_can_do(
    cdk: Any, given: dict[str, Any], message: str
) -> None:
    if "removal_policy" in given:
        given = {"removal_policy": cdk.RemovalPolicy[given["removal_policy"]]}
    with pytest.raises(ValueError, match=message):
        batch_stack.DataPolicy(**given)


def test_a_data_policy_cannot_disagree_with_the_settings(cdk: Any, new_app: Callable[[], Any]) -> None:
    stack = cdk.Stack(new_app(), "stack")
    settings = batch_stack.StorageSettings(on_delete="destroy")

    with pytest.raises(ValueError, match="which is 'destroy', got removal_policy RETAIN at stack/Kept"):
        batch_stack.Storage(stack, "Kept", settings=settings, data_policy=batch_stack.DataPolicy())


def test_subnets_need_the_vpc_that_they_are_of(cdk: Any, new_app: Callable[[], Any]) -> None:
    stack = cdk.Stack(new_app(), "stack")
    subnets = cdk.aws_ec2.SubnetSelection(subnet_type=cdk.aws_ec2.SubnetType.PUBLIC)

    with pytest.raises(batch_stack.SettingsError, match="subnets must be given together with vpc"):
        batch_stack.BatchPlatform(
            stack, "Batch", settings=parse_settings(SETTINGS, source="test"), subnets=subnets
        )
