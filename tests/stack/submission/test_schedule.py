"""Jobs by the clock: what is provisioned for them."""

import json
from collections.abc import Callable
from importlib import import_module
from typing import Any

import pytest

import batch_stack
from batch_stack.settings.file import parse_settings
from batch_stack.settings.schedules import ScheduleSettings

pytestmark = pytest.mark.stack

IMAGE = "public.ecr.aws/docker/library/busybox:1"
SETTINGS: dict[str, Any] = {
    "tiers": {
        "slow": {"priority": 1, "compute": ["spot"], "retry": {"attempts": 7}},
        "shared": {"priority": 2, "compute": ["on_demand"], "fair_share": {"shares": {"team": 1}}},
        "off": {"priority": 3, "compute": ["spot"], "state": "disabled"},
    },
    "compute": {"spot": {"type": "spot"}, "on_demand": {"type": "on_demand"}},
    "jobs": {
        "report": {
            "image": IMAGE,
            "command": ["report", "Ref::day"],
            "array_size": 4,
            "tiers": ["slow", "shared"],
        },
        "late": {"image": IMAGE},
    },
    "schedules": {
        "nightly": {
            "expression": "cron(0 3 * * ? *)",
            "time_zone": "Europe/Zurich",
            "job": "report",
            "tier": "shared",
            "share": "team",
            "parameters": {"day": 'a "quoted" day'},
        },
        "never": {"expression": "rate(1 day)", "job": "late", "tier": "off"},
        "paused": {"expression": "rate(1 day)", "job": "late", "tier": "slow", "state": "disabled"},
    },
}


@pytest.fixture(scope="module")
def assertions(cdk: Any) -> Any:
    """Part of the library that it does not load by itself."""
    return import_module(f"{cdk.__name__}.assertions")


@pytest.fixture(scope="module")
def stack(new_app: Callable[[], Any]) -> Any:
    made = batch_stack.BatchStack(new_app(), "clock", settings=parse_settings(SETTINGS, source="test"))
    made.platform.add_schedule(
        "weekly", ScheduleSettings(expression="cron(0 3 ? * MON *)", job="late", tier="slow")
    )
    return made


@pytest.fixture(scope="module")
def template(stack: Any, assertions: Any) -> Any:
    return assertions.Template.from_stack(stack)


def target(template: Any, expression: str) -> dict[str, Any]:
    found = template.find_resources(
        "AWS::Scheduler::Schedule", {"Properties": {"ScheduleExpression": expression}}
    )
    (resource,) = found.values()
    properties: dict[str, Any] = resource["Properties"]
    return properties


def request(template: Any, expression: str) -> dict[str, Any]:
    """The request, with whatever the deployment fills in as ``?``."""
    parts = target(template, expression)["Target"]["Input"]["Fn::Join"][1]
    asked: dict[str, Any] = json.loads("".join(part if isinstance(part, str) else "?" for part in parts))
    return asked


def test_a_schedule_submits_its_job_at_its_time(template: Any) -> None:
    properties = target(template, "cron(0 3 * * ? *)")
    assert properties["ScheduleExpressionTimezone"] == "Europe/Zurich"
    assert properties["State"] == "ENABLED"
    asked = request(template, "cron(0 3 * * ? *)")
    assert asked.pop("JobQueue") == "?"
    assert asked.pop("JobDefinition").endswith("job-definition/?")
    retry = asked.pop("RetryStrategy")
    assert retry["Attempts"] == 3
    assert {"OnReason": "*", "Action": "EXIT"} in retry["EvaluateOnExit"]
    assert asked == {
        "JobName": "nightly",
        "Parameters": {"day": 'a "quoted" day'},
        "ShareIdentifier": "team",
        "ArrayProperties": {"Size": 4},
    }


def test_one_that_is_added_in_python_is_like_the_others(stack: Any, template: Any) -> None:
    assert request(template, "cron(0 3 ? * MON *)")["JobName"] == "weekly"
    assert set(stack.platform.schedules) == {"nightly", "never", "paused", "weekly"}


def test_a_disabled_one_is_there_and_does_nothing(template: Any) -> None:
    states = [
        resource["Properties"]["State"]
        for resource in template.find_resources("AWS::Scheduler::Schedule").values()
    ]
    assert sorted(states) == ["DISABLED", "ENABLED", "ENABLED", "ENABLED"]


