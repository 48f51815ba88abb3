"""Budgets of tiers: what they count, whom they tell, and the function that disables a queue."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

import batch_stack
from batch_stack.common.retention import DataPolicy
from batch_stack.settings.compute.ec2 import SpotSettings
from batch_stack.settings.compute.kinds import FargateSettings, ManagedInstancesSettings
from batch_stack.settings.retry import RetrySettings
from batch_stack.settings.tiers import AlarmSettings, BudgetSettings, TierSettings
from tests.stack.reading import Template

pytestmark = pytest.mark.stack

TAG = "batch-stack-compute-environment"
FUNCTION_ROLE = "LowTierBudgetFunctionRole"


def _budget(everything: Template, tier: str) -> dict[str, Any]:
    return everything.one("Budgets::Budget", f"{tier}TierBudget")[1]


def test_a_budget_counts_the_instances_of_its_tier_by_their_tag(everything: Template) -> None:
    for tier, compute, amount in (("Low", "Spot", 500), ("High", "OnDemand", 99.5)):
        budget = _budget(everything, tier)["Properties"]["Budget"]
        assert budget["BudgetLimit"] == {"Amount": amount, "Unit": "USD"}
        assert (budget["BudgetType"], budget["TimeUnit"]) == ("COST", "MONTHLY")
        value = f"everything/{compute}Compute"
        assert budget["CostFilters"] == {"TagKeyValue": [f"user:{TAG}${value}"]}
        _, template = everything.one("EC2::LaunchTemplate", f"{compute}Compute")
        tagged = {
            one["ResourceType"]
            for one in template["Properties"]["LaunchTemplateData"]["TagSpecifications"]
            if {"Key": TAG, "Value": value} in one["Tags"]
        }
        assert tagged == {"instance", "volume"}


def test_compute_environments_themselves_have_no_tags(everything: Template) -> None:
    for one in everything.of("Batch::ComputeEnvironment").values():
        assert "Tags" not in one["Properties"]
        assert "Tags" not in one["Properties"]["ComputeResources"]


def _told(everything: Template, tier: str) -> dict[int, str]:
    notifications = _budget(everything, tier)["Properties"]["NotificationsWithSubscribers"]
    told = {}
    for one in notifications:
        notification = one["Notification"]
        assert notification["NotificationType"] == "ACTUAL"
        assert notification["ComparisonOperator"] == "GREATER_THAN"
        assert notification["ThresholdType"] == "PERCENTAGE"
        (subscriber,) = one["Subscribers"]
        assert subscriber["SubscriptionType"] == "SNS"
        told[notification["Threshold"]] = subscriber["Address"]["Ref"]
    return told


def test_people_are_told_and_at_a_hundred_percent_the_function(everything: Template) -> None:
    people, _ = everything.one("SNS::Topic", "Notification")
    function, _ = everything.one("SNS::Topic", "LowTierBudget")
    assert _told(everything, "High") == {80: people, 100: people}
    assert _told(everything, "Low") == {50: people, 100: function, 150: people}


def test_budgets_of_this_account_may_publish_and_policies_come_first(everything: Template) -> None:
    for prefix, tiers in (("Notification", ("Low", "High")), ("LowTierBudget", ("Low",))):
        name, policy = everything.one("SNS::TopicPolicy", prefix)
        (statement,) = (
            s
            for s in policy["Properties"]["PolicyDocument"]["Statement"]
            if s["Principal"] == {"Service": "budgets.amazonaws.com"}
        )
        assert statement["Action"] == "sns:Publish"
        assert statement["Condition"]["StringEquals"] == {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}
        source = statement["Condition"]["ArnLike"]["aws:SourceArn"]["Fn::Join"][1]
        assert source == ["arn:", {"Ref": "AWS::Partition"}, ":budgets::", {"Ref": "AWS::AccountId"}, ":*"]
        for tier in tiers:
            assert name in _budget(everything, tier)["DependsOn"]


def test_what_wakes_the_function_is_encrypted_and_budgets_may_use_the_key(everything: Template) -> None:
    key, resource = everything.one("KMS::Key")
    _, topic = everything.one("SNS::Topic", "LowTierBudget")
    assert topic["Properties"]["KmsMasterKeyId"] == {"Fn::GetAtt": [key, "Arn"]}
    (statement,) = (
        s
        for s in resource["Properties"]["KeyPolicy"]["Statement"]
        if s["Principal"] == {"Service": "budgets.amazonaws.com"}
    )
    assert statement["Action"] == ["kms:Decrypt", "kms:GenerateDataKey"]
    assert {name for one in statement["Condition"].values() for name in one} == {
        "aws:SourceAccount",
        "aws:SourceArn",
        "kms:EncryptionContext:aws:sns:topicArn",
    }


def test_the_function_may_disable_one_queue_see_one_budget_and_tell_people(everything: Template) -> None:
    _, function = everything.one("Lambda::Function")
    variables = function["Properties"]["Environment"]["Variables"]
    budget, _ = everything.one("Budgets::Budget", "Low")
    queue, _ = everything.one("Batch::JobQueue", "Low")
    people, _ = everything.one("SNS::Topic", "Notification")
    dead, _ = everything.one("SQS::Queue", "LowTierBudget")
    assert variables == {
        "BUDGET_NAME": {"Ref": budget},
        "JOB_QUEUE": {"Fn::GetAtt": [queue, "JobQueueArn"]},
        "NOTIFICATION_TOPIC": {"Ref": people},
        "TIER": "low",
    }
    allowed = {
        (json.dumps(s["Action"]), name)
        for s in everything.statements(FUNCTION_ROLE)
        for name in (budget, queue, people, dead)
        if f'"{name}"' in json.dumps(s["Resource"])
    }
    assert allowed == {
        ('"budgets:ViewBudget"', budget),
        ('"batch:UpdateJobQueue"', queue),
        ('"sns:Publish"', people),
        ('"sqs:SendMessage"', dead),
    }
    assert len(everything.statements(FUNCTION_ROLE)) == len(allowed) + 3  # its log, the key by SNS and by SQS


def test_a_notice_that_is_not_acted_on_ends_where_somebody_looks(everything: Template) -> None:
    dead, _ = everything.one("SQS::Queue", "LowTierBudget")
    _, function = everything.one("Lambda::Function")
    _, subscription = everything.one("SNS::Subscription", "LowTierBudget")
    assert function["Properties"]["DeadLetterConfig"] == {"TargetArn": {"Fn::GetAtt": [dead, "Arn"]}}
    redrive = subscription["Properties"]["RedrivePolicy"]
    assert redrive == {"deadLetterTargetArn": {"Fn::GetAtt": [dead, "Arn"]}}
    alarm = json.dumps(everything.one("CloudWatch::Alarm", "NotificationLowBudget")[1]["Properties"])
    assert f'"{dead}"' in alarm
    _, logs = everything.one("Logs::LogGroup", "LowTierBudget")
    assert logs["Properties"]["RetentionInDays"] == 14


def test_a_budget_that_only_tells_makes_neither_function_nor_key(plain: Template) -> None:
    assert len(plain.of("Budgets::Budget")) == 1
    assert not plain.of("Lambda::Function")
    assert not plain.of("KMS::Key")


def test_a_budget_that_disables_makes_a_key_for_its_notices_only(
    synth: Callable[[Mapping[str, Any]], dict[str, Any]],
) -> None:
    budget = {"usd_per_month": 5, "on_exceeded": "disable_queue"}
    template = Template(
        synth(
            {
                "compute": {"spot": {"type": "spot"}},
                "tiers": {"x": {"priority": 1, "compute": ["spot"], "budget": budget}},
            }
        )
    )
    key, _ = template.one("KMS::Key")
    users = [
        name
        for name, one in template.resources.items()
        if name != key and f'"{key}"' in json.dumps(one.get("Properties", {}))
    ]
    assert sorted(name[:-8] for name in users) == [
        "XTierBudgetDeadLetterQueue",
        "XTierBudgetFunctionLogGroup",
        "XTierBudgetFunctionRoleDefaultPolicy",
        "XTierBudgetTopic",
    ]


def _alone(cdk: Any, new_app: Callable[[], Any], compute: str = "spot", **tier: Any) -> Any:
    """A tier on constructs alone; the arguments are those of the construct, or else of its settings."""
    stack = cdk.Stack(new_app(), "alone")
    network = batch_stack.Network(stack, "Network")
    environments = {
        "spot": batch_stack.Ec2ComputeEnvironment(stack, "Spot", network=network, settings=SpotSettings()),
        "fargate": batch_stack.FargateComputeEnvironment(
            stack, "Fargate", network=network, settings=FargateSettings()
        ),
        "rented": batch_stack.ManagedInstancesComputeEnvironment(
            stack,
            "Rented",
            network=network,
            settings=ManagedInstancesSettings(type="managed_instances", instance_types=["m6i"]),
        ),
    }
    notification = batch_stack.Notification(stack, "People") if tier.pop("told", True) else None
    key = cdk.aws_kms.Key(stack, "Key") if tier.pop("key", False) else None
    return batch_stack.PriorityTier(
        stack,
        "Nightly",
        compute_environments=environments,
        settings=TierSettings(priority=1, compute=[compute], **tier),
        notification=notification,
        data_policy=DataPolicy(key=key),
    )


DISABLES = BudgetSettings(usd_per_month=1, on_exceeded="disable_queue")


@pytest.mark.parametrize(
    ("tier", "message"),
    [
        ({"budget": DISABLES}, "key must be given for on_exceeded disable_queue, got none at alone/Nightly"),
        ({"budget": DISABLES, "told": False}, "notification must be given for settings.budget, got none at "),
        ({"alarms": AlarmSettings(), "told": False}, "notification must be given for settings.alarms, got "),
        (
            {"budget": BudgetSettings(usd_per_month=1), "compute": "fargate"},
            r"settings.compute\[0\] must be of type spot or on_demand in a tier with a budget, .* got "
            "'alone/Fargate', which is fargate at alone/Nightly",
        ),
        # They have the tag, but nobody knows what else of theirs has it: see docs/adr/026.
        (
            {"budget": BudgetSettings(usd_per_month=1), "compute": "rented"},
            "got 'alone/Rented', which is managed_instances at alone/Nightly",
        ),
    ],
)
def test_in_python_a_tier_refuses_settings_that_it_could_not_heed(
    cdk: Any, new_app: Callable[[], Any], tier: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        _alone(cdk, new_app, **tier)


def test_in_python_a_tier_has_the_budget_of_its_settings(cdk: Any, new_app: Callable[[], Any]) -> None:
    tier = _alone(cdk, new_app, budget=DISABLES, key=True, retry=RetrySettings(attempts=9))
    assert (tier.name, tier.retry.attempts, tier.settings.budget) == ("Nightly", 9, DISABLES)
    assert tier.budget.function is not None
    template = Template({"Outputs": {}, **cdk.assertions.Template.from_stack(cdk.Stack.of(tier)).to_json()})
    _, budget = template.one("Budgets::Budget", "NightlyBudget")
    filters = budget["Properties"]["Budget"]["CostFilters"]
    assert filters == {"TagKeyValue": [f"user:{TAG}$alone/Spot"]}
    _, function = template.one("Lambda::Function", "NightlyBudget")
    assert function["Properties"]["Environment"]["Variables"]["TIER"] == "Nightly"


def test_in_python_a_tier_without_anybody_to_tell_needs_none(cdk: Any, new_app: Callable[[], Any]) -> None:
    tier = _alone(cdk, new_app, told=False)
    assert (tier.budget, tier.failed_jobs_alarm) == (None, None)
