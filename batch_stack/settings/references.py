"""Checks that names in the settings refer to entries that exist."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from batch_stack.settings.base.names import did_you_mean, known
from batch_stack.settings.sections import Sections
from batch_stack.settings.services import SETTING_OF


def unknown_names(settings: Sections) -> Iterator[str]:
    """Finds names that refer to no entry. A problem has the path of the name and the known names."""
    for tier, one in settings.tiers.items():
        for index, name in enumerate(one.compute):
            yield from _unknown(f"tiers.{tier}.compute[{index}]", name, settings.compute)
    for job in settings.jobs:
        yield from _of_job(settings, job)
    for name, trigger in settings.triggers.items():
        yield from _unknown(f"triggers.{name}.job", trigger.job, settings.jobs, "the jobs ")
        yield from _unknown(f"triggers.{name}.tier", trigger.tier, settings.tiers)
    for name, schedule in settings.schedules.items():
        yield from _unknown(f"schedules.{name}.job", schedule.job, settings.jobs, "the jobs ")
        yield from _unknown(f"schedules.{name}.tier", schedule.tier, settings.tiers)
    for name, submitter in settings.submitters.items():
        for index, job in enumerate(submitter.jobs or []):
            yield from _unknown(f"submitters.{name}.jobs[{index}]", job, settings.jobs)
        for index, tier in enumerate(submitter.tiers or []):
            yield from _unknown(f"submitters.{name}.tiers[{index}]", tier, settings.tiers)


def _unknown(place: str, name: str, names: Collection[str], kind: str = "") -> Iterator[str]:
    if name not in names:
        yield f"{place} must be one of {kind}{known(names)}, got {name!r}{did_you_mean(name, names)}"


def _of_job(settings: Sections, name: str) -> Iterator[str]:
    job = settings.jobs[name]
    for index, tier in enumerate(job.tiers or []):
        yield from _unknown(f"jobs.{name}.tiers[{index}]", tier, settings.tiers)
    services = settings.services
    for index, service in enumerate(job.uses):
        if service not in services:
            yield (
                f"jobs.{name}.uses[{index}] must be one of {known(services)}, which the platform has, got "
                f"{service!r}, which {SETTING_OF[service]} would add"
            )
    file_system = settings.storage.file_system
    access_points = file_system.access_points if file_system is not None else {}
    for problem in (
        *job.unknown_consumable_resources(settings.consumable_resources),
        *job.unknown_access_points(access_points),
    ):
        yield f"jobs.{name}.{problem}"
