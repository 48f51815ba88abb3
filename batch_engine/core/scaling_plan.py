"""What follows from the settings of a compute environment for the instances that it launches."""

from dataclasses import dataclass, field

from batch_engine.core.allocation import BEST_FIT, preferred
from batch_engine.core.catalogue import Catalogue, InstanceType
from batch_engine.core.instances import AGENT_MEMORY_MIB, Need
from batch_engine.core.model import ComputeEnvironment

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
_REMEMBERED = 1000


def size_of(item: InstanceType) -> Need:
    """What jobs may take of an instance."""
    return Need(item.vcpus * 1000, item.memory_mib - AGENT_MEMORY_MIB, item.gpus)


def infrastructure(environment: ComputeEnvironment) -> tuple[str, ...]:
    """Two of these differ where instances must be replaced."""
    return tuple(repr(environment.resources.get(member)) for member in INFRASTRUCTURE)


@dataclass(slots=True)
class ScalingPlan:
    """Which types an environment launches, most wanted first.

    ``strict``: never above maxvCpus. ``single``: one best type for a job, waited for where there is none.
    """

    preferred: list[InstanceType]
    unknown: tuple[str, ...]
    strict: bool
    single: bool
    signature: tuple[str, ...]
    _fitting: dict[Need, list[InstanceType]] = field(default_factory=dict)

    @classmethod
    def of(cls, environment: ComputeEnvironment, catalogue: Catalogue) -> "ScalingPlan":
        """The plan of an environment as it stands."""
        resources = environment.resources
        expansion = catalogue.expand(resources.get("instanceTypes") or [])
        best_fit = (resources.get("allocationStrategy") or BEST_FIT) == BEST_FIT
        return cls(
            preferred(expansion.types, resources),
            expansion.unknown,
            strict=best_fit and resources["type"] == "EC2",
            single=best_fit,
            signature=infrastructure(environment),
        )

    def fitting(self, need: Need) -> list[InstanceType]:
        """The types on which a job fits."""
        found = self._fitting.get(need)
        if found is None:
            if len(self._fitting) >= _REMEMBERED:
                self._fitting.clear()
            found = self._fitting[need] = [item for item in self.preferred if need.fits(size_of(item))]
        return found
