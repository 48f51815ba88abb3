"""Compute environments: which instance types suit images, disks and placement groups."""

from typing import Any

import pytest

from batch_engine.core.model.instance_types import BUNDLES as ENGINE_BUNDLES
from batch_stack.settings.base.errors import SettingsError
from batch_stack.settings.compute.instance_types import BUNDLES, facts_of, has_gpu, without_local_disk
from batch_stack.settings.file import parse_settings

ARN = "arn:aws:batch:eu-west-1:111122223333:compute-environment/theirs"


def _compute(**compute: Any) -> Any:
    content = {"compute": {"x": compute}, "tiers": {"only": {"priority": 1, "compute": ["x"]}}}
    return parse_settings(content, source="batch.yaml").compute["x"]


@pytest.mark.parametrize(
    ("types", "has", "lacks"),
    [
        (["g5"], True, False),
        (["p5.48xlarge", "gr6"], True, False),
        (["g7z.large"], True, False),  # newer than the table
        (["m6i"], False, True),
        (["default_x86_64"], False, True),
        (["g4dn.xlarge", "c6i"], True, True),
    ],
)
def test_gpus_are_known_by_the_table_or_by_the_name(types: list[str], has: bool, lacks: bool) -> None:
    settings = _compute(type="on_demand", instance_types=types)
    assert (settings.has_gpu, settings.lacks_gpu) == (has, lacks)


def test_names_agree_with_the_table() -> None:
    for name in ("c5d", "c5d.large", "m6i", "g5.xlarge"):
        assert facts_of(name)
    assert {item.name.partition(".")[0] for item in facts_of("default_arm64")} == {"m6g", "c6g", "r6g", "c7g"}
    assert not facts_of("z9")
    assert not has_gpu("pz")
    assert {**BUNDLES, "optimal": BUNDLES["default_x86_64"]} == ENGINE_BUNDLES


def test_disks_are_known_by_the_table_and_others_are_let_pass() -> None:
    assert without_local_disk("m6id") is None
    assert without_local_disk("i9z.large") is None
    assert without_local_disk("m6i.large") == "m6i.large"
    assert _compute(type="spot", instance_types=["c6id", "g5.xlarge"], nvme_scratch=True).nvme_scratch


def test_a_placement_group_is_in_a_zone_of_the_network() -> None:
    compute = {"n": {"type": "on_demand", "placement_group": True, "placement_zone": 3}}
    content = {"compute": compute, "tiers": {"t": {"priority": 1, "compute": ["n"]}}}
    existing = {
        "mode": "existing",
        "vpc_id": "vpc-0a000001",
        "availability_zones": ["eu-west-1a"],
        "subnet_ids": ["subnet-0a000001"],
    }
    for network, zones in (({"mode": "public"}, 2), (existing, 1)):
        with pytest.raises(
            SettingsError,
            match=f"compute.n.placement_zone must be between 1 and {zones}, the number of the network's "
            "Availability Zones, got 3",
        ):
            parse_settings({**content, "network": network}, source="t")
    three = {"mode": "private_with_nat", "max_azs": 3}
    assert parse_settings({**content, "network": three}, source="t").network.max_azs == 3


@pytest.mark.parametrize(
    ("compute", "problem"),
    [
        (
            {"type": "spot", "instance_types": ["m6id", "m6i"], "nvme_scratch": True},
            "instance_types[1] must have NVMe disks of its own, because nvme_scratch is true, and m6i.large "
            "has none, got 'm6i'",
        ),
        (
            {"type": "on_demand", "instance_types": ["c5.large"], "nvme_scratch": True},
            "instance_types[0] must have NVMe disks of its own, because nvme_scratch is true, and it has "
            "none, got 'c5.large'",
        ),
        (
            {"type": "managed_instances", "instance_types": ["c6i.large"], "nvme_scratch": True},
            "instance_types[0] must have NVMe disks",
        ),
        (
            {"type": "on_demand", "instance_types": ["p3.2xlarge"]},
            "instance_types[0] must be of a family that AWS Batch's images of Amazon Linux 2023 support, "
            "got 'p3.2xlarge'",
        ),
        ({"type": "spot", "instance_types": ["g5g"]}, "instance_types[0] must be of a family that"),
        ({"type": "spot", "instance_types": ["a1"]}, "instance_types[0] must be of a family that"),
        *(
            ({"type": "spot", "instance_types": [name]}, "instance_types[0] must be of a family that")
            for name in ("p2.xlarge", "g2", "g4ad", "p6e-gb200", "mac2.metal", "mac2-m2pro.metal")
        ),
        (
            {"type": "spot", "instance_types": ["m6i", "c6i", "m6i"]},
            "instance_types[2] must differ from those before it, got 'm6i' again",
        ),
        (
            {"type": "on_demand", "instance_types": ["d2"], "nvme_scratch": True},
            "instance_types[0] must have NVMe disks of its own, because nvme_scratch is true, and it has "
            "none, got 'd2'",
        ),
        (
            {"type": "existing", "arn": ARN, "architecture": "arm64", "instance_types": ["m6g", "m6i"]},
            "instance_types[1] must be arm64, as architecture says, got 'm6i', which is x86_64",
        ),
        (
            {"type": "existing", "arn": ARN, "platform": "fargate", "instance_types": ["m6i"]},
            "instance_types must not be given on fargate, got 'm6i'",
        ),
        (
            {"type": "on_demand", "instance_types": ["c6i", "t3.large"], "placement_group": True},
            "instance_types[1] must be neither burstable (t3) nor flexible (m7i-flex), because "
            "placement_group is true, got 't3.large'",
        ),
        (
            {"type": "on_demand", "instance_types": ["c7i-flex"], "placement_group": True},
            "instance_types[0] must be neither burstable",
        ),
        (
            {"type": "spot", "placement_group": True},
            "placement_group must be false on Spot, where AWS Batch runs no multi-node parallel jobs",
        ),
        (
            {"type": "managed_instances", "instance_types": ["default_arm64"]},
            "instance_types[0] must be an instance type or family that Amazon ECS knows, got 'default_arm64'",
        ),
        ({"type": "unmanaged", "state": "off"}, "state must be one of enabled, disabled, got 'off'"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(compute: dict[str, Any], problem: str) -> None:
    with pytest.raises(SettingsError) as raised:
        _compute(**compute)
    assert str(raised.value).startswith(f"batch.yaml: compute.x.{problem}")


def test_instances_are_not_kept_warm_for_a_disabled_environment() -> None:
    with pytest.raises(SettingsError) as raised:
        _compute(type="on_demand", min_vcpus=8, state="disabled")
    assert str(raised.value) == (
        "batch.yaml: compute.x.min_vcpus must be 0 with state disabled, got 8: they would be paid "
        "for, and nothing would run on them"
    )
    assert _compute(type="on_demand", min_vcpus=8).min_vcpus == 8
