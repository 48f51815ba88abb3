"""The instances that a compute environment launches, by its settings."""

from dataclasses import dataclass, field
from typing import Any

from batch_engine.core.capacity.fleet import AGENT_MEMORY_MIB, Need
from batch_engine.core.capacity.ranking import BEST_FIT, Ranked, ranked
from batch_engine.core.capacity.wait_reasons import Refusal
from batch_engine.core.model.instance_types import Catalogue, InstanceType
from batch_engine.core.model.resources import ComputeEnvironment
from batch_engine.core.model.wire import Wire

INFRASTRUCTURE = (
    "allocationStrategy",
    "instanceTypes",
    "bidPercentage",
    "type",
    "imageId",
    "ec2Configuration",
    "launchTemplate",
    "ec2KeyPair",
    "subnets",
    "securityGroupIds",
    "placementGroup",
    "instanceRole",
    "tags",
)
"""What an update cannot change on instances that exist."""
REMEMBERED = 1000
"""The number of needs whose types an environment remembers."""
_GPU_LETTERS = ("p", "g")
_WITHOUT_AL2023 = {False: ("a1",), True: ("g3", "g3s", "p3", "p3dn")}
"""Families that Amazon Linux 2023 does not run on: without GPUs, and with."""


def runs(name: str, has_gpus: bool, resources: Wire) -> bool:
    """Returns whether AWS's image boots on an instance type; a customer's own image is assumed to boot.

    https://docs.aws.amazon.com/batch/latest/userguide/ecs-migration-2023.html
    """
    entries = resources.get("ec2Configuration") or []
    if resources.get("imageId") or resources.get("launchTemplate"):
        return True
    if any(entry.get("imageIdOverride") or "AL2023" not in entry["imageType"] for entry in entries):
        return True
    return name.partition(".")[0] not in _WITHOUT_AL2023[has_gpus]


def size_of(item: InstanceType) -> Need:
    """Returns the vCPUs, memory and GPUs of an instance that jobs may use."""
    return Need(item.vcpus * 1000, item.memory_mib - AGENT_MEMORY_MIB, item.gpus)


def infrastructure(environment: ComputeEnvironment) -> tuple[str, ...]:
    """Returns the settings that cannot change on existing instances."""
    return tuple(repr(environment.resources.get(member)) for member in INFRASTRUCTURE)


@dataclass(frozen=True, slots=True)
class Demand:
    """The demand for which an environment grows: a number of like jobs, and the vCPUs that it may add.

    A line of different jobs counts as the number of jobs, like the one at its head, that need the same vCPUs.
    """

    jobs: int = 1
    room_milli_vcpus: int = 0


@dataclass(frozen=True, slots=True)
class Fit:
    """An instance type, and how many of a job it holds."""

    type: Ranked
    jobs: int


@dataclass(slots=True)
class ScalingPlan:
    """The instance types that an environment launches.

    ``unsupported``: the environment names types that its image does not run on. ``strict``: maxvCpus is never
    exceeded. ``single``: a job waits for the one best type, even if EC2 has none. ``within`` caches the types
    for a number of jobs with a need, or why there are none; a change of the environment makes a new plan.
    """

    ranked: list[Ranked]
    unknown: tuple[str, ...]
    unsupported: bool
    strict: bool
    single: bool
    within: dict[tuple[Need, int], list[Fit] | Refusal] = field(default_factory=dict)

    @classmethod
    def of(cls, environment: ComputeEnvironment, catalogue: Catalogue) -> "ScalingPlan":
        """Returns the plan of an environment in its present state."""
        resources = environment.resources
        expansion = catalogue.expand(resources.get("instanceTypes") or [])
        types = [pair for pair in expansion.types if runs(pair[1].name, pair[1].gpus > 0, resources)]
        best_fit = (resources.get("allocationStrategy") or BEST_FIT) == BEST_FIT
        return cls(
            ranked(types, resources),
            expansion.unknown,
            unsupported=len(types) < len(expansion.types)
            or any(not runs(name, name.startswith(_GPU_LETTERS), resources) for name in expansion.unknown),
            strict=best_fit and resources["type"] == "EC2",
            single=best_fit,
        )

    def fitting(self, need: Need) -> list[Fit]:
        """Returns the types on which a job fits, most wanted first."""
        return [
            Fit(one, _times(need, size_of(one.item))) for one in self.ranked if need.fits(size_of(one.item))
        ]

    def sized(self, fitting: list[Fit], demand: Demand) -> list[InstanceType]:
        """Returns the types to launch for a demand, most wanted first.

        Candidates are the smallest size of each family, and each larger size that holds more jobs and that
        the demand fills. Among types of equal rank the one that wastes least comes first, then the largest.
        BEST_FIT prefers the type with which the whole demand costs least.
        """
        sizes: list[Fit] = []
        most: dict[str, int] = {}
        for one in sorted(fitting, key=lambda one: (one.type.usd_hour, one.type.item.vcpus)):
            family = one.type.item.name.partition(".")[0]
            held = most.get(family, 0)
            if one.jobs > held and (not held or _is_filled(one, demand)):
                most[family] = one.jobs
                sizes.append(one)

        def cheapest(one: Fit) -> tuple[float, int, str]:
            count = -(-demand.jobs // one.jobs)
            return round(one.type.usd_hour * count, 5), -one.type.item.vcpus, one.type.item.name

        def progressive(one: Fit) -> tuple[Any, ...]:
            item = one.type.item
            return one.type.rank, round(item.vcpus / one.jobs, 5), -item.vcpus, item.memory_mib, item.name

        return [one.type.item for one in sorted(sizes, key=cheapest if self.single else progressive)]


def _times(need: Need, room: Need) -> int:
    """Returns the number of jobs of this size that an instance holds."""
    return min(have // wanted for have, wanted in zip(room, need, strict=True) if wanted)


def _is_filled(one: Fit, demand: Demand) -> bool:
    return one.jobs <= demand.jobs and one.type.item.vcpus * 1000 <= demand.room_milli_vcpus
