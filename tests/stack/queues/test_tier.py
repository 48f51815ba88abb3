"""Priority tiers: the queue, its fair share, its state and its alarm."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

pytestmark = pytest.mark.stack

Synth = Callable[[Mapping[str, Any]], dict[str, Any]]

TIERS: dict[str, Any] = {
    "plain": {"priority": 1, "compute": ["spot"], "alarms": None},
    "closed": {"priority": 2, "compute": ["spot"], "state": "disabled"},
    "shared": {
        "priority": 3,
        "compute": ["spot", "on_demand"],
        "alarms": {"failed_jobs": 3, "within_minutes": 5},
        "fair_share": {
            "decay_s": 600,
            "compute_reservation_percent": 10,
            "shares": {"teamA": 0.5, "teamB*": 2.0},
        },
    },
}


@pytest.fixture
def of_tiers(synth: Synth) -> Callable[[str], dict[str, dict[str, Any]]]:
    resources = synth({"tiers": TIERS})["Resources"]
    return lambda kind: {
        name: one.get("Properties", {}) for name, one in resources.items() if one["Type"] == f"AWS::{kind}"
    }


def _of(found: Mapping[str, dict[str, Any]], tier: str) -> dict[str, Any]:
    (properties,) = (one for name, one in found.items() if name.startswith(f"{tier}Tier"))
    return properties


def test_a_fair_share_is_a_policy_of_the_queue(of_tiers: Callable[..., Any]) -> None:
    (policy,) = of_tiers("Batch::SchedulingPolicy").items()
    assert policy[1]["FairsharePolicy"] == {
        "ComputeReservation": 10,
        "ShareDecaySeconds": 600,
        "ShareDistribution": [
            {"ShareIdentifier": "teamA", "WeightFactor": 0.5},
            {"ShareIdentifier": "teamB*", "WeightFactor": 2},
        ],
    }
    assert "Name" not in policy[1]
    queues = of_tiers("Batch::JobQueue")
    assert _of(queues, "Shared")["SchedulingPolicyArn"] == {"Fn::GetAtt": [policy[0], "Arn"]}
    assert "SchedulingPolicyArn" not in _of(queues, "Plain")


def test_a_disabled_tier_has_a_disabled_queue(of_tiers: Callable[..., Any]) -> None:
    queues = of_tiers("Batch::JobQueue")
    assert _of(queues, "Closed")["State"] == "DISABLED"
    assert _of(queues, "Plain").get("State", "ENABLED") == "ENABLED"


def test_an_alarm_counts_the_failed_jobs_of_one_tier(of_tiers: Callable[..., Any]) -> None:
    alarms = {name: one for name, one in of_tiers("CloudWatch::Alarm").items() if "FailedJobs" in name}
    assert sorted(name[:6] for name in alarms) == ["Closed", "Shared"]
    alarm = _of(alarms, "Shared")
    assert (alarm["Namespace"], alarm["MetricName"]) == ("AWS/Events", "TriggeredRules")
    assert (alarm["Threshold"], alarm["Period"], alarm["Statistic"]) == (3, 300, "Sum")
    assert alarm["ComparisonOperator"] == "GreaterThanOrEqualToThreshold"
    assert alarm["TreatMissingData"] == "notBreaching"
    (dimension,) = alarm["Dimensions"]
    rule = of_tiers("Events::Rule")[dimension["Value"]["Ref"]]
    assert rule["EventPattern"]["detail"]["status"] == ["FAILED"]
    (topic,) = of_tiers("SNS::Topic")
    assert alarm["AlarmActions"] == [{"Ref": topic}]


def test_a_tier_without_an_alarm_still_tells_of_each_failure(of_tiers: Callable[..., Any]) -> None:
    rules = [name for name in of_tiers("Events::Rule") if name.startswith("PlainTier")]
    assert sorted(name.removeprefix("PlainTier")[:6] for name in rules) == ["JobFai", "QueueB"]


def test_time_limits_cover_every_reason(of_tiers: Callable[..., Any]) -> None:
    for queue in of_tiers("Batch::JobQueue").values():
        actions = queue["JobStateTimeLimitActions"]
        assert len(actions) == 3
        assert {(one["Action"], one["State"]) for one in actions} == {("CANCEL", "RUNNABLE")}
