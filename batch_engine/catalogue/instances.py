"""Reads the tables of instance types: shapes and prices of us-east-1, and EFA interfaces of all Regions.

The tables belong to this project. Each row names its source and date. Prices order instance types and
estimate costs; they are not quotations.
"""

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType

BANDS = ("<5%", "5-10%", "10-15%", "15-20%", ">20%")
"""The Spot Instance Advisor's bands: how often Spot capacity of a type was reclaimed in a month."""


@dataclass(frozen=True, slots=True)
class InstanceFacts:
    """An instance type; its Spot price and ``interruption_band``, an index of `BANDS`, may be unknown."""

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
    """Returns every instance type of the table."""
    return tuple(_read(row) for row in _rows("instances.csv"))


@cache
def efa_interfaces() -> Mapping[str, int]:
    """Returns the number of EFA interfaces by instance type, at one interface a network card.

    Types without EFA are absent, and so are types whose first network card cannot have an EFA interface.
    https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/efa.html#efa-instance-types
    """
    return MappingProxyType({row["instance_type"]: int(row["efa_interfaces"]) for row in _rows("efa.csv")})


def _rows(name: str) -> Iterator[dict[str, str]]:
    return csv.DictReader(
        files("batch_engine.catalogue").joinpath(name).read_text(encoding="utf-8").splitlines()
    )


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
