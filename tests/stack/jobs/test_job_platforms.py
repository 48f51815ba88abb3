"""Jobs in a whole platform: what its compute and its triggers make of them."""

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.stack.jobs.conftest import IMAGE
from tests.stack.jobs.reading import definition, flat, requirements, variables

pytestmark = pytest.mark.stack

SETTINGS: dict[str, Any] = {
    "compute": {
        "rented": {"type": "managed_instances", "instance_types": ["m7g"]},
        "gpu": {"type": "on_demand", "instance_types": ["g5"]},
        "cluster": {"type": "on_demand", "instance_types": ["c6i"], "placement_group": True},
    },
    "tiers": {
        "rented": {"priority": 1, "compute": ["rented"]},
        "gpu": {"priority": 1, "compute": ["gpu"], "retry": {"attempts": 7}},
        "cluster": {"priority": 1, "compute": ["cluster"]},
    },
    "consumable_resources": {"seats": {"total": 4}},
    "jobs": {
        "cheap": {"image": IMAGE, "platform": "managed_instances", "log_retention_days": 3},
        "train": {"image": IMAGE, "gpus": 1, "tiers": ["gpu"], "vcpu": 4, "memory_mib": 8192},
        "solve": {
            "image": IMAGE,
            "tiers": ["cluster"],
            "nodes": {"count": 2},
            "consumable_resources": {"seats": 2},
        },
    },
    "triggers": {
        "rent": {"job": "cheap", "tier": "rented", "prefix": "rent/"},
        "learn": {"job": "train", "tier": "gpu", "prefix": "train/"},
        "solve": {"job": "solve", "tier": "cluster", "prefix": "solve/"},
    },
}


@pytest.fixture
def template(synth: Callable[[Mapping[str, Any]], dict[str, Any]]) -> dict[str, Any]:
    return synth(SETTINGS)


@pytest.fixture
def resources(template: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = template["Resources"]
    return found


def test_cfn_lint_has_nothing_to_say(template: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "platforms.template.json"
    path.write_text(json.dumps(template))
    command = [str(Path(sys.executable).parent / "cfn-lint"), str(path)]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_a_job_is_made_for_the_architecture_of_its_tiers(resources: dict[str, Any]) -> None:
    (task,) = definition(resources, "CheapJob")["EcsProperties"]["TaskProperties"]
    assert task["RuntimePlatform"]["CpuArchitecture"] == "ARM64"


def test_every_kind_of_job_can_be_triggered(resources: dict[str, Any]) -> None:
    told = {
        name: resource["Properties"]["Environment"]["Variables"]
        for name, resource in resources.items()
        if resource["Type"] == "AWS::Lambda::Function"
    }
    assert len(told) == 3
    for trigger, tier, job in [
        ("Rent", "Rented", "Cheap"),
        ("Learn", "Gpu", "Train"),
        ("Solve", "Cluster", "Solve"),
    ]:
        (variables_,) = (v for n, v in told.items() if n.startswith(f"{trigger}TriggerSubmitJob"))
        assert flat(variables_["JOB_QUEUE"]).startswith(f"{{{tier}TierQueue")
        assert f"{{{job}JobDefinition" in flat(variables_["JOB_DEFINITION"])


def test_a_job_has_the_retries_of_the_tier_it_is_triggered_to_and_its_own_log_retention(
    resources: dict[str, Any],
) -> None:
    assert definition(resources, "TrainJob")["RetryStrategy"]["Attempts"] == 7
    days = {
        name.partition("JobLogGroup")[0]: resource["Properties"]["RetentionInDays"]
        for name, resource in resources.items()
        if resource["Type"] == "AWS::Logs::LogGroup" and "JobLogGroup" in name
    }
    assert days == {"Cheap": 3, "Train": 30, "Solve": 30}


def test_gpus_and_consumables_of_the_platform_reach_the_definitions(resources: dict[str, Any]) -> None:
    assert requirements(definition(resources, "TrainJob")["ContainerProperties"])["GPU"] == "1"
    (everyone,) = definition(resources, "SolveJob")["NodeProperties"]["NodeRangeProperties"]
    (seats,) = everyone["ConsumableResourceProperties"]["ConsumableResourceList"]
    assert flat(seats["ConsumableResource"]).startswith("{SeatsConsumable")
    assert seats["Quantity"] == 2
    assert variables(everyone["Container"])["OUTPUT_BUCKET"]["Ref"].startswith("StorageOutput")
