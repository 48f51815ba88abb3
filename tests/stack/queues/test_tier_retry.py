"""A tier's retry policy reaches its jobs: in their definition, or with what a trigger submits."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

import batch_stack
from batch_stack.settings.file import parse_settings
from batch_stack.settings.jobs import JobSettings
from batch_stack.settings.retry import RetryRule, RetrySettings
from batch_stack.settings.triggers import TriggerSettings

pytestmark = pytest.mark.stack

Synth = Callable[[Mapping[str, Any]], dict[str, Any]]

JOB = {"image": "public.ecr.aws/docker/library/busybox:1"}
SETTINGS: dict[str, Any] = {
    "compute": {"spot": {"type": "spot"}, "fargate": {"type": "fargate"}},
    "tiers": {
        "critical": {"priority": 3, "compute": ["spot"]},
        "bulk": {"priority": 2, "compute": ["spot"], "retry": {"attempts": 5, "exit_code": 9}},
        "quick": {"priority": 1, "compute": ["fargate"], "retry": {"attempts": 7}},
    },
    "jobs": {
        "several": {**JOB, "tiers": ["bulk", "critical"]},
        "quick": {**JOB, "platform": "fargate"},
        "own": {**JOB, "retry": {"attempts": 2}},
    },
    "triggers": {
        "urgent": {"job": "several", "tier": "critical", "prefix": "urgent/"},
        "later": {"job": "several", "tier": "bulk", "prefix": "later/"},
        "own": {"job": "own", "tier": "critical", "prefix": "own/"},
    },
}


def _of(template: Mapping[str, Any], kind: str, prefix: str) -> dict[str, Any]:
    (properties,) = (
        one["Properties"]
        for name, one in template["Resources"].items()
        if one["Type"] == f"AWS::{kind}" and name.startswith(prefix)
    )
    return dict(properties)


def _attempts(template: Mapping[str, Any], job: str) -> int:
    return int(_of(template, "Batch::JobDefinition", f"{job}Job")["RetryStrategy"]["Attempts"])


def _sent(template: Mapping[str, Any], trigger: str) -> Any:
    function = _of(template, "Lambda::Function", f"{trigger}Trigger")
    return json.loads(function["Environment"]["Variables"].get("RETRY_STRATEGY", "null"))


def test_a_definition_has_the_policy_of_its_only_tier_or_of_that_with_most_attempts(synth: Synth) -> None:
    template = synth(SETTINGS)
    assert [_attempts(template, job) for job in ("Several", "Quick", "Own")] == [5, 7, 2]
    strategy = _of(template, "Batch::JobDefinition", "SeveralJob")["RetryStrategy"]
    assert {"Action": "RETRY", "OnExitCode": "9"} in strategy["EvaluateOnExit"]


def test_a_trigger_submits_with_the_policy_of_its_tier(synth: Synth) -> None:
    template = synth(SETTINGS)
    sent = _sent(template, "Urgent")
    assert sent["attempts"] == 3
    assert {"onExitCode": "75", "action": "RETRY"} in sent["evaluateOnExit"]
    # The definition says the same already, or the job has a policy of its own.
    assert (_sent(template, "Later"), _sent(template, "Own")) == (None, None)


def test_a_trigger_added_in_python_has_the_policy_of_its_tier(new_app: Callable[[], Any], cdk: Any) -> None:
    stack = cdk.Stack(new_app(), "added")
    platform = batch_stack.BatchPlatform(
        stack, "Batch", settings=parse_settings({"jobs": {"a": JOB}}, source="test")
    )
    platform.add_trigger("bulk", TriggerSettings(job="a", tier="bulk"))
    platform.add_trigger("critical", TriggerSettings(job="a", tier="critical"))
    template = cdk.assertions.Template.from_stack(stack).to_json()
    definition = _of(template, "Batch::JobDefinition", "BatchAJob")["RetryStrategy"]["Attempts"]
    sent = {name: _sent(template, f"Batch{name}") for name in ("Bulk", "Critical")}
    assert definition == 5
    assert sent["Bulk"] is None
    assert sent["Critical"]["attempts"] == 3


def test_a_job_alone_has_the_policy_of_the_tiers_that_it_is_given(
    new_app: Callable[[], Any], cdk: Any, default_stack: Any
) -> None:
    stack = cdk.Stack(new_app(), "alone")
    tiers = default_stack.platform.tiers
    few = RetrySettings(attempts=2, rules=[RetryRule(action="retry", on_exit_code="9")])
    jobs = {
        "none": batch_stack.ContainerJob(stack, "None", name="none", settings=JobSettings(**JOB)),
        "bulk": batch_stack.ContainerJob(
            stack,
            "Bulk",
            name="bulk",
            settings=JobSettings(**JOB),
            tiers=[tiers["critical"], tiers["bulk"]],
        ),
        "own": batch_stack.ContainerJob(
            stack, "Own", name="own", settings=JobSettings(**JOB), retry=few, tiers=[tiers["bulk"]]
        ),
    }
    assert {name: job.retry.attempts for name, job in jobs.items()} == {"none": 3, "bulk": 5, "own": 2}
    sent = jobs["bulk"].retry_in(tiers["critical"])
    assert sent is not None
    assert sent.attempts == 3
    assert jobs["own"].retry_in(tiers["critical"]) is None
