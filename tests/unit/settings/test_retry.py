"""Retry policies: of a job, of its tiers, and what a trigger says instead of the definition's."""

import json
from typing import Any

import pytest

from batch_engine.core.model.errors import ClientError
from batch_engine.core.rules.retry import parse_retry_strategy
from batch_stack.settings.base.errors import SettingsError
from batch_stack.settings.file import parse_settings
from batch_stack.settings.retry import retry_strategy
from batch_stack.settings.root import Settings

TIERS: dict[str, Any] = {
    "one": {"priority": 1, "compute": ["spot"], "retry": {"attempts": 2}},
    "many": {"priority": 2, "compute": ["spot"], "retry": {"attempts": 8}},
    "fast": {"priority": 3, "compute": ["fargate"], "retry": {"attempts": 7}},
}
JOB = {"image": "busybox:1.37"}


def _settings(job: dict[str, Any], *triggered: str, tiers: dict[str, Any] = TIERS) -> Settings:
    triggers = {f"t{number}": {"job": "j", "tier": tier} for number, tier in enumerate(triggered)}
    content = {"tiers": tiers, "jobs": {"j": {**JOB, **job}}, "triggers": triggers}
    return parse_settings(content, source="f")


@pytest.mark.parametrize(
    ("job", "triggered", "attempts"),
    [
        ({"retry": {"attempts": 1}}, ["many"], 1),
        # The only tier that can run it.
        ({"platform": "fargate"}, [], 7),
        ({}, [], 8),
        ({"tiers": ["one"]}, [], 2),
        ({"tiers": ["many", "one"]}, [], 8),
        # What a trigger leads to changes nothing in the definition, whenever the trigger is added.
        ({}, ["one"], 8),
        ({"tiers": ["many", "one"]}, ["one"], 8),
    ],
)
def test_attempts_come_from_the_job_then_from_its_tiers(
    job: dict[str, Any], triggered: list[str], attempts: int
) -> None:
    assert _settings(job, *triggered).retry("j").attempts == attempts


def test_a_trigger_submits_with_its_tiers_policy_where_the_definition_has_another() -> None:
    settings = _settings({}, "one", "many")
    in_one = settings.retry_in("j", "one")
    assert in_one is not None
    assert in_one.attempts == 2
    assert settings.retry_in("j", "many") is None
    assert _settings({"retry": {"attempts": 3}}, "one").retry_in("j", "one") is None
    # The same, however it is written.
    alike = {
        **TIERS,
        "one": {"priority": 1, "compute": ["spot"], "retry": {"attempts": 8, "exit_code": 75}},
    }
    assert _settings({}, "one", tiers=alike).retry_in("j", "one") is None


def test_a_policy_is_said_as_submit_job_takes_it() -> None:
    settings = _settings({"platform": "fargate"})
    assert retry_strategy(settings.tiers["fast"].retry, "fargate") == {
        "attempts": 7,
        "evaluateOnExit": [
            {"onStatusReason": "Your Spot Task was interrupted*", "action": "RETRY"},
            {"onReason": "CannotPullContainerError:*", "action": "RETRY"},
            {"onStatusReason": "Task failed to start*", "action": "RETRY"},
            {"onExitCode": "75", "action": "RETRY"},
            {"onReason": "*", "action": "EXIT"},
        ],
    }


def _long(length: int) -> dict[str, Any]:
    rules = [{"action": "retry", "on_reason": f"{digit}{'x' * length}"} for digit in range(5)]
    return {**TIERS, "one": {"priority": 1, "compute": ["spot"], "retry": {"attempts": 2, "rules": rules}}}


def test_a_policy_that_a_triggers_function_cannot_be_told_is_refused() -> None:
    _settings({}, "one", tiers=_long(500))
    long = _long(510)
    for rule in long["one"]["retry"]["rules"]:
        rule["on_status_reason"] = rule["on_reason"]
    with pytest.raises(SettingsError, match=r"triggers\.t0\.tier must be one whose retry policy takes "):
        _settings({}, "one", tiers=long)
    _settings({"retry": {"attempts": 3}}, "one", tiers=long)


