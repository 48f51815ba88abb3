"""Checks of retry policies where tiers, platforms and jobs meet."""

from typing import Any

import pytest

from batch_stack.preflight.finding import Finding
from batch_stack.preflight.preflight import preflight
from batch_stack.settings.root import Settings

JOB: dict[str, Any] = {"image": "public.ecr.aws/docker/library/busybox:1"}
ON_DEMAND = {"type": "on_demand", "instance_types": ["m6i"]}
RULES = [{"action": "retry", "on_exit_code": "9"}, {"action": "exit", "on_reason": "*"}]


def _findings(tiers: dict[str, dict[str, Any]], job: dict[str, Any] | None = None, *to: str) -> list[Finding]:
    content = {
        "compute": {"c": ON_DEMAND, "s": {"type": "spot"}, "f": {"type": "fargate"}},
        "tiers": {
            name: {"priority": number, "compute": ["c"], **tier}
            for number, (name, tier) in enumerate(tiers.items())
        },
        "jobs": {"j": {**JOB, **(job or {})}},
        "triggers": {f"t{number}": {"job": "j", "tier": tier} for number, tier in enumerate(to)},
    }
    found = preflight(Settings.model_validate(content))
    return [one for one in found if one.check not in ("unusedCompute", "updateTimeout")]


@pytest.mark.parametrize(
    ("second", "warned"),
    [
        ({"rules": RULES}, True),
        ({"exit_code": None}, True),
        ({"attempts": 1}, True),
        # More attempts are what all get; and the same policy, written otherwise.
        ({"attempts": 5}, False),
        ({"exit_code": 75}, False),
    ],
)
def test_tiers_of_one_job_that_differ_in_what_they_retry_are_warned_of(
    second: dict[str, Any], warned: bool
) -> None:
    for job in ({"tiers": ["a", "b"]}, {}):
        findings = _findings({"a": {}, "b": {"retry": second}}, job)
        assert [one.check for one in findings] == (["tierRetry"] if warned else [])
        assert _findings({"a": {}, "b": {"retry": second}}, {**job, "retry": {"attempts": 2}}) == []


def test_the_warning_names_the_tier_whose_policy_is_taken() -> None:
    tiers = {"a": {}, "b": {"retry": {"attempts": 5, "exit_code": 9}}, "c": {}}
    (finding,) = _findings(tiers, {"tiers": ["a", "b", "c"]})
    assert finding.message == (
        "jobs.j.tiers should lead to one retry policy, because a job definition has only one: that of "
        "tiers.b, got another for tiers.a and tiers.c, which only triggers and schedules use. "
        "Give jobs.j.retry, or "
        "pass --retry-strategy"
    )


def test_a_single_attempt_on_spot_is_that_of_the_tier_which_a_trigger_leads_to() -> None:
    tiers = {"spot": {"compute": ["s"], "retry": {"attempts": 1}}, "other": {}}

    def lost(job: dict[str, Any], to: str) -> list[str]:
        return [one.message for one in _findings(tiers, job, to) if one.check == "spotRetry"]

    (message,) = lost({}, "spot")
    assert message.startswith("jobs.j has 1 attempt by tiers.spot.retry, and tiers.spot uses Spot capacity: ")
    assert lost({}, "other") == []
    assert lost({"retry": {"attempts": 2}}, "spot") == []
    (message,) = lost({"retry": {"attempts": 1}}, "spot")
    assert message.startswith("jobs.j.retry.attempts is 1, and tiers.spot uses Spot capacity: ")


def _of_rules(rules: list[dict[str, str]], platform: str = "ec2") -> list[Finding]:
    """What is found in a policy, wherever it stands."""
    policy = {"rules": rules}
    own = {"platform": platform, "memory_mib": 2048, "retry": policy}
    found = _findings({"t": {"compute": ["f" if platform == "fargate" else "c"]}}, own)
    of_tier = _findings(
        {"t": {"compute": ["f" if platform == "fargate" else "c"], "retry": policy}}, {"platform": platform}
    )
    places = [
        [one.message.replace(f"{place}.retry", "", 1) for one in many]
        for place, many in (("jobs.j", found), ("tiers.t", of_tier))
    ]
    assert places[0] == places[1]
    return found


@pytest.mark.parametrize(
    ("first", "level"),
    [
        # A failed job that lacks a reason has an empty one, which a bare asterisk matches.
        ({"on_reason": "*"}, "error"),
        ({"on_status_reason": "*"}, "error"),
        ({"on_reason": "*", "on_status_reason": "*"}, "error"),
        # Whether it matches an exit code that is not there, AWS does not say.
        ({"on_exit_code": "*"}, "warning"),
        ({"on_exit_code": "*", "on_reason": "*"}, "warning"),
    ],
)
def test_a_rule_behind_one_that_matches_everything(first: dict[str, str], level: str) -> None:
    rules = [{"action": "exit", **first}, {"action": "retry", "on_status_reason": "Task failed to start*"}]
    (finding,) = _of_rules(rules)
    assert (finding.level, finding.check) == (level, "retryRule")
    verb = "must" if level == "error" else "should"
    assert finding.message.startswith(f"jobs.j.retry.rules[1] {verb} be before rules[0], which matches ")


def test_an_exit_code_behind_one_that_matches_every_code_is_refused() -> None:
    rules = [{"action": "exit", "on_exit_code": "*"}, {"action": "retry", "on_exit_code": "75"}]
    assert [one.level for one in _of_rules(rules)] == ["error"]
    rules = [{"action": "exit", "on_reason": "*"}, {"action": "retry", "on_exit_code": "75"}]
    assert [one.level for one in _of_rules(rules)] == ["error"]


@pytest.mark.parametrize("platform", ["ec2", "fargate"])
@pytest.mark.parametrize("text", ["Host EC2*", "Host EC2 instance", "Your Spot Task was interrupted*"])
def test_what_is_never_said_of_a_lost_host_there_is_refused(platform: str, text: str) -> None:
    never = text.startswith("Host") == (platform == "fargate")
    findings = _of_rules([{"action": "retry", "on_status_reason": text}], platform)
    assert [one.check for one in findings] == (["retryPattern"] if never else [])
    if never:
        instead = {"fargate": "Your Spot Task was interrupted*", "ec2": "Host EC2*"}[platform]
        assert findings[0].message.endswith(f"the reason of a lost host is {instead!r}, got {text!r}")
    # What may be the beginning of either is nobody's mistake.
    assert _of_rules([{"action": "retry", "on_status_reason": text[:3] + "*"}], platform) == []


@pytest.mark.parametrize("action", ["retry", "exit"])
@pytest.mark.parametrize("code", ["0", "0*"])
def test_the_exit_code_of_success_decides_nothing(action: str, code: str) -> None:
    (finding,) = _of_rules([{"action": action, "on_exit_code": code}])
    assert finding.message.startswith(f"jobs.j.retry.rules[0].on_exit_code must not be {code!r}: a job with ")
