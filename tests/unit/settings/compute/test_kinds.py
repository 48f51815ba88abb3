"""Every kind of compute environment answers every question that checks and constructs ask."""

import inspect
from typing import Any

import pytest

from batch_stack.preflight.preflight import preflight
from batch_stack.settings.compute.base import ComputeSettings
from batch_stack.settings.compute.ec2 import OnDemandSettings
from batch_stack.settings.compute.kinds import KINDS, ExistingComputeSettings, ManagedInstancesSettings
from batch_stack.settings.root import Settings

ARN = "arn:aws:batch:eu-west-1:123456789012:compute-environment/theirs"
FIELDS = ("type", "state", "platform_capability", "architecture", "max_vcpus", "instance_types")
QUESTIONS = [
    name
    for name, member in inspect.getmembers(ComputeSettings)
    if name in ComputeSettings.__dict__
    and not name.startswith(("_", "model_"))
    and isinstance(member, property | bool)
]
ANSWERS: dict[str, dict[str, Any]] = {
    "spot": {"is_reclaimable": True, "is_budgetable": True, "update_grace_minutes": 60},
    "on_demand": {
        "is_budgetable": True,
        "runs_multi_node": True,
        "connects_nodes": False,
        "update_grace_minutes": 60,
    },
    "fargate": {"platform_capability": "fargate", "instance_types": ()},
    "managed_instances": {"platform_capability": "managed_instances"},
    "unmanaged": {"max_vcpus": None, "instance_types": ()},
    "existing": {"max_vcpus": None, "instance_types": [], "is_provisioned": False, "runs_multi_node": True},
}
USUAL: dict[str, Any] = {
    "state": "enabled",
    "platform_capability": "ec2",
    "architecture": "x86_64",
    "is_provisioned": True,
    "is_budgetable": False,
    "is_reclaimable": False,
    "runs_multi_node": False,
    "connects_nodes": True,
    "required_zone": None,
    "efa_interfaces": 0,
    "idle_vcpus": 0,
    "update_grace_minutes": None,
}


def of(kind: type[ComputeSettings], **settings: Any) -> ComputeSettings:
    return kind(**({"arn": ARN} if kind is ExistingComputeSettings else {}), **settings)


def test_the_kinds_are_those_of_the_file() -> None:
    assert [of(kind).type for kind in KINDS] == list(ANSWERS)
    assert len(QUESTIONS) > 8


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_kind_answers(kind: type[ComputeSettings]) -> None:
    one = of(kind)
    wanted = USUAL | {"fixed_kind": one.type} | ANSWERS[one.type]
    assert {*wanted, *FIELDS} >= set(QUESTIONS)
    assert {name: getattr(one, name) for name in wanted} == wanted
    assert all(hasattr(one, name) for name in FIELDS)


def test_answers_follow_the_fields() -> None:
    nodes = OnDemandSettings(
        instance_types=["hpc7a.96xlarge"], efa=True, placement_group=True, placement_zone=2, max_vcpus=192
    )
    assert (nodes.fixed_kind, nodes.required_zone, nodes.connects_nodes) == ("on_demand (efa)", 2, True)
    assert nodes.efa_interfaces == 2
    rented = ManagedInstancesSettings(spot=True)
    assert (rented.fixed_kind, rented.is_reclaimable) == ("managed_instances (spot)", True)
    theirs = of(ExistingComputeSettings, platform="eks", max_vcpus=4)
    assert (theirs.platform_capability, theirs.max_vcpus) == ("eks", 4)


def test_a_single_attempt_on_managed_spot_instances_is_warned_of() -> None:
    settings = Settings.model_validate(
        {
            "compute": {"c": {"type": "managed_instances", "spot": True}},
            "tiers": {"t": {"priority": 1, "compute": ["c"]}},
            "jobs": {
                "j": {
                    "image": "busybox:1",
                    "platform": "managed_instances",
                    "tiers": ["t"],
                    "retry": {"attempts": 1},
                }
            },
        }
    )
    assert [finding.check for finding in preflight(settings)] == ["spotRetry"]
