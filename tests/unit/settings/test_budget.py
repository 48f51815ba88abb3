"""Budgets of tiers and the database: what settings refuse."""

import re
from typing import Any

import pytest

from batch_stack.settings.base.errors import SettingsError
from batch_stack.settings.file import parse_settings
from batch_stack.settings.root import Settings

COMPUTE = {
    "a": {"type": "spot"},
    "b": {"type": "on_demand"},
    "rented": {"type": "managed_instances", "instance_types": ["m6i"]},
    "tasks": {"type": "fargate"},
}
BUDGET = {"usd_per_month": 100}


def _tier(*compute: str, priority: int = 1, budget: Any = None) -> dict[str, Any]:
    return {"compute": list(compute), "priority": priority, "budget": budget}


def _parsed(**tiers: Any) -> Settings:
    return parse_settings({"compute": COMPUTE, "tiers": tiers}, source="test")


@pytest.mark.parametrize(
    ("tiers", "problem"),
    [
        (
            {"x": _tier("tasks", budget=BUDGET)},
            "tiers.x.compute[0] must be of type spot or on_demand in a tier with a budget, which counts "
            "instances and volumes by a tag of their launch template, got 'tasks', which is fargate",
        ),
        ({"x": _tier("rented", budget=BUDGET)}, "got 'rented', which is managed_instances"),
        (
            {"x": _tier("b", "a", budget=BUDGET), "y": _tier("a", priority=2)},
            "tiers.x.compute[1] must be used by no other tier in a tier with a budget, which cannot tell "
            "whose instances they are, got 'a', which tiers.y uses",
        ),
        (
            {"x": _tier("a", budget={**BUDGET, "notify_percent": [80, 80]})},
            "notify_percent must have each percentage once, got [80, 80]",
        ),
        (
            {"x": _tier("a", budget={"usd_per_month": 0.001})},
            "tiers.x.budget.usd_per_month must be a number between 0.01 and 1000000000.0, got 0.001",
        ),
        (
            {"x": _tier("a", budget={**BUDGET, "on_exceeded": "stop"})},
            "tiers.x.budget.on_exceeded must be",
        ),
    ],
)
def test_a_budget_that_could_not_count_is_refused(tiers: dict[str, Any], problem: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(problem)):
        _parsed(**tiers)


def test_tiers_of_their_own_compute_may_each_have_a_budget() -> None:
    settings = _parsed(x=_tier("a", budget=BUDGET), y=_tier("b", budget=BUDGET), z=_tier("tasks"))
    budget = settings.tiers["x"].budget
    assert budget is not None
    assert (budget.notify_percent, budget.on_exceeded) == ([80, 100], "notify")


@pytest.mark.parametrize(
    ("network", "place"),
    [
        ({"mode": "public", "max_azs": 1}, "network.max_azs"),
        (
            {
                "mode": "existing",
                "vpc_id": "vpc-12345678",
                "availability_zones": ["us-east-1a"],
                "subnet_ids": ["subnet-12345678"],
            },
            "network.availability_zones",
        ),
    ],
)
def test_a_database_takes_two_zones(network: dict[str, Any], place: str) -> None:
    with pytest.raises(SettingsError, match=f"{place} must be at least 2 Availability Zones"):
        parse_settings({"network": network, "results": {"database": {}}}, source="test")
    parse_settings({"network": network}, source="test")
