"""Checks at synthesis of settings that have no effect, or more effect than meant."""

from typing import Any

import pytest

from batch_stack.preflight import Finding, preflight
from batch_stack.settings import Settings

IMAGE = "public.ecr.aws/docker/library/busybox:1"
FAIR = {"shares": {"a": 1.0}}


def _findings(job: dict[str, Any], **tiers: dict[str, Any]) -> list[Finding]:
    content = {
        "compute": {"c": {"type": "on_demand"}},
        "tiers": {
            name: {"priority": order, "compute": ["c"], **tier}
            for order, (name, tier) in enumerate(tiers.items(), start=1)
        },
        "jobs": {"j": {"image": IMAGE, **job}},
    }
    return preflight(Settings.model_validate(content))


def test_a_scheduling_priority_that_no_tier_heeds_is_warned_of() -> None:
    (finding,) = _findings({"scheduling_priority": 7}, t={}, u={})
    assert (finding.level, finding.check) == ("warning", "schedulingPriority")
    assert finding.message == (
        "jobs.j.scheduling_priority has no effect without fair_share, which none of tiers.t, tiers.u has, "
        "got 7"
    )
    assert _findings({"scheduling_priority": 7}, t={}, u={"fair_share": FAIR}) == []
    (finding,) = _findings({"scheduling_priority": 7, "tiers": ["t"]}, t={}, u={"fair_share": FAIR})
    assert finding.check == "schedulingPriority"


@pytest.mark.parametrize(
    "path", ["/", "//", "/mnt/..", "/var/run/docker.sock", "/run/containerd/containerd.sock"]
)
def test_a_volume_that_is_the_whole_instance_is_warned_of(path: str) -> None:
    volume = {"type": "host", "path": "/host", "host_path": path}
    (finding,) = _findings({"volumes": {"v": volume}}, t={})
    assert (finding.level, finding.check) == ("warning", "hostVolume")
    assert finding.message == (
        "jobs.j.volumes.v.host_path gives the job its whole instance, with the files of other jobs and the "
        f"instance's role, got {path!r}: name the folder that it needs"
    )
    assert _findings({"volumes": {"v": {**volume, "host_path": "/mnt/docker.sock.d"}}}, t={}) == []
