"""What must hold across the sections of the settings; a check raises ValueError with the field's path."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

from batch_stack.settings.retry import retry_text
from batch_stack.settings.services import SETTING_OF, services_of
from batch_stack.settings.submitters import check_submitters
from batch_stack.settings.trigger_options import check_parameters_fit

if TYPE_CHECKING:
    from batch_stack.settings.root import Settings

_CONSUMABLE_ARN = re.compile(r"arn:[a-z-]+:batch:[a-z0-9-]+:\d{12}:consumable-resource/[^\s/]+")
_CONSTRUCT_NAME = re.compile(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*")


def check_all(settings: Settings) -> None:
    """Run all checks; the first that does not hold raises."""
    _check_names(settings)
    _check_compute(settings)
    _check_placement_zones(settings)
    _check_priorities(settings)
    _check_jobs(settings)
    _check_triggers(settings)
    check_submitters(settings)
    _check_vcpus(settings)
    _check_budgets(settings)
    _check_database(settings)


def construct_id(name: str) -> str:
    """The part of a construct's id that a name in the settings becomes: `my-job` is `MyJob`."""
    return "".join(part.capitalize() for part in re.split("[-_]", name))


def _check_names(settings: Settings) -> None:
    """Names become construct ids, and must still differ then."""
    sections: dict[str, Iterable[str]] = {
        "compute": settings.compute,
        "consumable_resources": settings.consumable_resources,
        "tiers": settings.tiers,
        "jobs": settings.jobs,
        "triggers": settings.triggers,
        "submitters": settings.submitters,
    }
    if settings.storage.file_system is not None:
        sections["storage.file_system.access_points"] = settings.storage.file_system.access_points
    for section, names in sections.items():
        owners: dict[str, str] = {}
        for name in names:
            if len(name) > 40 or not _CONSTRUCT_NAME.fullmatch(name):
                raise ValueError(
                    f"{section} must have names of lower-case letters, digits and single hyphens or "
                    f"underscores, beginning with a letter, at most 40 characters, got {name!r}"
                )
            other = owners.setdefault(construct_id(name), name)
            if other != name:
                raise ValueError(
                    f"{section} must have names that differ in more than hyphens and underscores, "
                    f"got {other!r} and {name!r}: both become {construct_id(name)}"
                )


def _known(names: Collection[str]) -> str:
    return ", ".join(names) or "(none defined)"


def _check_compute(settings: Settings) -> None:
    """A queue needs compute environments that exist, of one platform and one architecture."""
    for tier, tier_settings in settings.tiers.items():
        for index, name in enumerate(tier_settings.compute):
            place = f"tiers.{tier}.compute[{index}]"
            if name not in settings.compute:
                raise ValueError(f"{place} must be one of {_known(settings.compute)}, got {name!r}")
            if name in tier_settings.compute[:index]:
                raise ValueError(f"{place} must differ from those before it, got {name!r} again")
            first, this = settings.compute[tier_settings.compute[0]], settings.compute[name]
            for quality in ("platform", "architecture"):
                if getattr(this, quality) != getattr(first, quality):
                    raise ValueError(
                        f"{place} must have the {quality} {getattr(first, quality)} like "
                        f"{tier_settings.compute[0]}, got {name!r}, which has {getattr(this, quality)}: "
                        f"a queue takes one {quality} only"
                    )


def _check_placement_zones(settings: Settings) -> None:
    """A placement group needs a subnet in its Availability Zone."""
    network = settings.network
    zones = len(network.availability_zones) if network.mode == "existing" else network.max_azs
    for name, compute in settings.compute.items():
        if compute.type == "on_demand" and compute.placement_group and compute.placement_zone > zones:
            raise ValueError(
                f"compute.{name}.placement_zone must be between 1 and {zones}, the number of the network's "
                f"Availability Zones, got {compute.placement_zone}"
            )


def _check_priorities(settings: Settings) -> None:
    """Queues that share a compute environment need an order among them."""
    places: dict[tuple[str, int], str] = {}
    for name, tier in settings.tiers.items():
        for compute in tier.compute:
            other = places.setdefault((compute, tier.priority), name)
            if other != name:
                raise ValueError(
                    f"tiers.{name}.priority must differ from tiers.{other}.priority, because both use "
                    f"compute.{compute}, got {tier.priority} for both"
                )


def _check_jobs(settings: Settings) -> None:
    """What a job names must exist."""
    file_system = settings.storage.file_system
    for name, job in settings.jobs.items():
        for tier in job.tiers or []:
            if tier not in settings.tiers:
                raise ValueError(f"jobs.{name}.tiers must be of {_known(settings.tiers)}, got {tier!r}")
            _check_platform(settings, name, tier, f"jobs.{name}.tiers")
        _check_uses(settings, name)
        if not settings.tiers_of(name):
            why = sorted({str(settings.why_not(name, tier)) for tier in settings.tiers})
            raise ValueError(f"jobs.{name} must be one that a tier can run, got {' and '.join(why)}")
        for resource, quantity in job.consumable_resources.items():
            known = settings.consumable_resources.get(resource)
            nodes = job.nodes.count if job.nodes is not None else 1
            if known is not None and quantity * nodes > known.total:
                raise ValueError(
                    f"jobs.{name}.consumable_resources.{resource} must be at most {known.total // nodes}, "
                    f"for there are {known.total}{f' for {nodes} nodes' if nodes > 1 else ''}, got {quantity}"
                )
            if resource not in settings.consumable_resources and not _CONSUMABLE_ARN.fullmatch(resource):
                raise ValueError(
                    f"jobs.{name}.consumable_resources must be of {_known(settings.consumable_resources)} "
                    f"or ARNs, got {resource!r}"
                )
        for volume_name, volume in job.volumes.items():
            if volume.type != "efs" or volume.file_system_id is not None:
                continue
            access_points = file_system.access_points if file_system is not None else {}
            if volume.access_point not in access_points:
                raise ValueError(
                    f"jobs.{name}.volumes.{volume_name}.access_point must be one of "
                    f"storage.file_system.access_points, {_known(access_points)}, got {volume.access_point!r}"
                )


