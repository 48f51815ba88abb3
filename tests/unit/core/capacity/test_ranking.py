"""Allocation strategies: which instance type is launched for a job, one table row a rule."""

from dataclasses import dataclass

import pytest

from batch_engine.core.capacity.ranking import ranked
from batch_engine.core.model.instance_types import Catalogue


@dataclass(frozen=True)
class Type:
    name: str
    vcpus: int
    on_demand_usd_hour: float
    spot_usd_hour: float | None = None
    interruption_band: int | None = None
    memory_mib: int = 8192
    gpus: int = 0
    arch: str = "x86_64"


SMALL = Type("a.large", 2, 0.10, 0.05, 4)
LARGE = Type("a.xlarge", 4, 0.20, 0.06, 3)
STEADY = Type("b.large", 2, 0.12, 0.055, 0)
BIG = Type("b.2xlarge", 8, 0.40, 0.30, 0)
NEW = Type("c.large", 2, 0.05)
CATALOGUE = Catalogue([SMALL, LARGE, STEADY, BIG, NEW])


def order(strategy, kind, types, **resources):
    wire = {"type": kind, "allocationStrategy": strategy, **resources}
    return [one.item.name for one in ranked(CATALOGUE.expand(types).types, wire)]


@pytest.mark.parametrize(
    ("strategy", "kind", "types", "expected", "rule"),
    [
        (None, "EC2", ["a", "b"], ["a.large", "b.large", "a.xlarge", "b.2xlarge"], "no strategy is BEST_FIT"),
        ("BEST_FIT", "EC2", ["a", "b"], ["a.large", "b.large", "a.xlarge", "b.2xlarge"], "cheapest first"),
        (
            "BEST_FIT_PROGRESSIVE",
            "EC2",
            ["a", "b"],
            ["a.large", "a.xlarge", "b.2xlarge", "b.large"],
            "lowest cost per vCPU, then the smaller",
        ),
        (
            "BEST_FIT_PROGRESSIVE_ORDERED",
            "EC2",
            ["b", "a.xlarge", "a"],
            ["b.2xlarge", "b.large", "a.xlarge", "a.large"],
            "the list's order; within a family, cost per vCPU",
        ),
        (
            "SPOT_CAPACITY_OPTIMIZED",
            "SPOT",
            ["a", "b"],
            ["b.large", "b.2xlarge", "a.xlarge", "a.large"],
            "least interrupted first",
        ),
        (
            "SPOT_PRICE_CAPACITY_OPTIMIZED",
            "SPOT",
            ["a", "b"],
            ["a.xlarge", "b.large", "a.large", "b.2xlarge"],
            "cheap, and interruption costs",
        ),
        (
            "SPOT_CAPACITY_OPTIMIZED_PRIORITIZED",
            "SPOT",
            ["b.2xlarge", "b", "a"],
            ["b.2xlarge", "b.large", "a.xlarge", "a.large"],
            "least interrupted first, then the list's order",
        ),
    ],
)
def test_preference(strategy, kind, types, expected, rule):
    assert order(strategy, kind, types) == expected, rule


def test_types_above_the_bid_are_left_out():
    assert order("BEST_FIT", "SPOT", ["a", "b"], bidPercentage=30) == ["a.xlarge"]
    assert "a.large" in order("BEST_FIT", "SPOT", ["a", "b"], bidPercentage=50)


def test_unknown_spot_price_counts_as_on_demand():
    assert order("BEST_FIT", "SPOT", ["c", "b.large"]) == ["c.large", "b.large"]
