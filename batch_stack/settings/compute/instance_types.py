"""Finds the instance types for a name in `instance_types`, in the project's table."""

from __future__ import annotations

import re
from functools import cache

from batch_engine.catalogue.instances import InstanceFacts, efa_interfaces, instance_types
from batch_stack.settings.base.values import Architecture

BUNDLES: dict[str, tuple[str, ...]] = {
    "default_x86_64": ("m6i", "c6i", "r6i", "c7i"),
    "default_arm64": ("m6g", "c6g", "r6g", "c7g"),
}
"""Names of AWS Batch for groups of families:
https://docs.aws.amazon.com/batch/latest/userguide/instance-type-compute-table.html"""

_ARM_FAMILY = re.compile(r"(a1|[a-z]+\d+g[a-z]*|p6e-.*)")
# Of an earlier generation, whose disks are not NVMe.
_OLDER_DISKS = re.compile(r"c[13]|d2|g2|h1|i2|m[123]|r3|x1e?")
# For types that are newer than the table: names of accelerated computing begin with g or p, others do not.
_GPU_FAMILY = re.compile(r"(g|gr|p)\d.*")


def family_of(name: str) -> str:
    """Returns the family of an instance type; a family or a bundle is returned unchanged."""
    return name.partition(".")[0]


@cache  # each call goes through the whole table, and a synthesis makes hundreds
def facts_of(name: str) -> tuple[InstanceFacts, ...]:
    """Returns the types of the table that a type, a family or a bundle names."""
    families = BUNDLES.get(name, (name,))
    return tuple(item for item in instance_types() if item.name == name or family_of(item.name) in families)


def architecture_of(name: str) -> Architecture:
    """Returns the CPU architecture of an instance type or family, by its name."""
    arm = name == "default_arm64" or _ARM_FAMILY.fullmatch(family_of(name))
    return "arm64" if arm else "x86_64"


def has_gpu(name: str) -> bool:
    """Returns whether the types have NVIDIA GPUs; for those outside the table, by the name."""
    facts = facts_of(name)
    return any(item.gpus for item in facts) if facts else bool(_GPU_FAMILY.fullmatch(family_of(name)))


def without_local_disk(name: str) -> str | None:
    """Returns the name, or one of its types, that has no NVMe disk; None if all known types have one."""
    if _OLDER_DISKS.fullmatch(family_of(name)):
        return name
    return next((item.name for item in facts_of(name) if not item.local_disk_gb), None)


def efa_interfaces_of(name: str) -> int:
    """Returns the number of EFA interfaces of an instance type; 0 for a family, whose sizes differ."""
    return efa_interfaces().get(name, 0)
