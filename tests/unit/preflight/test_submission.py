"""What triggers hand to jobs, and what two triggers on the same objects do."""

from typing import Any

import pytest

from batch_stack.preflight.preflight import preflight
from batch_stack.settings.root import Settings

JOB = {"image": "busybox:1.37", "command": ["work", "Ref::input"]}


def _warnings(job: dict[str, Any], **triggers: dict[str, Any]) -> list[str]:
    content = {"jobs": {"j": job}, "triggers": {name: {"job": "j", **one} for name, one in triggers.items()}}
    return [one.message for one in preflight(Settings.model_validate(content)) if one.level == "warning"]


def test_a_job_that_is_not_told_its_object_is_warned_of() -> None:
    assert _warnings(JOB, t={}) == []
    for command in ([], ["work", "Ref::output"]):
        assert _warnings({**JOB, "command": command}, t={}) == [
            "triggers.t.job should have Ref::input in its command, because nothing else passes the object's "
            "address to it, got 'j'"
        ]


def test_a_placeholder_that_nobody_fills_in_is_warned_of() -> None:
    job = {**JOB, "command": ["work", "Ref::input", "--size=Ref::size", "Ref::output"]}
    assert _warnings(job, t={}) == [
        "triggers.t.parameters should have 'size', for which jobs.j.command has Ref::size and "
        "jobs.j.parameters no default: the job would get the placeholder itself"
    ]
    assert _warnings(job, t={"parameters": {"size": "9"}}) == []
    assert _warnings({**job, "parameters": {"size": "9"}}, t={}) == []
    # Whoever submits by hand gives it by hand.
    assert _warnings(job) == []


def test_nothing_fills_in_the_placeholders_of_a_schedules_job_but_the_schedule() -> None:
    def found(**schedule: Any) -> list[str]:
        clock = {"job": "j", "expression": "rate(1 day)", **schedule}
        content = {"jobs": {"j": JOB}, "schedules": {"s": clock}}
        return [one.message for one in preflight(Settings.model_validate(content))]

    (message,) = found()
    assert message.startswith("schedules.s.parameters should have 'input', for which jobs.j.command has ")
    assert found(parameters={"input": "s3://films/list"}) == []


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ({}, {}, ""),
        ({"prefix": "a/"}, {"prefix": "a/b/"}, "a/b/"),
        ({"prefix": "a/"}, {}, "a/"),
        ({"prefix": "a/"}, {"prefix": "b/"}, None),
        ({"prefix": "a/"}, {"prefix": "a/", "output_prefix": "two/"}, None),
        ({"output_prefix": "two/"}, {"output_prefix": "two/"}, ""),
    ],
)
def test_two_triggers_that_write_the_same_keys_are_warned_of(
    first: dict[str, Any], second: dict[str, Any], same: str | None
) -> None:
    warnings = _warnings(JOB, one=first, two=second)
    if same is None:
        assert warnings == []
    else:
        given = second.get("output_prefix", "")
        assert warnings == [
            "triggers.two.output_prefix should differ from triggers.one.output_prefix: objects under "
            f"{same!r} are for both, whose jobs write over each other's results, got {given!r} for both"
        ]