def test_its_role_is_for_the_scheduler_of_this_account_and_may_submit_this_job_only(template: Any) -> None:
    roles = template.find_resources(
        "AWS::IAM::Role", {"Properties": {"Description": "Submits jobs by the clock"}}
    )
    role_id = next(name for name in roles if name.startswith("NightlySchedule"))
    (trust,) = roles[role_id]["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Service": "scheduler.amazonaws.com"}
    assert trust["Condition"]["StringEquals"] == {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}
    group = trust["Condition"]["ArnEquals"]["aws:SourceArn"]["Fn::Join"][1]
    assert group[-1] == ":schedule-group/default"
    policies = template.find_resources("AWS::IAM::Policy", {"Properties": {"Roles": [{"Ref": role_id}]}})
    (policy,) = policies.values()
    statements = policy["Properties"]["PolicyDocument"]["Statement"]
    assert [statement["Action"] for statement in statements] == ["batch:SubmitJob", "sqs:SendMessage"]
    assert statements[0]["Condition"] == {"StringEquals": {"batch:ShareIdentifier": ["team"]}}
    assert len(statements[0]["Resource"]) == 3


def test_what_could_not_be_submitted_is_kept_and_told(template: Any, assertions: Any) -> None:
    dead_letters = target(template, "cron(0 3 * * ? *)")["Target"]["DeadLetterConfig"]["Arn"]["Fn::GetAtt"][0]
    template.has_resource_properties(
        "AWS::CloudWatch::Alarm",
        {
            "MetricName": "ApproximateNumberOfMessagesVisible",
            "Dimensions": [
                {"Name": "QueueName", "Value": {"Fn::GetAtt": [dead_letters, "QueueName"]}},
            ],
            "AlarmActions": assertions.Match.any_value(),
        },
    )


def test_the_schedule_waits_for_the_permissions_of_its_role(template: Any) -> None:
    for resource in template.find_resources("AWS::Scheduler::Schedule").values():
        assert any("RoleDefaultPolicy" in name for name in resource["DependsOn"])


def test_one_that_leads_to_a_disabled_tier_is_warned_of(stack: Any, assertions: Any) -> None:
    warnings = assertions.Annotations.from_stack(stack).find_warning(
        "*", assertions.Match.string_like_regexp(r"schedules\.never\.tier")
    )
    assert len(warnings) == 1


def alone(stack: Any, construct_id: str, *, name: str = "alone", tier: str = "slow", **settings: Any) -> Any:
    return batch_stack.JobSchedule(
        stack,
        construct_id,
        name=name,
        job=stack.platform.jobs["report"],
        tier=stack.platform.tiers[tier],
        **{"expression": "rate(1 day)", **settings},
    )


def test_alone_it_takes_a_share_for_fair_share_only(stack: Any) -> None:
    with pytest.raises(ValueError, match="share must be given, because the tier has fair_share, got None at"):
        alone(stack, "Unshared", tier="shared")
    with pytest.raises(
        ValueError, match="share must not be given, because the tier has no fair_share, got 't"
    ):
        alone(stack, "Shared", share="team")


def test_a_name_that_no_job_can_have_is_refused(stack: Any) -> None:
    names = ["", "-nightly", "_nightly", "every night", "night.ly", "n" * 129, "nightly\n"]
    for number, name in enumerate(names):
        with pytest.raises(ValueError, match="name must be 1 to 128 letters, digits, ") as refused:
            alone(stack, f"Named{number}", name=name)
        assert str(refused.value).endswith(f"got {name!r} at clock/Named{number}")


def test_a_name_has_128_characters_at_most_and_may_begin_with_a_digit(new_app: Callable[[], Any]) -> None:
    stack = batch_stack.BatchStack(new_app(), "named", settings=parse_settings(SETTINGS, source="test"))
    name = "1_" + "n" * 126
    made = alone(stack, "Long", name=name)
    assert made.schedule.description == f"Submits the job {name}"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"expression": "every night"}, "expression must be rate.*, got 'every night' at clock/Bad"),
        ({"time_zone": "Europe/Zurich"}, "time_zone must not be given with a rate, .* at clock/Bad"),
        (
            {"expression": "cron(0 3 * * ? *)", "time_zone": "Zurich"},
            "time_zone must be a name of the IANA time zone database, .* got 'Zurich' at clock/Bad",
        ),
    ],
)
def test_alone_it_is_due_at_times_that_the_scheduler_takes(
    stack: Any, settings: dict[str, str], message: str, request: pytest.FixtureRequest
) -> None:
    with pytest.raises(ValueError, match=message):
        alone(stack, f"Bad{request.node.name}", **settings)


def test_alone_it_has_what_it_was_given(new_app: Callable[[], Any]) -> None:
    stack = batch_stack.BatchStack(new_app(), "given", settings=parse_settings(SETTINGS, source="test"))
    made = alone(
        stack,
        "Nightly",
        expression="cron(0 3 * * ? *)",
        time_zone="Europe/Zurich",
        state="disabled",
        parameters={"day": "<aws.scheduler.scheduled-time>"},
    ).schedule
    assert (made.schedule_expression, made.schedule_expression_timezone, made.state) == (
        "cron(0 3 * * ? *)",
        "Europe/Zurich",
        "DISABLED",
    )
    assert "<aws.scheduler.scheduled-time>" in str(stack.resolve(made.target))
