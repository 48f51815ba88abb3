"""What must hold across the sections of the settings; a check raises ValueError with the field's path."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from batch_stack.settings.base.errors import MisfitError
from batch_stack.settings.base.names import construct_id, is_name, known
from batch_stack.settings.references import unknown_names
from batch_stack.settings.retry import retry_text
from batch_stack.settings.submitters import check_submitters
from batch_stack.settings.tiers import COUNTED_BY_BUDGETS
from batch_stack.settings.triggers import check_parameters_fit

if TYPE_CHECKING:
    from batch_stack.settings.root import Settings
    from batch_stack.settings.schedules import ScheduleSettings
    from batch_stack.settings.triggers import TriggerSettings


def check_all(settings: Settings) -> None:
    """Run all checks, in stages: what one of them finds would only confuse the next.

    Raises:
        MisfitError: something does not hold; it has all of the first stage that found something.
    """
    for stage in _stages():
        problems = list(dict.fromkeys(problem for check in stage for problem in check(settings)))
        if problems:
            raise MisfitError(problems)


def _stages() -> Iterable[Iterable[Callable[[Settings], Iterable[str]]]]:
    return (
        (_check_names, _check_dead_letters),
        (unknown_names,),
        (_check_compute,),
        (
            _check_zones,
            _check_priorities,
            _check_jobs,
            _check_triggers,
            _check_schedules,
            _check_submitters,
            _check_budgets,
        ),
        (_check_vcpus,),
    )


def _check_names(settings: Settings) -> Iterator[str]:
    """Names become construct ids, and must still differ then."""
    sections: dict[str, Iterable[str]] = {
        "compute": settings.compute,
        "consumable_resources": settings.consumable_resources,
        "tiers": settings.tiers,
        "jobs": settings.jobs,
        "triggers": settings.triggers,
        "schedules": settings.schedules,
        "submitters": settings.submitters,
    }
    if settings.storage.file_system is not None:
        sections["storage.file_system.access_points"] = settings.storage.file_system.access_points
    for section, names in sections.items():
        owners: dict[str, str] = {}
        for name in names:
            if not is_name(name):
                yield (
                    f"{section} must have names of lower-case letters, digits and single hyphens or "
                    f"underscores, beginning with a letter, at most 40 characters, got {name!r}"
                )
                continue
            other = owners.setdefault(construct_id(name), name)
            if other != name:
                yield (
                    f"{section} must have names that differ in more than hyphens and underscores, "
                    f"got {other!r} and {name!r}: both become {construct_id(name)}"
                )


def _check_dead_letters(settings: Settings) -> Iterator[str]:
    """Names of alarms, whose ids must stay as they are: one of a trigger has the trigger's name alone."""
    owners = {construct_id(f"{name}-schedule"): f"schedules.{name}" for name in settings.schedules}
    for name, tier in settings.tiers.items():
        if tier.budget is not None and tier.budget.on_exceeded == "disable_queue":
            owners.setdefault(construct_id(f"{name}-budget"), f"tiers.{name}.budget")
    if settings.messaging.work_queue:
        owners.setdefault("WorkQueue", "messaging.work_queue")
    for name in settings.triggers:
        other = owners.get(construct_id(name))
        if other is not None:
            yield (
                f"triggers.{name} must have another name beside {other}, got {name!r}: the alarms of their "
                f"dead-letter queues would both become {construct_id(name)}DeadLetterAlarm"
            )


def _check_compute(settings: Settings) -> Iterator[str]:
    """A queue needs compute environments that exist, of one platform and one architecture."""
    for tier, tier_settings in settings.tiers.items():
        for index, name in enumerate(tier_settings.compute):
            place = f"tiers.{tier}.compute[{index}]"
            if name in tier_settings.compute[:index]:
                yield f"{place} must differ from those before it, got {name!r} again"
                continue
            first, this = settings.compute[tier_settings.compute[0]], settings.compute[name]
            for quality, own, wanted in (
                ("platform", this.platform_capability, first.platform_capability),
                ("architecture", this.architecture, first.architecture),
            ):
                if own != wanted:
                    yield (
                        f"{place} must have the {quality} {wanted} like {tier_settings.compute[0]}, "
                        f"got {name!r}, which has {own}: a queue takes one {quality} only"
                    )


def _check_zones(settings: Settings) -> Iterator[str]:
    """Of a network that is said here; without one the VPC may be given in Python, and is looked at later."""
    network = settings.network
    if "network" not in settings.model_fields_set:
        return
    if network.mode != "existing":
        yield from check_zones(
            settings, "network.max_azs must be", zones=network.max_azs, subnets=network.max_azs
        )
    else:
        zones, subnets = len(set(network.availability_zones)), len(network.subnet_ids)
        yield from check_zones(settings, "network.availability_zones must be", zones=zones, subnets=subnets)


def check_zones(settings: Settings, demand: str, *, zones: int, subnets: int) -> Iterator[str]:
    """Make sure that the network is in as many Availability Zones as its users need.

    Args:
        settings: the settings as a whole.
        demand: what has to have more, as the problem begins.
        zones: in how many the network is.
        subnets: how many subnets jobs run in.

    Returns:
        The problems, each beginning with its path.
    """
    for name, compute in settings.compute.items():
        # A placement group needs a subnet in its zone.
        if compute.type == "on_demand" and compute.placement_group and compute.placement_zone > subnets:
            yield (
                f"compute.{name}.placement_zone must be between 1 and {subnets}, the number of the network's "
                f"Availability Zones, got {compute.placement_zone}"
            )
    # Aurora spreads its storage over zones, and takes no subnets of a single one.
    if settings.results.database is not None and zones < 2:
        yield f"{demand} at least 2 Availability Zones for results.database, got {zones}"


