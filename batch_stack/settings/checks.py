"""Checks across the sections of the settings. A problem is a sentence that begins with the field's path."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from batch_stack.settings.base.errors import MisfitError
from batch_stack.settings.base.names import construct_id, is_name, known
from batch_stack.settings.references import unknown_names
from batch_stack.settings.retry import retry_text
from batch_stack.settings.schedules import ScheduleSettings
from batch_stack.settings.sections import Sections
from batch_stack.settings.tiers import budget_problems, compute_problems
from batch_stack.settings.triggers import TriggerSettings, check_parameters_fit


def check_all(settings: Sections) -> None:
    """Runs all checks in stages. It stops after a stage with problems, because they may cause later ones.

    Raises:
        MisfitError: there are problems; it has all problems of the first stage that finds any.
    """
    for stage in _stages():
        problems = list(dict.fromkeys(problem for check in stage for problem in check(settings)))
        if problems:
            raise MisfitError(problems)


def _stages() -> Iterable[Iterable[Callable[[Sections], Iterable[str]]]]:
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


def _check_names(settings: Sections) -> Iterator[str]:
    """Checks that names can become construct ids, and that these ids differ."""
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


def _check_dead_letters(settings: Sections) -> Iterator[str]:
    """Checks that the ids of alarms differ. A trigger's alarm has an id without a suffix, and keeps it."""
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


def _check_compute(settings: Sections) -> Iterator[str]:
    for name, tier in settings.tiers.items():
        for problem in compute_problems(tier.compute, settings.compute):
            yield f"tiers.{name}.{problem}"


def _check_zones(settings: Sections) -> Iterator[str]:
    """Checks the zones of a network in the settings. A VPC that is given in Python is checked later."""
    network = settings.network
    if "network" not in settings.model_fields_set:
        return
    if network.mode != "existing":
        problems = zone_problems(
            settings, ("network.max_azs", "must be"), zones=network.max_azs, subnets=network.max_azs
        )
    else:
        zones, subnets = len(set(network.availability_zones)), len(network.subnet_ids)
        demand = ("network.availability_zones", "must be")
        problems = zone_problems(settings, demand, zones=zones, subnets=subnets)
    yield from (f"{path} {text}" for path, text in problems)


def zone_problems(
    settings: Sections, demand: tuple[str, str], *, zones: int, subnets: int
) -> Iterator[tuple[str, str]]:
    """Checks that the network is in as many Availability Zones as its users need.

    Args:
        settings: the settings as a whole.
        demand: the path of the setting that decides the number of zones, and the words that follow it.
        zones: the number of Availability Zones that the network is in.
        subnets: the number of subnets that jobs run in.

    Returns:
        The problems: path, and the rest of the sentence.
    """
    for name, compute in settings.compute.items():
        # A placement group needs a subnet in its zone.
        if compute.required_zone is not None and compute.required_zone > subnets:
            yield (
                f"compute.{name}.placement_zone",
                f"must be between 1 and {subnets}, the number of the network's Availability Zones, got "
                f"{compute.required_zone}",
            )
    # Aurora spreads its storage over zones, and takes no subnets of a single one.
    if settings.results.database is not None and zones < 2:
        path, text = demand
        yield path, f"{text} at least 2 Availability Zones for results.database, got {zones}"


def _check_priorities(settings: Sections) -> Iterator[str]:
    """Checks that queues which share a compute environment have different priorities."""
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


def _check_jobs(settings: Sections) -> Iterator[str]:
    """Checks that each job has a tier that can run it, and enough consumable resources."""
    for name, job in settings.jobs.items():
        for index, tier in enumerate(job.tiers or []):
            yield from _check_tier(settings, name, tier, f"jobs.{name}.tiers[{index}]")
        if not settings.tiers_of(name):
            why = sorted({str(settings.incompatibility(name, tier)) for tier in settings.tiers})
            yield f"jobs.{name} must be one that a tier can run, got {' and '.join(why)}"
        for resource, quantity in job.consumable_resources.items():
            there = settings.consumable_resources.get(resource)
            nodes = job.nodes.count if job.nodes is not None else 1
            if there is not None and quantity * nodes > there.total:
                yield (
                    f"jobs.{name}.consumable_resources.{resource} must be at most {there.total // nodes}, "
                    f"because there are {there.total}{f' for {nodes} nodes' if nodes > 1 else ''}, "
                    f"got {quantity}"
                )


