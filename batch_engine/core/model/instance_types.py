"""Instance types, and the names that mean several of them.

https://docs.aws.amazon.com/batch/latest/userguide/instance-type-compute-table.html
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

BUNDLES: dict[str, tuple[str, ...]] = {
    "optimal": ("m6i", "c6i", "r6i", "c7i"),
    "default_x86_64": ("m6i", "c6i", "r6i", "c7i"),
    "default_arm64": ("m6g", "c6g", "r6g", "c7g"),
}
"""Names in ``instanceTypes`` that mean families; ``optimal`` has meant ``default_x86_64`` since
November 2025."""


class InstanceType(Protocol):
    """The figures of an instance type that decisions need."""

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def vcpus(self) -> int: ...  # noqa: D102
    @property
    def memory_mib(self) -> int: ...  # noqa: D102
    @property
    def gpus(self) -> int: ...  # noqa: D102
    @property
    def arch(self) -> str: ...  # noqa: D102
    @property
    def on_demand_usd_hour(self) -> float: ...  # noqa: D102
    @property
    def spot_usd_hour(self) -> float | None: ...  # noqa: D102
    @property
    def interruption_band(self) -> int | None:
        """Returns the band of Spot interruptions, from 0 (under 5 % a month) to 4 (over 20 %)."""
        ...


@dataclass(frozen=True, slots=True)
class Expansion:
    """The instance types that ``instanceTypes`` names, each with its place in the list."""

    types: tuple[tuple[int, InstanceType], ...]
    unknown: tuple[str, ...]


class Catalogue:
    """Instance types by name and by family.

    Args:
        types: the known types. An unknown type or family counts as unavailable.
    """

    def __init__(self, types: Iterable[InstanceType] = ()) -> None:
        self._types = {item.name: item for item in types}
        self._families: dict[str, list[InstanceType]] = {}
        for item in self._types.values():
            family, _, size = item.name.partition(".")
            if not size.startswith("metal"):
                self._families.setdefault(family, []).append(item)

    def get(self, name: str) -> InstanceType | None:
        """Returns a type by name."""
        return self._types.get(name)

    def expand(self, names: Sequence[str]) -> Expansion:
        """Expands types, families and bundles to single types.

        A type that is named itself has its own place, not that of its family. A family has no metal sizes.
        """
        places: dict[str, int] = {}
        unknown: list[str] = []
        for place, name in enumerate(names):
            if name in self._types:
                places.setdefault(name, place)
        named = set(places)
        for place, name in enumerate(names):
            if name in self._types:
                continue
            members = [
                item for family in BUNDLES.get(name, (name,)) for item in self._families.get(family, ())
            ]
            if not members:
                unknown.append(name)
            for item in members:
                if item.name not in named:
                    places.setdefault(item.name, place)
        return Expansion(tuple((place, self._types[name]) for name, place in places.items()), tuple(unknown))
