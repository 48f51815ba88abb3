"""Checks at synthesis of what edits would do to jobs that run."""

from typing import Any

import pytest

from batch_stack.preflight.finding import Finding
from batch_stack.preflight.preflight import preflight
from batch_stack.settings.root import Settings

IMAGE = "public.ecr.aws/docker/library/busybox:1"


def _findings(timeout_s: int | None, **compute: dict[str, Any]) -> list[Finding]:
    job = {"image": IMAGE, "tiers": ["t"], **({"timeout_s": timeout_s} if timeout_s else {})}
    if any(one["type"].startswith("fargate") for one in compute.values()):
        job |= {"platform": "fargate", "vcpu": 1, "memory_mib": 2048}
    content = {
        "compute": compute,
        "tiers": {"t": {"priority": 1, "compute": list(compute)}},
        "jobs": {"j": job},
    }
    return preflight(Settings.model_validate(content))


def test_a_job_that_outlasts_an_edit_of_its_compute_environments_is_warned_of() -> None:
    (finding,) = _findings(
        7201,
        spot={"type": "spot"},
        long={"type": "on_demand", "update_timeout_minutes": 121},
        short={"type": "on_demand", "update_timeout_minutes": 120},
    )
    assert (finding.level, finding.check) == ("warning", "updateTimeout")
    assert finding.message == (
        "jobs.j.timeout_s is longer than an edit of compute.spot and compute.short lets jobs run on: such a "
        "job may be ended after 60 minutes and begin again. Set compute.spot.update_timeout_minutes to 121, "
        "got 60, for a timeout of 7201 s"
    )


@pytest.mark.parametrize(
    ("timeout_s", "compute"),
    [
        (None, {"type": "spot"}),
        (7200, {"type": "on_demand", "update_timeout_minutes": 120}),
        (864_000, {"type": "on_demand", "update_timeout_minutes": 7200}),
        (86400, {"type": "fargate"}),
        (86400, {"type": "unmanaged"}),
    ],
    ids=["defaults", "just as long", "as long as AWS allows", "no instances", "not ours"],
)
def test_a_job_that_an_edit_does_not_end_is_left_in_peace(
    timeout_s: int | None, compute: dict[str, Any]
) -> None:
    assert _findings(timeout_s, c=compute) == []
