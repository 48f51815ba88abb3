"""An existing SNS topic in place of a new one."""

from collections.abc import Callable
from typing import Any

import pytest

import batch_stack
from batch_stack.settings.base.errors import SettingsError
from batch_stack.settings.file import parse_settings

pytestmark = pytest.mark.stack

ARN = "arn:aws:sns:us-east-1:123456789012:operations"


def _resources(cdk: Any, stack: Any, kind: str) -> list[dict[str, Any]]:
    found = cdk.assertions.Template.from_stack(stack).find_resources(kind).values()
    return [one.get("Properties", {}) for one in found]


def test_an_imported_topic_is_published_to_and_its_owner_is_told_whom_to_admit(
    cdk: Any, new_app: Callable[[], Any]
) -> None:
    compute = {"c": {"type": "spot"}}
    tiers = {"t": {"priority": 1, "compute": ["c"], "budget": {"usd_per_month": 100}}}
    content = {
        "compute": compute,
        "tiers": tiers,
        "notifications": {"topic_arn": ARN, "emails": ["ops@example.com"]},
    }
    stack = batch_stack.BatchStack(new_app(), "told", settings=parse_settings(content, source="test"))
    assert _resources(cdk, stack, "AWS::SNS::Topic") == []
    assert _resources(cdk, stack, "AWS::SNS::TopicPolicy") == []
    (subscription,) = _resources(cdk, stack, "AWS::SNS::Subscription")
    assert (subscription["TopicArn"], subscription["Endpoint"]) == (ARN, "ops@example.com")
    (alarm, *_) = _resources(cdk, stack, "AWS::CloudWatch::Alarm")
    assert alarm["AlarmActions"] == [ARN]
    rules = [one for one in _resources(cdk, stack, "AWS::Events::Rule") if "aws.batch" in str(one)]
    assert rules
    assert {target["Arn"] for rule in rules for target in rule["Targets"]} == {ARN}
    (budget,) = _resources(cdk, stack, "AWS::Budgets::Budget")
    told = [one["Subscribers"][0]["Address"] for one in budget["NotificationsWithSubscribers"]]
    assert set(told) == {ARN}
    warned = cdk.assertions.Annotations.from_stack(stack).find_warning("*", cdk.assertions.Match.any_value())
    for service in ("events", "cloudwatch", "budgets"):
        assert any(
            f"must let {service}.amazonaws.com do sns:Publish" in str(one.entry.data) for one in warned
        )


def _warned_of_the_role(cdk: Any, stack: Any) -> list[str]:
    any_value = cdk.assertions.Match.any_value()
    warned = cdk.assertions.Annotations.from_stack(stack).find_warning("*", any_value)
    return [str(one.entry.data) for one in warned if "must let the role" in str(one.entry.data)]


@pytest.mark.parametrize("imported", [True, False])
def test_a_role_that_publishes_needs_the_owner_of_an_imported_topic(
    cdk: Any, new_app: Callable[[], Any], imported: bool
) -> None:
    """That of the function which disables a queue: services of AWS are not all that publishes."""
    budget = {"usd_per_month": 100, "on_exceeded": "disable_queue"}
    content = {
        "compute": {"c": {"type": "spot"}},
        "tiers": {"t": {"priority": 1, "compute": ["c"], "budget": budget}},
        "notifications": {"topic_arn": ARN} if imported else {},
    }
    stack = batch_stack.BatchStack(new_app(), "acts", settings=parse_settings(content, source="test"))
    warned = _warned_of_the_role(cdk, stack)
    if not imported:
        assert warned == []
        return
    (text,) = warned
    assert "must let the role acts/Default/TTier/Budget/FunctionRole do sns:Publish" in text
    assert "must let that role do kms:Decrypt and kms:GenerateDataKey" in text


def test_a_topic_of_the_same_stack_admits_what_publishes(cdk: Any, new_app: Callable[[], Any]) -> None:
    stack = cdk.Stack(new_app(), "own")
    topic = cdk.aws_sns.Topic(stack, "Operations")
    notification = batch_stack.Notification.from_topic(stack, "Notification", topic)
    assert notification.topic is topic
    assert len(_resources(cdk, stack, "AWS::SNS::Topic")) == 1
    (policy,) = _resources(cdk, stack, "AWS::SNS::TopicPolicy")
    admitted = {one["Principal"]["Service"] for one in policy["PolicyDocument"]["Statement"]}
    assert admitted == {"events.amazonaws.com", "cloudwatch.amazonaws.com"}
    role = cdk.aws_iam.Role(stack, "Role", assumed_by=cdk.aws_iam.AccountRootPrincipal())
    notification.grant_publish(role)
    assert _warned_of_the_role(cdk, stack) == []


def test_a_topic_of_another_kind_is_refused() -> None:
    with pytest.raises(SettingsError) as raised:
        parse_settings({"notifications": {"topic_arn": f"{ARN}.fifo"}}, source="f")
    assert str(raised.value) == (
        "f: notifications.topic_arn must be the ARN of a standard SNS topic (arn:aws:sns:...), "
        f"got '{ARN}.fifo'"
    )


def test_a_platform_takes_a_topic_of_cdk(cdk: Any, new_app: Callable[[], Any]) -> None:
    stack = cdk.Stack(new_app(), "given")
    topic = cdk.aws_sns.Topic(stack, "Operations")
    settings = parse_settings({"notifications": {"emails": ["ops@example.com"]}}, source="test")
    platform = batch_stack.BatchPlatform(stack, "Batch", settings=settings, topic=topic)
    assert platform.notification.topic is topic
    (_,) = _resources(cdk, stack, "AWS::SNS::Topic")
    (subscription,) = _resources(cdk, stack, "AWS::SNS::Subscription")
    assert subscription["TopicArn"]["Ref"].startswith("Operations")


def test_two_topics_are_refused(cdk: Any, new_app: Callable[[], Any]) -> None:
    stack = cdk.Stack(new_app(), "two")
    topic = cdk.aws_sns.Topic(stack, "Operations")
    settings = parse_settings({"notifications": {"topic_arn": ARN}}, source="test")
    with pytest.raises(SettingsError, match=rf"must not be given with topic, .*, got '{ARN}' at two/Batch"):
        batch_stack.BatchPlatform(stack, "Batch", settings=settings, topic=topic)
