"""The order in which a compute environment prefers instance types.

https://docs.aws.amazon.com/batch/latest/userguide/allocation-strategies.html

Every strategy is an order of preference over instance types, of any size: the demand decides the size
(``launch_plan``). Where AWS says "least interrupted", the published interruption bands replace AWS's
unpublished figures of spare capacity.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from batch_engine.core.model.instance_types import InstanceType
from batch_engine.core.model.wire import Wire

BEST_FIT = "BEST_FIT"
WORST_BAND = 4
# The upper ends of the published bands; the last band has none.
_RECLAIMED_SHARE = (0.05, 0.10, 0.15, 0.20, 0.30)

_Key = tuple[float | int | str, ...]


def price(item: InstanceType, *, spot: bool) -> float:
    """Returns the price in dollars per hour; the On-Demand price if no Spot price is known."""
    return item.spot_usd_hour if spot and item.spot_usd_hour is not None else item.on_demand_usd_hour


def _per_vcpu(item: InstanceType, *, spot: bool) -> float:
    # Sizes of one family cost the same per vCPU, but not to the last binary digit.
    return round(price(item, spot=spot) / item.vcpus, 5)


def _band(item: InstanceType) -> int:
    return WORST_BAND if item.interruption_band is None else item.interruption_band


def _best_fit(_: int, item: InstanceType, *, spot: bool) -> _Key:
    return (price(item, spot=spot),)


def _progressive(_: int, item: InstanceType, *, spot: bool) -> _Key:
    return (_per_vcpu(item, spot=spot),)


def _progressive_ordered(place: int, item: InstanceType, *, spot: bool) -> _Key:
    return place, _per_vcpu(item, spot=spot)


def _capacity(_: int, item: InstanceType, *, spot: bool) -> _Key:
    return _band(item), _per_vcpu(item, spot=spot)


def _price_capacity(_: int, item: InstanceType, *, spot: bool) -> _Key:
    expected = _per_vcpu(item, spot=spot) * (1 + _RECLAIMED_SHARE[_band(item)])
    return (round(expected, 5),)


def _capacity_prioritized(place: int, item: InstanceType, *, spot: bool) -> _Key:
    return _band(item), place, _per_vcpu(item, spot=spot)


_ORDERS: dict[str, Callable[..., _Key]] = {
    BEST_FIT: _best_fit,
    "BEST_FIT_PROGRESSIVE": _progressive,
    "BEST_FIT_PROGRESSIVE_ORDERED": _progressive_ordered,
    "SPOT_CAPACITY_OPTIMIZED": _capacity,
    "SPOT_PRICE_CAPACITY_OPTIMIZED": _price_capacity,
    "SPOT_CAPACITY_OPTIMIZED_PRIORITIZED": _capacity_prioritized,
}
STRATEGIES = tuple(_ORDERS)


@dataclass(frozen=True, slots=True)
class Ranked:
    """An instance type and its rank in a strategy: less is better, for any size."""

    item: InstanceType
    rank: _Key
    usd_hour: float


def ranked(types: Sequence[tuple[int, InstanceType]], resources: Wire) -> list[Ranked]:
    """Returns the types that a compute environment may launch, most wanted first; among equals the smaller.

    Args:
        types: the types, each with its place in ``instanceTypes``.
        resources: the environment's ``computeResources``. Types whose Spot price lies above
            ``bidPercentage`` of On-Demand's are left out.
    """
    spot = resources["type"] == "SPOT"
    bid = resources.get("bidPercentage") or 100
    order = _ORDERS[resources.get("allocationStrategy") or BEST_FIT]
    found = [
        Ranked(item, order(place, item, spot=spot), price(item, spot=spot))
        for place, item in types
        if not spot or price(item, spot=True) <= item.on_demand_usd_hour * bid / 100
    ]
    return sorted(found, key=lambda one: (one.rank, one.item.vcpus, one.item.memory_mib, one.item.name))
