"""What must hold across the sections of the settings; a check raises ValueError with the field's path."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from batch_stack.settings import QueueName, Settings

_CONSTRUCT_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


def construct_id(name: str) -> str:
    """The part of a construct's id that a name in the settings becomes: `my-job` is `MyJob`."""
    return "".join(part.capitalize() for part in name.split("-"))


def check_names(settings: Settings) -> None:
    """Names of jobs and triggers become construct ids, and must still differ then."""
    for section, names in (("jobs", settings.jobs), ("triggers", settings.triggers)):
        owners: dict[str, str] = {}
        for name in names:
            if len(name) > 40 or not _CONSTRUCT_NAME.fullmatch(name):
                raise ValueError(
                    f"{section} must have names of lower-case letters, digits and single hyphens, "
                    f"beginning with a letter, at most 40 characters, got {name!r}"
                )
            other = owners.setdefault(construct_id(name), name)
            if other != name:
                raise ValueError(
                    f"{section} must have names that differ in more than a hyphen before a digit, "
                    f"got {other!r} and {name!r}: both become {construct_id(name)}"
                )


def check_priorities(settings: Settings) -> None:
    """Queues that share a compute environment need an order among them."""
    places: dict[int, str] = {}
    for place, queue in (
        ("tiers.critical", settings.tiers.critical),
        ("tiers.standard", settings.tiers.standard),
        ("tiers.bulk", settings.tiers.bulk),
        ("fargate_queue", settings.fargate_queue),
    ):
        if queue.priority in places:
            raise ValueError(
                f"{place}.priority must differ from {places[queue.priority]}.priority, "
                f"got {queue.priority} for both"
            )
        places[queue.priority] = place


def check_triggers(settings: Settings) -> None:
    """A trigger needs a job that exists and a queue of the job's platform."""
    for name, trigger in settings.triggers.items():
        if trigger.job not in settings.jobs:
            known = ", ".join(settings.jobs) or "(none defined)"
            raise ValueError(f"triggers.{name}.job must be one of the jobs {known}, got {trigger.job!r}")
        platform = settings.jobs[trigger.job].platform
        if (trigger.tier == "fargate") != (platform == "fargate"):
            allowed = "fargate" if platform == "fargate" else "critical, standard or bulk"
            raise ValueError(
                f"triggers.{name}.tier must be {allowed}, because jobs.{trigger.job}.platform is "
                f"{platform}, got {trigger.tier!r}"
            )


def check_vcpus(settings: Settings) -> None:
    """A job larger than every compute environment it may run in would wait until it is cancelled."""
    for name, trigger in settings.triggers.items():
        _check_vcpu(settings, trigger.job, [trigger.tier], f", which triggers.{name}.tier leads to")
    for job, job_settings in settings.jobs.items():
        _check_vcpu(settings, job, settings.queues_for(job_settings.platform), "")


def _check_vcpu(settings: Settings, job: str, queues: Iterable[QueueName], why: str) -> None:
    limits = {path: limit for queue in queues for path, limit in settings.max_vcpus(queue).items()}
    vcpu, largest = settings.jobs[job].vcpu, max(limits.values())
    if vcpu > largest:
        raise ValueError(
            f"jobs.{job}.vcpu must be at most {largest}, the highest of {', '.join(sorted(limits))}{why}, "
            f"got {vcpu:g}"
        )
