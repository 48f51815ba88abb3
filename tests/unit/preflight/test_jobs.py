"""Checks at synthesis of settings that have no effect, or more effect than meant."""

from typing import Any

import pytest

from batch_stack.preflight.finding import Finding
from batch_stack.preflight.preflight import preflight
from batch_stack.settings.root import Settings

IMAGE = "public.ecr.aws/docker/library/busybox:1"
FAIR = {"shares": {"a": 1.0}}


def _findings(
    job: dict[str, Any], sections: dict[str, Any] | None = None, **tiers: dict[str, Any]
) -> list[Finding]:
    content = {
        **(sections or {}),
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


@pytest.mark.parametrize(
    ("sections", "path", "service"),
    [
        ({"storage": {"scratch_expiry_days": 3}}, "storage.scratch_expiry_days", "scratch_bucket"),
        ({"results": {"job_table": True}}, "results.job_table", "job_table"),
        ({"results": {"database": {}}}, "results.database", "database"),
        ({"messaging": {"event_bus": True}}, "messaging.event_bus", "event_bus"),
        ({"messaging": {"work_queue": True}}, "messaging.work_queue", "work_queue"),
    ],
)
def test_a_service_that_no_job_uses_is_warned_of(sections: dict[str, Any], path: str, service: str) -> None:
    (finding,) = _findings({}, sections, t={})
    assert (finding.level, finding.check) == ("warning", "unusedService")
    assert finding.message == f"{path} has no job that may use it: name {service} in jobs.<name>.uses"
    assert _findings({"uses": [service]}, sections, t={}) == []


@pytest.mark.parametrize(
    ("uses", "missing"),
    [(["input_bucket"], ["output"]), (["output_bucket"], ["input"]), ([], ["input", "output"])],
)
def test_a_trigger_hands_its_job_no_address_that_it_may_not_use(uses: list[str], missing: list[str]) -> None:
    triggers = {"triggers": {"x": {"job": "j", "tier": "t"}}}
    command = {"command": ["run", "--in=Ref::input", "Ref::output"]}
    found = _findings({**command, "uses": uses}, triggers, t={})
    assert [(one.level, one.check) for one in found] == [("warning", "triggerUses")] * len(missing)
    for finding, name in zip(found, missing, strict=True):
        assert finding.message == (
            f"triggers.x.job should be one whose uses has {name}_bucket, because its command has "
            f"Ref::{name}, an address in that bucket, got 'j', which uses {', '.join(uses) or 'nothing'}"
        )
    assert _findings(command, triggers, t={}) == []
    other = _findings({"command": ["run", "Ref::other"], "uses": uses}, triggers, t={})
    assert "triggerUses" not in {one.check for one in other}
    assert _findings({**command, "uses": uses}, t={}) == []


def test_parameters_that_no_command_has_are_warned_of() -> None:
    job = {
        "command": ["run", "--quality=Ref::quality"],
        "parameters": {"quality": "high", "depth": "3"},
        "nodes": {"count": 2, "groups": [{"nodes": "1", "command": ["lead", "Ref::lead"]}]},
    }
    triggers = {"triggers": {"x": {"job": "j", "tier": "t", "parameters": {"lead": "1", "mode": "fast"}}}}
    found = _findings(job, triggers, t={})
    assert [(one.level, one.message) for one in found if one.check == "unusedParameter"] == [
        (
            "warning",
            "jobs.j.parameters.depth has no effect, because jobs.j.command has no Ref::depth, got '3'",
        ),
        (
            "warning",
            "triggers.x.parameters.mode has no effect, because jobs.j.command has no Ref::mode, got 'fast'",
        ),
    ]


def test_an_array_that_no_trigger_submits_is_warned_of() -> None:
    (finding,) = _findings({"array_size": 40}, t={})
    assert (finding.level, finding.check) == ("warning", "arraySize")
    assert finding.message == (
        "jobs.j.array_size has no effect, because no trigger and no schedule submits the job, got 40: a "
        "job definition has no array size, pass --array-properties size=40"
    )
    triggered = {"array_size": 40, "command": ["run", "Ref::input"]}
    assert _findings(triggered, {"triggers": {"x": {"job": "j", "tier": "t"}}}, t={}) == []


def test_a_timeout_that_fargate_may_not_keep_is_warned_of() -> None:
    def found(**job: Any) -> list[Finding]:
        content = {
            "compute": {"c": {"type": "fargate"}, "e": {"type": "on_demand"}},
            "tiers": {"t": {"priority": 1, "compute": ["c"]}, "u": {"priority": 1, "compute": ["e"]}},
            "jobs": {"j": {"image": IMAGE, **job}},
        }
        findings = preflight(Settings.model_validate(content))
        return [one for one in findings if one.check == "fargateTimeout"]

    (finding,) = found(platform="fargate", timeout_s=1_209_601)
    assert finding.level == "warning"
    assert finding.message == (
        "jobs.j.timeout_s should be at most 1209600 on fargate, which may end a job after 14 days, got "
        "1209601"
    )
    assert found(platform="fargate", timeout_s=1_209_600) == []
    assert found(platform="ec2", timeout_s=1_209_601) == []
