"""Findings say where they are, and are acknowledged by it."""

import pytest

from batch_stack.preflight.finding import Finding, error, warning
from batch_stack.preflight.preflight import preflight
from batch_stack.settings.root import Settings


def test_a_finding_has_its_path_and_a_sentence_that_begins_with_it() -> None:
    found = warning("fewSpotTypes", "compute.spot.instance_types[2]", "comes to 2 types")
    assert found == Finding(
        "warning",
        "fewSpotTypes",
        "compute.spot.instance_types[2]",
        "compute.spot.instance_types[2] comes to 2 types",
    )
    assert error("quota", "tiers", "must have at most 50 entries").level == "error"


@pytest.mark.parametrize(
    ("path", "section", "acknowledged_by"),
    [
        ("tiers", "tiers", "batch-stack:c:tiers"),
        ("tiers.a.retry", "tiers", "batch-stack:c:tiers.a.retry"),
        ("tiers.a.rules[0].on", "tiers", "batch-stack:c:tiers.a.rules.0.on"),
    ],
)
def test_an_id_has_no_brackets(path: str, section: str, acknowledged_by: str) -> None:
    found = warning("c", path, "text")
    assert (found.section, found.id) == (section, acknowledged_by)


def test_errors_come_first_and_each_names_a_setting() -> None:
    settings = Settings.model_validate(
        {
            "compute": {
                "few": {"type": "spot", "instance_types": ["m6i.large"]},
                "idle": {"type": "fargate"},
            },
            "tiers": {"t": {"priority": 1, "compute": ["few"], "retry": {"attempts": 1}}},
            "jobs": {
                "j": {"image": "busybox:1", "gpus": 1, "array_size": 3},
                "k": {"image": "busybox:1", "environment": {"A": "x" * 25_000}},
            },
        }
    )
    findings = preflight(settings)
    assert [(one.level, one.check, one.path) for one in findings] == [
        ("error", "jobFits", "jobs.j.gpus"),
        ("error", "definitionSize", "jobs.k"),
        ("warning", "unusedCompute", "compute.idle"),
        ("warning", "fewSpotTypes", "compute.few.instance_types"),
        ("warning", "arraySize", "jobs.j.array_size"),
    ]
    assert all(one.message.startswith(f"{one.path} ") for one in findings)
