"""Checks at synthesis: nodes that never all have an instance, and zones without Fargate."""

from typing import Any

import pytest

from batch_stack.preflight.preflight import preflight
from batch_stack.settings.root import Settings

IMAGE = "public.ecr.aws/docker/library/busybox:1"


def _errors(nodes: dict[str, Any], max_vcpus: int, **job: Any) -> list[str]:
    compute = {
        "type": "on_demand",
        "instance_types": ["c6i.8xlarge", "c6i.32xlarge"],
        "placement_group": True,
        "max_vcpus": max_vcpus,
    }
    content = {
        "compute": {"c": compute, "spot": {"type": "spot"}},
        "tiers": {"t": {"priority": 1, "compute": ["c"]}, "u": {"priority": 1, "compute": ["spot"]}},
        "jobs": {"j": {"image": IMAGE, "nodes": nodes, "tiers": ["t"], **job}},
    }
    found = preflight(Settings.model_validate(content))
    return [finding.message for finding in found if finding.level == "error"]


@pytest.mark.parametrize(
    ("nodes", "job", "max_vcpus", "got"),
    [
        ({"count": 4}, {"vcpu": 8}, 128, None),  # four of 32 vCPUs each
        # AWS Batch may go over the limit by one instance.
        ({"count": 5}, {"vcpu": 8}, 129, None),
        ({"count": 5}, {"vcpu": 8}, 128, 128),
        ({"count": 2, "instance_type": "c6i.32xlarge"}, {"vcpu": 8}, 128, 128),
        ({"count": 2}, {"vcpu": 8, "memory_mib": 200_000}, 128, 128),  # only the larger has as much memory
        ({"count": 2, "instance_type": "c6i.32xlarge"}, {"vcpu": 8}, 256, None),
        # Instances of 128, 32, 32 and 32 vCPUs, whichever node is the large one.
        ({"count": 4, "groups": [{"nodes": "1:", "vcpu": 4}]}, {"vcpu": 96}, 128, None),
        ({"count": 4, "groups": [{"nodes": "0", "vcpu": 96}]}, {"vcpu": 4}, 128, None),
        ({"count": 6, "groups": [{"nodes": "0", "vcpu": 96}]}, {"vcpu": 4}, 128, 160),
        ({"count": 3, "groups": [{"nodes": "1:", "memory_mib": 200_000}]}, {"vcpu": 8}, 128, 160),
    ],
)
def test_each_node_needs_an_instance_within_the_limit(
    nodes: dict[str, Any], job: dict[str, Any], max_vcpus: int, got: int | None
) -> None:
    expected = [
        f"jobs.j.nodes must need instances of less than {max_vcpus} vCPUs besides the largest, the max_vcpus "
        f"of compute.c, because each node has an instance to itself, got {got}"
    ]
    assert _errors(nodes, max_vcpus, **job) == (expected if got is not None else [])


def test_all_nodes_ask_for_no_more_than_there_is_each_as_its_group_says() -> None:
    nodes = {"count": 4, "groups": [{"nodes": "1:", "vcpu": 64}]}
    assert _errors(nodes, 128, vcpu=2) == [
        "jobs.j.nodes must ask for at most 128 vCPUs in all, because all nodes run at once on one compute "
        "environment of t, got 194"
    ]


@pytest.mark.parametrize(("zone", "refused"), [("us-west-2a", False), ("us-west-2-lax-1a", True)])
@pytest.mark.parametrize("kind", ["fargate", "fargate_spot", "spot"])
def test_fargate_is_not_in_local_zones(zone: str, refused: bool, kind: str) -> None:
    content = {
        "network": {
            "mode": "existing",
            "vpc_id": "vpc-0a1b2c3d",
            "availability_zones": ["us-west-2b", zone],
            "subnet_ids": ["subnet-0a000001", "subnet-0a000002"],
        },
        "compute": {"c": {"type": kind}},
        "tiers": {"t": {"priority": 1, "compute": ["c"]}},
    }
    found = [one.message for one in preflight(Settings.model_validate(content)) if one.level == "error"]
    expected = (
        "network.availability_zones[1] must be a zone of the Region itself for compute.c, because AWS Batch "
        "has no Fargate in Local Zones, got 'us-west-2-lax-1a'"
    )
    assert found == ([expected] if refused and kind != "spot" else [])


def test_instances_that_nodes_do_not_use_are_not_kept_warm() -> None:
    def said(**compute: Any) -> list[str]:
        content = {
            "compute": {"c": {"type": "on_demand", **compute}},
            "tiers": {"t": {"priority": 1, "compute": ["c"]}},
        }
        return [
            one.message for one in preflight(Settings.model_validate(content)) if one.check == "warmNodes"
        ]

    assert said(placement_group=True, min_vcpus=8) == [
        "compute.c.min_vcpus should be 0 with placement_group, because multi-node parallel jobs do not run "
        "on instances that are kept warm, got 8"
    ]
    assert said(placement_group=True) == said(min_vcpus=8) == []
