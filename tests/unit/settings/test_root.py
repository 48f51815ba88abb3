"""Defaults and what is derived from settings."""

import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from batch_stack.settings.compute.kinds import ManagedInstancesSettings
from batch_stack.settings.jobs import JobSettings
from batch_stack.settings.root import Settings

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize(
    ("instance_type", "architecture"),
    [
        ("m5", "x86_64"),
        ("g4dn.xlarge", "x86_64"),
        ("g6e.2xlarge", "x86_64"),
        ("gr6.4xlarge", "x86_64"),
        ("p4d.24xlarge", "x86_64"),
        ("c6gn.16xlarge", "arm64"),
        ("g5g", "arm64"),
        ("im4gn.large", "arm64"),
        ("x2gd", "arm64"),
        ("t4g.micro", "arm64"),
        ("a1.large", "arm64"),
        ("default_x86_64", "x86_64"),
        ("default_arm64", "arm64"),
    ],
)
def test_the_architecture_is_read_from_the_instance_type(instance_type: str, architecture: str) -> None:
    settings = ManagedInstancesSettings.model_construct(instance_types=[instance_type])
    assert settings.architecture == architecture


def test_the_compute_environments_and_tiers_are_those_that_are_given() -> None:
    settings = Settings.model_validate(
        {
            "compute": {"cheap": {"type": "spot", "max_vcpus": 8}},
            "tiers": {"only": {"priority": 7, "compute": ["cheap"]}},
        }
    )
    assert list(settings.compute) == ["cheap"]
    assert list(settings.tiers) == ["only"]
    assert settings.compute["cheap"].instance_types == Settings().compute["spot"].instance_types


@pytest.mark.parametrize(
    ("vcpu", "memory_mib"),
    [(0.25, 512), (0.5, 4096), (1, 2048), (2, 16384), (4, 30720), (8, 61440), (16, 32768), (32, 249856)],
)
def test_every_size_of_fargate_is_accepted(vcpu: float, memory_mib: int) -> None:
    job = JobSettings(folder="f", platform="fargate", vcpu=vcpu, memory_mib=memory_mib)
    assert job.memory_mib == memory_mib


def test_settings_cannot_be_changed_after_they_were_checked() -> None:
    settings = Settings()
    with pytest.raises(ValidationError, match="frozen"):
        settings.name = "other"  # type: ignore[misc]


def test_reading_settings_does_not_load_the_cdk() -> None:
    script = "import sys; from batch_stack import load_settings; print('aws_cdk' in sys.modules)"
    command = [sys.executable, "-c", script]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    assert result.stdout.strip() == "False"


@pytest.mark.parametrize(
    ("vcpu", "tier"), [(64, "critical"), (96, "standard"), (128, "standard"), (128, "bulk"), (128, None)]
)
def test_a_job_may_be_as_large_as_the_largest_environment_of_its_tier(vcpu: int, tier: str | None) -> None:
    triggers = {"t": {"job": "big", "tier": tier}} if tier else {}
    settings = Settings.model_validate(
        {"jobs": {"big": {"folder": "media", "vcpu": vcpu}}, "triggers": triggers}
    )
    assert settings.jobs["big"].vcpu == vcpu


def test_names_that_stay_apart_are_allowed() -> None:
    names = ["a-b", "ab", "a1", "b-1"]
    settings = Settings.model_validate({"jobs": {name: {"folder": "media"} for name in names}})
    assert list(settings.jobs) == names
