"""Checks at synthesis: Elastic Fabric Adapters that nodes would not use, types without a price."""

from typing import Any

from batch_stack.preflight.preflight import preflight
from batch_stack.settings.root import Settings

FABRIC: dict[str, Any] = {"type": "on_demand", "placement_group": True, "efa": True, "max_vcpus": 512}


def _warnings(tiers: list[str], *types: str) -> list[str]:
    content = {
        "compute": {
            "two": {**FABRIC, "instance_types": ["c6in.32xlarge"]},
            "one": {**FABRIC, "instance_types": ["c6i.32xlarge"]},
            "none": {"type": "on_demand", "instance_types": ["c6i"], "placement_group": True},
            "other": {**FABRIC, "instance_types": list(types) or ["m6i.32xlarge"]},
        },
        "tiers": {
            "a": {"priority": 1, "compute": ["two", "one"]},
            "b": {"priority": 2, "compute": ["none"]},
            "c": {"priority": 3, "compute": ["one", "other"]},
        },
        "jobs": {
            "j": {"image": "public.ecr.aws/docker/library/busybox:1", "nodes": {"count": 2}, "tiers": tiers}
        },
    }
    return [finding.message for finding in preflight(Settings.model_validate(content))]


def test_interfaces_that_a_job_would_not_use_are_warned_of() -> None:
    says = (
        "jobs.j.tiers should lead to the same number of EFA interfaces on each compute environment, because "
        "a node uses only as many as all have, got {most} and {fewest}"
    )
    assert _warnings(["a"]) == [says.format(most="2 on compute.two", fewest="1 on compute.one")]
    assert _warnings(["b", "c"]) == [says.format(most="1 on compute.one", fewest="0 on compute.none")]
    assert _warnings(["b"]) == _warnings(["c"]) == []


def test_a_type_with_interfaces_and_without_a_price_is_not_taken_for_a_slip() -> None:
    assert _warnings(["c"], "hpc6a.48xlarge") == [
        "compute.other.instance_types[0] is no type whose vCPUs and memory are known here, got "
        "'hpc6a.48xlarge': whether jobs fit it cannot be checked"
    ]
