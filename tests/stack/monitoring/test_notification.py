"""Who hears of failures, and in which words."""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from batch_stack.settings.base.names import construct_id

pytestmark = pytest.mark.stack

OfType = Callable[[str], dict[str, dict[str, Any]]]


FAILED, BLOCKED = "Batch Job State Change", "Batch Job Queue Blocked"


@pytest.fixture
def all_rules(of_type: OfType) -> dict[str, dict[str, Any]]:
    """The rules on AWS Batch's events: logical id to properties."""
    return {
        name: resource["Properties"]
        for name, resource in of_type("AWS::Events::Rule").items()
        if resource["Properties"]["EventPattern"]["source"] == ["aws.batch"]
    }


@pytest.fixture
def rules(all_rules: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The rules of one tier, by the detail-type of their events."""
    return {
        rule["EventPattern"]["detail-type"][0]: rule
        for name, rule in all_rules.items()
        if name.startswith("CriticalTier")
    }


def _message(rule: dict[str, Any], event: dict[str, Any]) -> str:
    """What EventBridge sends: placeholders filled in, absent values empty, one JSON string a line."""
    (target,) = rule["Targets"]
    text = target["InputTransformer"]["InputTemplate"]
    for name, path in target["InputTransformer"]["InputPathsMap"].items():
        value: Any = event
        for part, index in re.findall(r"(\w+)(?:\[(\d+)\])?", path.removeprefix("$.")):
            value = value.get(part, "") if isinstance(value, dict) else ""
            if index:
                value = value[int(index)] if isinstance(value, list) and int(index) < len(value) else ""
        text = text.replace(f"<{name}>", str(value))
    return "\n".join(json.loads(line) for line in text.splitlines())


def test_failed_jobs_and_blocked_queues_of_every_tier_reach_the_topic(
    all_rules: dict[str, dict[str, Any]], of_type: OfType
) -> None:
    (topic,) = of_type("AWS::SNS::Topic")
    listened = []
    for rule in all_rules.values():
        (queue,) = rule["EventPattern"]["detail"]["jobQueue"]
        listened.append((rule["EventPattern"]["detail-type"][0], queue["Fn::GetAtt"][0]))
        assert [target["Arn"] for target in rule["Targets"]] == [{"Ref": topic}]

    queues = of_type("AWS::Batch::JobQueue")
    assert sorted(listened) == sorted((kind, queue) for kind in (FAILED, BLOCKED) for queue in queues)


def test_only_failures_are_told_and_an_array_only_once(
    rules: dict[str, dict[str, Any]],
) -> None:
    detail = rules[FAILED]["EventPattern"]["detail"]
    assert detail["status"] == ["FAILED"]
    assert detail["arrayProperties"] == {"index": [{"exists": False}]}


def test_the_message_on_a_failed_job_says_what_happened(
    rules: dict[str, dict[str, Any]],
) -> None:
    event = {
        "time": "2026-01-02T03:04:05Z",
        "account": "123456789012",
        "region": "us-east-1",
        "detail": {
            "jobName": "cat-mp4-0123456789ab",
            "jobId": "11111111-2222-3333-4444-555555555555",
            "jobQueue": "arn:aws:batch:us-east-1:123456789012:job-queue/standard",
            "jobDefinition": "arn:aws:batch:us-east-1:123456789012:job-definition/media:7",
            "statusReason": "Essential container in task exited",
            "container": {"exitCode": 65, "logStreamName": "media/default/abc"},
        },
    }
    message = _message(rules[FAILED], event)

    assert message.splitlines()[0] == "AWS Batch job cat-mp4-0123456789ab FAILED"
    for part in (
        "Essential container in task exited",
        "Exit code: 65",
        "11111111-2222-3333-4444-555555555555",
        "job-queue/standard",
        "job-definition/media:7",
        "Log stream: media/default/abc",
        "2026-01-02T03:04:05Z",
    ):
        assert part in message
    assert not re.search(r"<[a-z-]+>", message)


CONTAINERS = [{"exitCode": 65, "reason": "bad film", "logStreamName": "media/main/abc"}]


@pytest.mark.parametrize(
    ("platform", "detail"),
    [
        ("managed_instances", {"ecsProperties": {"taskProperties": [{"containers": CONTAINERS}]}}),
        ("eks", {"eksProperties": {"podProperties": {"containers": CONTAINERS}}}),
    ],
)
def test_the_message_finds_the_container_where_the_platform_has_it(
    synth: Callable[[Mapping[str, Any]], dict[str, Any]], platform: str, detail: dict[str, Any]
) -> None:
    theirs = "arn:aws:batch:us-east-1:123456789012:compute-environment/theirs"
    template = synth(
        {
            "compute": {
                "managed_instances": {"type": "managed_instances", "instance_types": ["m6i"]},
                "eks": {"type": "existing", "arn": theirs, "platform": "eks"},
            },
            "tiers": {name: {"priority": 1, "compute": [name]} for name in ("managed_instances", "eks")},
        }
    )
    (rule,) = (
        one["Properties"]
        for name, one in template["Resources"].items()
        if name.startswith(f"{construct_id(platform)}TierJobFailed") and one["Type"] == "AWS::Events::Rule"
    )
    lines = _message(rule, {"detail": {"jobName": "cat", **detail}}).splitlines()
    assert "Exit code: 65 bad film" in lines
    assert "Log stream: media/main/abc" in lines


def test_the_message_on_a_blocked_queue_gives_its_reason(
    rules: dict[str, dict[str, Any]],
) -> None:
    reason = "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT - too large"
    event = {"detail": {"jobName": "big", "statusReason": reason, "jobQueue": "arn:q"}}
    message = _message(rules[BLOCKED], event)
    assert "blocked by job big" in message
    assert reason in message
    assert "arn:q" in message


def test_only_these_rules_and_alarms_may_publish(
    all_rules: dict[str, dict[str, Any]], of_type: OfType
) -> None:
    (policy,) = of_type("AWS::SNS::TopicPolicy").values()
    allowed = {
        statement["Principal"]["Service"]: statement
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]
        if statement["Effect"] == "Allow"
    }

    def sources(service: str) -> list[str]:
        arns = allowed[service]["Condition"]["ArnEquals"]["aws:SourceArn"]
        return sorted(arn["Fn::GetAtt"][0] for arn in arns)

    assert sorted(allowed) == ["cloudwatch.amazonaws.com", "events.amazonaws.com"]
    assert sources("events.amazonaws.com") == sorted(all_rules)
    assert sources("cloudwatch.amazonaws.com") == sorted(of_type("AWS::CloudWatch::Alarm"))
    account = allowed["cloudwatch.amazonaws.com"]["Condition"]["StringEquals"]
    assert account == {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}
    assert all(statement["Action"] == "sns:Publish" for statement in allowed.values())


def test_the_topic_has_no_key_that_its_publishers_could_not_use(of_type: OfType) -> None:
    # Neither EventBridge nor CloudWatch may use the AWS managed key alias/aws/sns.
    (topic,) = of_type("AWS::SNS::Topic").values()
    assert "KmsMasterKeyId" not in topic.get("Properties", {})


@pytest.mark.parametrize(("fixture", "count"), [("template", 2), ("variant", 3)])
def test_every_dead_letter_queue_has_an_alarm(
    fixture: str, count: int, request: pytest.FixtureRequest
) -> None:
    resources = request.getfixturevalue(fixture)["Resources"]
    dead_letter_queues = {
        name for name, r in resources.items() if r["Type"] == "AWS::SQS::Queue" and "DeadLetter" in name
    }
    alarms = [
        r["Properties"]
        for name, r in resources.items()
        if r["Type"] == "AWS::CloudWatch::Alarm" and "DeadLetter" in name
    ]
    watched = [alarm["Dimensions"][0]["Value"]["Fn::GetAtt"][0] for alarm in alarms]

    assert sorted(watched) == sorted(dead_letter_queues)
    assert len(watched) == count
    for alarm in alarms:
        assert (alarm["Namespace"], alarm["MetricName"]) == (
            "AWS/SQS",
            "ApproximateNumberOfMessagesVisible",
        )
        assert (alarm["ComparisonOperator"], alarm["Threshold"]) == ("GreaterThanThreshold", 0)
        assert (alarm["Statistic"], alarm["EvaluationPeriods"]) == ("Maximum", 1)
        assert alarm["TreatMissingData"] == "notBreaching"
        (action,) = alarm["AlarmActions"]
        assert resources[action["Ref"]]["Type"] == "AWS::SNS::Topic"


def test_messages_that_cannot_be_published_are_kept(all_rules: dict[str, dict[str, Any]]) -> None:
    for rule in all_rules.values():
        (target,) = rule["Targets"]
        assert target["DeadLetterConfig"]["Arn"]["Fn::GetAtt"][0].startswith("NotificationDeadLetterQueue")
        assert target["RetryPolicy"]["MaximumRetryAttempts"] == 24


def test_addresses_are_subscribed(variant: dict[str, Any], assertions: Any) -> None:
    assertions.resource_count_is("AWS::SNS::Subscription", 0)
    (subscription,) = (
        r["Properties"] for r in variant["Resources"].values() if r["Type"] == "AWS::SNS::Subscription"
    )
    assert (subscription["Protocol"], subscription["Endpoint"]) == ("email", "ops@example.com")


def test_the_policy_of_the_dead_letter_queue_does_not_grow_with_the_tiers(
    all_rules: dict[str, dict[str, Any]], of_type: OfType
) -> None:
    """SQS takes 10 conditions in a policy: with two rules a tier, one each would end at the fifth tier."""
    (policy,) = (
        one["Properties"]["PolicyDocument"]["Statement"]
        for name, one in of_type("AWS::SQS::QueuePolicy").items()
        if name.startswith("NotificationDeadLetterQueue")
    )
    assert len(all_rules) > len(policy)
    (allow,) = (statement for statement in policy if statement["Effect"] == "Allow")
    assert allow["Principal"] == {"Service": "events.amazonaws.com"}
    assert allow["Action"] == "sqs:SendMessage"
    (source,) = allow["Condition"]["ArnLike"].values()
    assert source["Fn::Join"][1][2:] == [
        ":events:",
        {"Ref": "AWS::Region"},
        ":",
        {"Ref": "AWS::AccountId"},
        ":rule/*",
    ]
