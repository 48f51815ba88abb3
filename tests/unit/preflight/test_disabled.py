"""Tiers and compute environments that are disabled while something counts on them."""

from typing import Any

from batch_stack.preflight.preflight import preflight
from batch_stack.settings.root import Settings

ON_DEMAND = {"type": "on_demand", "instance_types": ["m6i"]}
CLOSED = {**ON_DEMAND, "state": "disabled"}


def _found(state: str, *compute: dict[str, Any], triggered: bool = True) -> list[tuple[str, str]]:
    content = {
        "compute": {f"c{number}": one for number, one in enumerate(compute)},
        "tiers": {
            "t": {"priority": 1, "state": state, "compute": [f"c{number}" for number in range(len(compute))]}
        },
        "jobs": {"j": {"image": "busybox:1"}},
        "triggers": {"x": {"job": "j", "tier": "t"}} if triggered else {},
    }
    found = preflight(Settings.model_validate(content))
    return [(one.id, one.message) for one in found if one.check.startswith("disabled")]


def test_a_trigger_to_a_tier_that_takes_no_jobs_is_warned_of() -> None:
    ((identifier, message),) = _found("disabled", ON_DEMAND)
    assert identifier == "batch-stack:disabledTier:triggers.x.tier"
    assert message == (
        "triggers.x.tier should be one that is enabled, got 't', whose queue takes no jobs: events of new "
        "objects end in the trigger's dead-letter queue after two hours"
    )
    # Disabled on the way to its end, which the settings ask for first.
    assert _found("disabled", CLOSED, triggered=False) == []


def test_a_tier_whose_compute_environments_are_all_disabled_is_warned_of() -> None:
    ((identifier, message),) = _found("enabled", CLOSED, CLOSED)
    assert identifier == "batch-stack:disabledCompute:tiers.t.compute"
    assert message == (
        "tiers.t.compute should have one that is enabled, got c0 and c1, disabled: its queue takes jobs, and "
        "starts none"
    )
    assert _found("enabled", CLOSED, ON_DEMAND) == []


def test_a_compute_environment_of_somebody_else_counts_as_enabled() -> None:
    existing = {
        "type": "existing",
        "arn": "arn:aws:batch:us-east-1:123456789012:compute-environment/theirs",
        "architecture": "x86_64",
    }
    assert _found("enabled", CLOSED, existing) == []
