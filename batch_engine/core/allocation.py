"""Which instance type a compute environment launches next.

https://docs.aws.amazon.com/batch/latest/userguide/allocation-strategies.html

Every strategy is an order of preference over instance types; what fits the job and can be had is taken from
its front. Where AWS says "least interrupted", the published interruption bands stand in for what only AWS
knows of its spare capacity.
"""

from collections.abc import Callable, Sequence

from batch_engine.core.catalogue import InstanceType
from batch_engine.core.model import Wire

BEST_FIT = "BEST_FIT"
WORST_BAND = 4
# The published bands' upper ends; the last has none.
_RECLAIMED_SHARE = (0.05, 0.10, 0.15, 0.20, 0.30)

_Key = tuple[float | int | str, ...]


def price(item: InstanceType, *, spot: bool) -> float:
    """Dollars per hour; On-Demand's where no Spot price is known."""
    return item.spot_usd_hour if spot and item.spot_usd_hour is not None else item.on_demand_usd_hour


def _per_vcpu(item: InstanceType, *, spot: bool) -> float:
    # Sizes of one family cost the same per vCPU, but not to the last binary digit.
    return round(price(item, spot=spot) / item.vcpus, 5)


def _band(item: InstanceType) -> int:
    return WORST_BAND if item.interruption_band is None else item.interruption_band


def _best_fit(_: int, item: InstanceType, *, spot: bool) -> _Key:
    return price(item, spot=spot), item.vcpus, item.name


def _progressive(_: int, item: InstanceType, *, spot: bool) -> _Key:
    return _per_vcpu(item, spot=spot), item.vcpus, item.memory_mib, item.name


def _progressive_ordered(place: int, item: InstanceType, *, spot: bool) -> _Key:
    return place, *_progressive(place, item, spot=spot)


def _capacity(place: int, item: InstanceType, *, spot: bool) -> _Key:
    return _band(item), *_progressive(place, item, spot=spot)


def _price_capacity(_: int, item: InstanceType, *, spot: bool) -> _Key:
    expected = _per_vcpu(item, spot=spot) * (1 + _RECLAIMED_SHARE[_band(item)])
    return round(expected, 5), item.vcpus, item.memory_mib, item.name


def _capacity_prioritized(place: int, item: InstanceType, *, spot: bool) -> _Key:
    return _band(item), place, *_progressive(place, item, spot=spot)


_ORDERS: dict[str, Callable[..., _Key]] = {
    BEST_FIT: _best_fit,
    "BEST_FIT_PROGRESSIVE": _progressive,
    "BEST_FIT_PROGRESSIVE_ORDERED": _progressive_ordered,
    "SPOT_CAPACITY_OPTIMIZED": _capacity,
    "SPOT_PRICE_CAPACITY_OPTIMIZED": _price_capacity,
    "SPOT_CAPACITY_OPTIMIZED_PRIORITIZED": _capacity_prioritized,
}
STRATEGIES = tuple(_ORDERS)


def preferred(types: Sequence[tuple[int, InstanceType]], resources: Wire) -> list[InstanceType]:
    """The types that a compute environment may launch, most wanted first.

    Args:
        types: each with its place in ``instanceTypes``.
        resources: the environment's ``computeResources``. Types whose Spot price lies above
            ``bidPercentage`` of On-Demand's are left out.
    """
    spot = resources["type"] == "SPOT"
    bid = resources.get("bidPercentage") or 100
    order = _ORDERS[resources.get("allocationStrategy") or BEST_FIT]
    affordable = [
        (place, item)
        for place, item in types
        if not spot or price(item, spot=True) <= item.on_demand_usd_hour * bid / 100
    ]
    return [item for place, item in sorted(affordable, key=lambda pair: order(pair[0], pair[1], spot=spot))]