def _check_priorities(settings: Settings) -> Iterator[str]:
    """Queues that share a compute environment need an order among them."""
    places: dict[tuple[str, int], str] = {}
    for name, tier in settings.tiers.items():
        for compute in tier.compute:
            other = places.setdefault((compute, tier.priority), name)
            if other != name:
                yield (
                    f"tiers.{name}.priority must differ from tiers.{other}.priority, because both use "
                    f"compute.{compute}, got {tier.priority} for both"
                )
                break


def _check_jobs(settings: Settings) -> Iterator[str]:
    """A job needs a tier that can run it, and enough of what it uses."""
    for name, job in settings.jobs.items():
        for index, tier in enumerate(job.tiers or []):
            yield from _check_platform(settings, name, tier, f"jobs.{name}.tiers[{index}]")
        if not settings.tiers_of(name):
            why = sorted({str(settings.why_not(name, tier)) for tier in settings.tiers})
            yield f"jobs.{name} must be one that a tier can run, got {' and '.join(why)}"
        for resource, quantity in job.consumable_resources.items():
            there = settings.consumable_resources.get(resource)
            nodes = job.nodes.count if job.nodes is not None else 1
            if there is not None and quantity * nodes > there.total:
                yield (
                    f"jobs.{name}.consumable_resources.{resource} must be at most {there.total // nodes}, "
                    f"for there are {there.total}{f' for {nodes} nodes' if nodes > 1 else ''}, got {quantity}"
                )


def _check_platform(settings: Settings, job: str, tier: str, place: str) -> Iterator[str]:
    why = settings.why_not(job, tier)
    if why is not None:
        allowed = [name for name in settings.tiers if settings.why_not(job, name) is None]
        yield f"{place} must be one of {known(allowed)}, because {why}, got {tier!r}"


def _check_triggers(settings: Settings) -> Iterator[str]:
    for name in settings.triggers:
        # What one trigger lacks is said at once of all triggers, and not twice of one.
        yield from list(_check_trigger(settings, name))[:1]


def _check_trigger(settings: Settings, name: str) -> Iterator[str]:
    """A trigger needs a queue that runs its job, a share where shares are, and room for what it is told."""
    trigger = settings.triggers[name]
    yield from _check_submission(settings, f"triggers.{name}", trigger)
    retry = settings.retry_in(trigger.job, trigger.tier)
    if retry is not None:
        text = retry_text(retry, settings.jobs[trigger.job].platform)
        try:
            check_parameters_fit(trigger.share, trigger.parameters, trigger.output_prefix, text)
        except ValueError as error:
            yield f"triggers.{name}.{error}"


def _check_schedules(settings: Settings) -> Iterator[str]:
    for name, schedule in settings.schedules.items():
        yield from list(_check_submission(settings, f"schedules.{name}", schedule))[:1]


def _check_submission(
    settings: Settings, place: str, one: TriggerSettings | ScheduleSettings
) -> Iterator[str]:
    yield from _check_platform(settings, one.job, one.tier, f"{place}.tier")
    tiers = settings.jobs[one.job].tiers
    if tiers is not None and one.tier not in tiers:
        yield f"{place}.tier must be one of jobs.{one.job}.tiers, {known(tiers)}, got {one.tier!r}"
    fair_share = settings.tiers[one.tier].fair_share
    if (one.share is None) != (fair_share is None):
        needed = "be given" if one.share is None else "not be given"
        has = "has" if fair_share is not None else "has no"
        yield f"{place}.share must {needed}, because tiers.{one.tier} {has} fair_share"


def _check_submitters(settings: Settings) -> Iterator[str]:
    try:
        check_submitters(settings)
    except ValueError as error:
        yield str(error)


def _check_vcpus(settings: Settings) -> Iterator[str]:
    """A job larger than every compute environment it may run in would wait until it is cancelled."""
    for job in settings.jobs:
        led_to = [
            problem
            for path, tier in settings.led_to(job).items()
            for problem in _check_vcpu(settings, job, [tier], f", which {path} leads to")
        ]
        yield from led_to[:1] or _check_vcpu(settings, job, settings.tiers_of(job), "")


def _check_vcpu(settings: Settings, job: str, tiers: Iterable[str], why: str) -> Iterator[str]:
    limits = {path: limit for tier in tiers for path, limit in settings.max_vcpus(tier).items()}
    if not limits:
        return
    vcpu, largest = settings.jobs[job].vcpu, max(limits.values())
    if vcpu > largest:
        yield (
            f"jobs.{job}.vcpu must be at most {largest}, the highest of {', '.join(sorted(limits))}{why}, "
            f"got {vcpu:g}"
        )


def _check_budgets(settings: Settings) -> Iterator[str]:
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
            if kind not in COUNTED_BY_BUDGETS:
                yield (
                    f"{place} must be of type spot or on_demand in a tier with a budget, which counts "
                    "instances and volumes by a tag of their launch template, got "
                    f"{compute!r}, which is {kind}"
                )
                continue
            others = [user for user in users[compute] if user != name]
            if others:
                yield (
                    f"{place} must be used by no other tier in a tier with a budget, which cannot tell whose "
                    f"instances they are, got {compute!r}, which tiers.{others[0]} uses: add a compute "
                    "environment for each"
                )
