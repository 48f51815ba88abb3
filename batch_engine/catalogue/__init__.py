"""The instance types that this project knows: shapes and prices of us-east-1, one row a type.

The table is the project's own; each row names its source and date. Prices order instance types and estimate
costs: they are not a quotation.
"""

import csv
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

BANDS = ("<5%", "5-10%", "10-15%", "15-20%", ">20%")
"""How often Spot capacity of a type was reclaimed in a month, as the Spot Instance Advisor says it."""


@dataclass(frozen=True, slots=True)
class InstanceFacts:
    """One instance type; its Spot price and ``interruption_band`` (a place in ``BANDS``) may be unknown."""

    name: str
    vcpus: int
    memory_mib: int
    gpus: int
    arch: str
    on_demand_usd_hour: float
    spot_usd_hour: float | None
    interruption_band: int | None
    network: str
    local_disk_gb: int | None
    source: str
    date: str


@cache
def instance_types() -> tuple[InstanceFacts, ...]:
    """Every instance type of the table that travels with this package."""
    table = files(__name__).joinpath("instances.csv").read_text(encoding="utf-8")
    return tuple(_read(row) for row in csv.DictReader(table.splitlines()))


def _read(row: dict[str, str]) -> InstanceFacts:
    band = row["interruption_band"]
    return InstanceFacts(
        name=row["instance_type"],
        vcpus=int(row["vcpu"]),
        memory_mib=int(row["memory_mib"]),
        gpus=int(row["gpu"]),
        arch=row["arch"],
        on_demand_usd_hour=float(row["on_demand_usd_hour"]),
        spot_usd_hour=float(row["spot_usd_hour"]) if row["spot_usd_hour"] else None,
        interruption_band=BANDS.index(band) if band else None,
        network=row["network"],
        local_disk_gb=round(float(row["local_disk_gb"])) if row["local_disk_gb"] else None,
        source=row["source"],
        date=row["date"],
    )