def _check_uses(settings: Settings, job: str) -> None:
    known = services_of(settings)
    for index, service in enumerate(settings.jobs[job].uses):
        if service not in known:
            raise ValueError(
                f"jobs.{job}.uses[{index}] must be one of {_known(known)}, which the platform has, got "
                f"{service!r}, which {SETTING_OF[service]} would add"
            )


def _check_platform(settings: Settings, job: str, tier: str, place: str) -> None:
    why = settings.why_not(job, tier)
    if why is not None:
        allowed = [name for name in settings.tiers if settings.why_not(job, name) is None]
        raise ValueError(f"{place} must be of {_known(allowed)}, because {why}, got {tier!r}")


def _check_triggers(settings: Settings) -> None:
    """A trigger needs a job that exists and a queue of the job's platform."""
    for name, trigger in settings.triggers.items():
        if trigger.job not in settings.jobs:
            raise ValueError(
                f"triggers.{name}.job must be one of the jobs {_known(settings.jobs)}, got {trigger.job!r}"
            )
        place = f"triggers.{name}.tier"
        if trigger.tier not in settings.tiers:
            raise ValueError(f"{place} must be one of {_known(settings.tiers)}, got {trigger.tier!r}")
        _check_platform(settings, trigger.job, trigger.tier, place)
        tiers = settings.jobs[trigger.job].tiers
        if tiers is not None and trigger.tier not in tiers:
            raise ValueError(
                f"{place} must be one of jobs.{trigger.job}.tiers, {_known(tiers)}, got {trigger.tier!r}"
            )
        fair_share = settings.tiers[trigger.tier].fair_share
        if (trigger.share is None) != (fair_share is None):
            needed = "be given" if trigger.share is None else "not be given"
            has = "has" if fair_share is not None else "has no"
            raise ValueError(
                f"triggers.{name}.share must {needed}, because tiers.{trigger.tier} {has} fair_share"
            )
        retry = settings.retry_in(trigger.job, trigger.tier)
        if retry is not None:
            text = retry_text(retry, settings.jobs[trigger.job].platform)
            try:
                check_parameters_fit(trigger.share, trigger.parameters, trigger.output_prefix, text)
            except ValueError as error:
                raise ValueError(f"triggers.{name}.{error}") from None


def _check_vcpus(settings: Settings) -> None:
    """A job larger than every compute environment it may run in would wait until it is cancelled."""
    for name, trigger in settings.triggers.items():
        _check_vcpu(settings, trigger.job, [trigger.tier], f", which triggers.{name}.tier leads to")
    for job in settings.jobs:
        _check_vcpu(settings, job, settings.tiers_of(job), "")


def _check_vcpu(settings: Settings, job: str, tiers: Iterable[str], why: str) -> None:
    limits = {path: limit for tier in tiers for path, limit in settings.max_vcpus(tier).items()}
    if not limits:
        return
    vcpu, largest = settings.jobs[job].vcpu, max(limits.values())
    if vcpu > largest:
        raise ValueError(
            f"jobs.{job}.vcpu must be at most {largest}, the highest of {', '.join(sorted(limits))}{why}, "
            f"got {vcpu:g}"
        )


def _check_budgets(settings: Settings) -> None:
    """A budget counts what instances cost, by their tags: they must be ours, and of one tier only."""
    users: dict[str, list[str]] = {}
    for name, tier in settings.tiers.items():
        for compute in tier.compute:
            users.setdefault(compute, []).append(name)
    for name, tier in settings.tiers.items():
        if tier.budget is None:
            continue
        for index, compute in enumerate(tier.compute):
            place, kind = f"tiers.{name}.compute[{index}]", settings.compute[compute].type
            if kind not in ("spot", "on_demand"):
                raise ValueError(
                    f"{place} must be of type spot or on_demand in a tier with a budget, which counts EC2 "
                    f"instances by a tag of their launch template, got {compute!r}, which is {kind}"
                )
            others = [user for user in users[compute] if user != name]
            if others:
                raise ValueError(
                    f"{place} must be used by no other tier in a tier with a budget, which cannot tell whose "
                    f"instances they are, got {compute!r}, which tiers.{others[0]} uses: add a compute "
                    "environment for each"
                )


def _check_database(settings: Settings) -> None:
    """Aurora spreads its storage over Availability Zones, and takes no subnets of a single one."""
    network = settings.network
    zones = network.max_azs if network.mode != "existing" else len(set(network.availability_zones))
    if settings.results.database is not None and zones < 2:
        path = "network.max_azs" if network.mode != "existing" else "network.availability_zones"
        raise ValueError(f"{path} must be at least 2 Availability Zones for results.database, got {zones}")
