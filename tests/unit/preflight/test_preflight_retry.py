"""Checks of retry policies where tiers, platforms and jobs meet."""

from typing import Any

import pytest

from batch_stack.preflight import Finding, preflight
from batch_stack.settings import Settings

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
        "jobs.j.tiers should lead to one retry policy, for a job definition has one: that of tiers.b, got "
        "another for tiers.a and tiers.c, with which triggers submit and nobody else. Give jobs.j.retry, or "
        "pass --retry-strategy"
    )


def test_a_single_attempt_on_spot_is_that_of_the_tier_which_a_trigger_leads_to() -> None:
    tiers = {"spot": {"compute": ["s"], "retry": {"attempts": 1}}, "other": {}}

    def lost(job: dict[str, Any], to: str) -> list[str]:
        return [one.message for one in _findings(tiers, job, to) if one.check == "spotRetry"]

    (message,) = lost({}, "spot")
    assert message.startswith("tiers.spot.retry.attempts is 1, and tiers.spot uses Spot capacity: ")
    assert lost({}, "other") == []
    assert lost({"retry": {"attempts": 2}}, "spot") == []
    (message,) = lost({"retry": {"attempts": 1}}, "spot")
    assert message.startswith("jobs.j.retry.attempts is 1, and tiers.spot uses Spot capacity: ")