def _check_tier(settings: Sections, job: str, tier: str, place: str) -> Iterator[str]:
    why = settings.incompatibility(job, tier)
    if why is not None:
        allowed = [name for name in settings.tiers if settings.incompatibility(job, name) is None]
        yield f"{place} must be one of {known(allowed)}, because {why}, got {tier!r}"


def _check_triggers(settings: Sections) -> Iterator[str]:
    for name in settings.triggers:
        # One problem for each trigger: the first one often causes the others.
        yield from list(_check_trigger(settings, name))[:1]


def _check_trigger(settings: Sections, name: str) -> Iterator[str]:
    """Checks the tier, the share and the size of the options of a trigger."""
    trigger = settings.triggers[name]
    yield from _check_submission(settings, f"triggers.{name}", trigger)
    retry = settings.retry_in(trigger.job, trigger.tier)
    if retry is not None:
        text = retry_text(retry, settings.jobs[trigger.job].platform)
        try:
            check_parameters_fit(trigger.share, trigger.parameters, trigger.output_prefix, text)
        except ValueError as error:
            yield f"triggers.{name}.{error}"


def _check_schedules(settings: Sections) -> Iterator[str]:
    for name, schedule in settings.schedules.items():
        yield from list(_check_submission(settings, f"schedules.{name}", schedule))[:1]


def _check_submission(
    settings: Sections, place: str, one: TriggerSettings | ScheduleSettings
) -> Iterator[str]:
    yield from _check_tier(settings, one.job, one.tier, f"{place}.tier")
    tiers = settings.jobs[one.job].tiers
    if tiers is not None and one.tier not in tiers:
        yield f"{place}.tier must be one of jobs.{one.job}.tiers, {known(tiers)}, got {one.tier!r}"
    problem = settings.tiers[one.tier].share_problem(one.share, f"tiers.{one.tier}")
    if problem is not None:
        yield f"{place}.{problem}"


def _check_submitters(settings: Sections) -> Iterator[str]:
    """Checks that the jobs and tiers that a submitter names fit each other."""
    for name, submitter in settings.submitters.items():
        for index, job in enumerate(submitter.jobs or []):
            if not settings.tiers_for(name, job):
                yield (
                    f"submitters.{name}.jobs[{index}] must be one for submitters.{name}.tiers, got {job!r}, "
                    f"which is for {', '.join(settings.tiers_of(job))}"
                )
        tiers = submitter.tiers or settings.tiers
        if submitter.shares and all(settings.tiers[tier].fair_share is None for tier in tiers):
            yield (
                f"submitters.{name}.shares must not be given, because none of {', '.join(tiers)} has "
                f"fair_share, got {submitter.shares!r}"
            )


def _check_vcpus(settings: Sections) -> Iterator[str]:
    """Finds jobs larger than every compute environment of their tiers, which would wait until cancelled."""
    for job in settings.jobs:
        submitted = [
            problem
            for path, tier in settings.submitting_tiers(job).items()
            for problem in _check_vcpu(settings, job, [tier], f", which {path} leads to")
        ]
        yield from submitted[:1] or _check_vcpu(settings, job, settings.tiers_of(job), "")


def _check_vcpu(settings: Sections, job: str, tiers: Iterable[str], why: str) -> Iterator[str]:
    limits = {path: limit for tier in tiers for path, limit in settings.max_vcpus(tier).items()}
    if not limits:
        return
    vcpu, largest = settings.jobs[job].vcpu, max(limits.values())
    if vcpu > largest:
        yield (
            f"jobs.{job}.vcpu must be at most {largest}, the highest of {', '.join(sorted(limits))}{why}, "
            f"got {vcpu:g}"
        )


def _check_budgets(settings: Sections) -> Iterator[str]:
    """Checks that the instances of a tier with a budget have the cost tag, and belong to that tier only."""
    users: dict[str, list[str]] = {}
    for name, tier in settings.tiers.items():
        for compute in tier.compute:
            users.setdefault(compute, []).append(name)
    for name, tier in settings.tiers.items():
        if tier.budget is None:
            continue
        problems = list(budget_problems(tier.compute, settings.compute))
        yield from (f"tiers.{name}.{problem}" for problem in problems)
        for index, compute in enumerate(tier.compute):
            others = [user for user in users[compute] if user != name]
            if others and settings.compute[compute].is_budgetable:
                yield (
                    f"tiers.{name}.compute[{index}] must be used by no other tier in a tier with a budget, "
                    f"which cannot tell whose instances they are, got {compute!r}, which tiers.{others[0]} "
                    "uses: add a compute environment for each"
                )
