"""What submits jobs, and would leave them without their object or write over each other's results."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

from batch_stack.preflight.finding import Finding, warning
from batch_stack.settings.root import Settings

_OWN = ("input", "output")
"""What a trigger itself sets."""


def check_triggers(settings: Settings) -> Iterator[Finding]:
    """Compare what triggers hand to jobs with what the jobs' commands take, and triggers with each other.

    https://docs.aws.amazon.com/batch/latest/userguide/job_definition_parameters.html
    """
    for name, trigger in settings.triggers.items():
        job = settings.jobs[trigger.job]
        if "input" not in job.placeholders:
            yield warning(
                "triggerInput",
                f"triggers.{name}.job should have Ref::input in its command, which nothing else tells the "
                f"object's address, got {trigger.job!r}",
            )
        yield from _missing(settings, f"triggers.{name}", trigger.job, {*_OWN, *trigger.parameters})
    for name, schedule in settings.schedules.items():
        yield from _missing(settings, f"schedules.{name}", schedule.job, set(schedule.parameters))
    for (first, one), (name, other) in combinations(settings.triggers.items(), 2):
        if one.output_prefix != other.output_prefix:
            continue
        if one.prefix.startswith(other.prefix) or other.prefix.startswith(one.prefix):
            yield warning(
                "sameResults",
                f"triggers.{name}.output_prefix should differ from triggers.{first}.output_prefix: objects "
                f"under {max(one.prefix, other.prefix, key=len)!r} are for both, whose jobs write over each "
                f"other's results, got {other.output_prefix!r} for both",
            )


def _missing(settings: Settings, place: str, job: str, given: set[str]) -> Iterator[Finding]:
    for parameter in sorted(settings.jobs[job].placeholders - given - set(settings.jobs[job].parameters)):
        yield warning(
            "missingParameter",
            f"{place}.parameters should have {parameter!r}, for which jobs.{job}.command has "
            f"Ref::{parameter} and jobs.{job}.parameters no default: the job would be given the "
            "placeholder as it stands",
        )
