"""Names in the settings that stand for something elsewhere in them: it must be there."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING

from batch_stack.settings.base.names import did_you_mean, known
from batch_stack.settings.services import SETTING_OF, services_of

if TYPE_CHECKING:
    from batch_stack.settings.root import Settings

_CONSUMABLE_ARN = re.compile(r"arn:[a-z-]+:batch:[a-z0-9-]+:\d{12}:consumable-resource/[^\s/]+")


def unknown_names(settings: Settings) -> Iterator[str]:
    """Say of each name that is not there where it stands, and what there is."""
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


def _of_job(settings: Settings, name: str) -> Iterator[str]:
    job = settings.jobs[name]
    for index, tier in enumerate(job.tiers or []):
        yield from _unknown(f"jobs.{name}.tiers[{index}]", tier, settings.tiers)
    services = services_of(settings)
    for index, service in enumerate(job.uses):
        if service not in services:
            yield (
                f"jobs.{name}.uses[{index}] must be one of {known(services)}, which the platform has, got "
                f"{service!r}, which {SETTING_OF[service]} would add"
            )
    resources = settings.consumable_resources
    for resource in job.consumable_resources:
        if resource not in resources and not _CONSUMABLE_ARN.fullmatch(resource):
            yield (
                f"jobs.{name}.consumable_resources must name one of {known(resources)}, or an ARN, got "
                f"{resource!r}{did_you_mean(resource, resources)}"
            )
    file_system = settings.storage.file_system
    access_points = file_system.access_points if file_system is not None else {}
    for volume_name, volume in job.volumes.items():
        if volume.type == "efs" and volume.file_system_id is None:
            yield from _unknown(
                f"jobs.{name}.volumes.{volume_name}.access_point",
                volume.access_point,
                access_points,
                "storage.file_system.access_points, ",
            )
