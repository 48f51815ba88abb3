"""Finds triggers and schedules whose jobs would lack parameters, permissions or an enabled queue."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

from batch_stack.preflight.finding import Finding, error, warning
from batch_stack.settings.sections import Sections
from batch_stack.settings.services import SETTING_OF, DataService
from batch_stack.settings.triggers import overlap

_HANDED_OVER: dict[str, DataService] = {"input": "input_bucket", "output": "output_bucket"}
"""The parameters that a trigger sets, and the buckets of the addresses in them."""


def check_submission(settings: Sections) -> Iterator[Finding]:
    """Compares triggers and schedules with the jobs, the tiers and the buckets."""
    if not settings.jobs:
        yield warning(
            "noJobs", "jobs", "is empty: there are queues, and nothing that could be submitted to them"
        )
    yield from _check_disabled(settings)
    yield from _check_buckets(settings)
    yield from _check_triggers(settings)
    yield from _check_services(settings)
    yield from _check_arrays(settings)


def _check_disabled(settings: Sections) -> Iterator[Finding]:
    """Finds disabled tiers that a trigger or a schedule still uses.

    https://docs.aws.amazon.com/batch/latest/APIReference/API_UpdateJobQueue.html
    """
    for name, trigger in settings.triggers.items():
        if settings.tiers[trigger.tier].state == "disabled":
            yield warning(
                "disabledTier",
                f"triggers.{name}.tier",
                f"should be one that is enabled, got {trigger.tier!r}, whose queue "
                "takes no jobs: events of new objects end in the trigger's dead-letter queue after two hours",
            )
    for name, schedule in settings.schedules.items():
        if settings.tiers[schedule.tier].state == "disabled" and schedule.state == "enabled":
            yield warning(
                "disabledTier",
                f"schedules.{name}.tier",
                f"should be one that is enabled, got {schedule.tier!r}, whose queue "
                "takes no jobs: requests end in the schedule's dead-letter queue",
            )


def _check_buckets(settings: Sections) -> Iterator[Finding]:
    """Checks that triggers get the events of objects, and that results of their jobs do not become input."""
    storage = settings.storage
    if storage.input_bucket is None:
        return
    name = storage.input_bucket.name
    if settings.triggers:
        yield warning(
            "eventBridge",
            "storage.input_bucket",
            "must send its events to Amazon EventBridge, because triggers."
            f"{next(iter(settings.triggers))} gets no events otherwise, and the platform does not change the "
            f"bucket, got {name!r}: add EventBridgeConfiguration to the notification configuration that "
            "`aws s3api get-bucket-notification-configuration` shows",
        )
    if storage.output_bucket is None or storage.output_bucket.name != name:
        return
    for trigger_name, trigger in settings.triggers.items():
        output, prefix = trigger.output_prefix, trigger.prefix
        if overlap(prefix, output):
            yield error(
                "ownResults",
                f"triggers.{trigger_name}.output_prefix",
                f"must not overlap triggers.{trigger_name}.prefix, "
                f"which is {prefix!r}, because storage.input_bucket and output_bucket are one, and each "
                f"result would become a job again, got {output!r}",
            )


def _check_triggers(settings: Sections) -> Iterator[Finding]:
    """Compares the parameters of triggers with the commands of their jobs, and triggers with each other.

    https://docs.aws.amazon.com/batch/latest/userguide/job_definition_parameters.html
    """
    for name, trigger in settings.triggers.items():
        job = settings.jobs[trigger.job]
        if "input" not in job.placeholders:
            yield warning(
                "triggerInput",
                f"triggers.{name}.job",
                "should have Ref::input in its command, because nothing else passes the object's address to "
                f"it, got {trigger.job!r}",
            )
        yield from _missing(settings, f"triggers.{name}", trigger.job, {*_HANDED_OVER, *trigger.parameters})
    for name, schedule in settings.schedules.items():
        yield from _missing(settings, f"schedules.{name}", schedule.job, set(schedule.parameters))
    for (first, one), (name, other) in combinations(settings.triggers.items(), 2):
        if one.output_prefix != other.output_prefix:
            continue
        if one.prefix.startswith(other.prefix) or other.prefix.startswith(one.prefix):
            yield warning(
                "sameResults",
                f"triggers.{name}.output_prefix",
                f"should differ from triggers.{first}.output_prefix: objects "
                f"under {max(one.prefix, other.prefix, key=len)!r} are for both, whose jobs write over each "
                f"other's results, got {other.output_prefix!r} for both",
            )
    for name, trigger in settings.triggers.items():
        if trigger.prefix.startswith("/"):
            yield warning(
                "prefix",
                f"triggers.{name}.prefix",
                f"should not begin with a slash, as keys of S3 objects do not, got {trigger.prefix!r}",
            )


def _missing(settings: Sections, place: str, job: str, given: set[str]) -> Iterator[Finding]:
    for parameter in sorted(settings.jobs[job].placeholders - given - set(settings.jobs[job].parameters)):
        yield warning(
            "missingParameter",
            f"{place}.parameters",
            f"should have {parameter!r}, for which jobs.{job}.command has "
            f"Ref::{parameter} and jobs.{job}.parameters no default: the job would get the "
            "placeholder itself",
        )


def _check_services(settings: Sections) -> Iterator[Finding]:
    """Finds data services that no job may use, and jobs that may not use the buckets of their trigger."""
    for service in settings.services:
        if service in SETTING_OF and not settings.users_of(service):
            existing = service == "scratch_bucket" and settings.storage.scratch_bucket is not None
            place = "storage.scratch_bucket" if existing else SETTING_OF[service]
            yield warning(
                "unusedService",
                place,
                f"has no job that may use it: name {service} in jobs.<name>.uses",
            )
    for name, trigger in settings.triggers.items():
        job = settings.jobs[trigger.job]
        for parameter, service in _HANDED_OVER.items():
            if service not in job.uses and parameter in job.placeholders:
                yield warning(
                    "triggerUses",
                    f"triggers.{name}.job",
                    f"should be one whose uses has {service}, because its command has "
                    f"Ref::{parameter}, an address in that bucket, got {trigger.job!r}, which uses "
                    f"{', '.join(job.uses) or 'nothing'}",
                )


def _check_arrays(settings: Sections) -> Iterator[Finding]:
    for name, job in settings.jobs.items():
        if job.array_size is not None and not settings.submitting_tiers(name):
            yield warning(
                "arraySize",
                f"jobs.{name}.array_size",
                "has no effect, because no trigger and no schedule submits the "
                f"job, got {job.array_size}: a job definition has no array size, pass "
                f"--array-properties size={job.array_size}",
            )