def test_a_policy_leaves_less_room_for_parameters() -> None:
    def content(tier: str) -> dict[str, Any]:
        parameters = {"p": "x" * 2600}
        trigger = {"job": "j", "tier": tier, "parameters": parameters}
        return {"tiers": _long(200), "jobs": {"j": JOB}, "triggers": {"t": trigger}}

    parse_settings(content("many"), source="f")
    with pytest.raises(SettingsError) as raised:
        parse_settings(content("one"), source="f")
    message = str(raised.value)
    assert message.startswith("f: triggers.t.parameters must take at most ")
    told = json.dumps(json.dumps({"p": "x" * 2600}))
    assert int(message.rpartition("got ")[2]) == len(',"PARAMETERS":' + told)


REASON = (
    "1 to 512 letters, digits, periods, colons and white space, of which the last may be an asterisk, got "
)


@pytest.mark.parametrize("condition", ["on_reason", "on_status_reason"])
@pytest.mark.parametrize(
    "pattern", ["", "*Error", "a*b", "Host EC2 (i-1) terminated", "a/b", "a**", "a_b", "é", "x" * 513]
)
def test_reasons_that_aws_batch_refuses_are_refused(condition: str, pattern: str) -> None:
    rule = {"action": "retry", condition: pattern}
    with pytest.raises(SettingsError) as raised:
        _settings({"retry": {"rules": [rule]}})
    assert str(raised.value) == f"f: jobs.j.retry.rules[0].{condition} must be {REASON}{pattern!r}"
    _refused_by_aws_batch(condition, pattern)


@pytest.mark.parametrize("pattern", ["", "x", "-1", "1.", "*1", "1 ", "1**"])
def test_exit_codes_that_aws_batch_refuses_are_refused(pattern: str) -> None:
    with pytest.raises(SettingsError) as raised:
        _settings({"retry": {"rules": [{"action": "exit", "on_exit_code": pattern}]}})
    assert str(raised.value) == (
        "f: jobs.j.retry.rules[0].on_exit_code must be digits in quotes, of which the last may be an "
        f"asterisk, got {pattern!r}"
    )
    _refused_by_aws_batch("on_exit_code", pattern)


def _refused_by_aws_batch(condition: str, pattern: str) -> None:
    """Unless a letter is a letter to the engine only."""
    if pattern == "é":
        return
    first, *rest = condition.split("_")
    name = first + "".join(word.capitalize() for word in rest)
    with pytest.raises(ClientError):
        parse_retry_strategy({"attempts": 2, "evaluateOnExit": [{name: pattern, "action": "RETRY"}]})


@pytest.mark.parametrize(
    "rule",
    [
        {"on_reason": "CannotPullContainerError:*"},
        {"on_reason": "Docker Timeout\tError: v1.2"},
        {"on_status_reason": "Host EC2*", "on_exit_code": "*"},
        {"on_reason": "x" * 511 + "*", "on_exit_code": "13*"},
    ],
)
def test_patterns_that_aws_batch_takes_are_taken(rule: dict[str, str]) -> None:
    settings = _settings({"retry": {"rules": [{"action": "retry", **rule}]}})
    policy = settings.jobs["j"].retry
    assert policy is not None
    assert parse_retry_strategy(retry_strategy(policy, "ec2")) is not None


def test_an_exit_code_beside_rules_is_refused() -> None:
    rules = [{"action": "retry", "on_exit_code": "1"}]
    with pytest.raises(SettingsError) as raised:
        _settings({"retry": {"exit_code": 9, "rules": rules}})
    assert str(raised.value) == (
        "f: jobs.j.retry.exit_code must not be given with rules, which replace it, got 9: give a "
        'rule with on_exit_code "9"'
    )
    assert _settings({"retry": {"exit_code": None, "rules": rules}}).retry("j").rules is not None
