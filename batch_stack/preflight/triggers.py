"""Triggers whose jobs would not know what to work on, or would write over each other's results."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

from batch_stack.preflight.finding import Finding, warning
from batch_stack.settings import Settings

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
        for parameter in sorted(job.placeholders - {*_OWN, *trigger.parameters, *job.parameters}):
            yield warning(
                "missingParameter",
                f"triggers.{name}.parameters should have {parameter!r}, for which jobs.{trigger.job}.command "
                f"has Ref::{parameter} and jobs.{trigger.job}.parameters no default: the job would be given "
                "the placeholder as it stands",
            )
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
