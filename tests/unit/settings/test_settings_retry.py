"""Retry policies: of a job, of its tiers, and what a trigger says instead of the definition's."""

import json
from typing import Any

import pytest

from batch_stack.settings import Settings, SettingsError, parse_settings
from batch_stack.settings.retry import retry_strategy

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
