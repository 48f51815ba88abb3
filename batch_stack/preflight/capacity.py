"""Jobs that no instance of their compute environments could ever hold."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import get_close_matches

from batch_engine.catalogue.instances import InstanceFacts, instance_types
from batch_stack.preflight.finding import Finding, error, warning
from batch_stack.preflight.instances import AGENT_MEMORY_MIB, Request, known_types
from batch_stack.settings.compute import ComputeEnvironmentSettings
from batch_stack.settings.instance_types import BUNDLES, efa_interfaces_of, facts_of, family_of
from batch_stack.settings.jobs import JobSettings
from batch_stack.settings.root import Settings


def check_capacity(settings: Settings) -> Iterator[Finding]:
    """Compare jobs with the instance types of the tiers they may be submitted to."""
    for name, compute in settings.compute.items():
        yield from _check_types(name, compute)
    for name, job in settings.jobs.items():
        yield from _check_nodes_type(settings, name, job)
        yield from _check_job(settings, name, job)
        yield from _check_gpus(settings, name, job)


def _check_types(name: str, compute: ComputeEnvironmentSettings) -> Iterator[Finding]:
    types: Sequence[str] = getattr(compute, "instance_types", [])
    families = {family_of(item.name) for item in instance_types()}
    for index, instance_type in enumerate(types):
        if facts_of(instance_type):
            continue
        if efa_interfaces_of(instance_type):
            yield warning(
                "unknownInstanceType",
                f"compute.{name}.instance_types[{index}] is no type whose vCPUs and memory are known here, "
                f"got {instance_type!r}: whether jobs fit it cannot be checked",
            )
            continue
        known = sorted(
            {item.name for item in instance_types()} if "." in instance_type else families | set(BUNDLES)
        )
        close = get_close_matches(instance_type, known, n=3)
        hint = f" (did you mean {' or '.join(close)}?)" if close else ""
        yield warning(
            "unknownInstanceType",
            f"compute.{name}.instance_types[{index}] should be a type or family of the table of current "
            f"ones, got {instance_type!r}{hint}: whether jobs fit it cannot be checked, and AWS refuses what "
            "it does not know either",
        )
    if known_types(compute) == []:
        smallest = min(item.vcpus for one in types for item in facts_of(one))
        yield error(
            "maxVcpus",
            f"compute.{name}.max_vcpus must be at least {smallest}, the vCPUs of the smallest of its "
            f"instance_types, got {getattr(compute, 'max_vcpus', None)}",
        )


def _check_nodes_type(settings: Settings, name: str, job: JobSettings) -> Iterator[Finding]:
    """The instance type of a multi-node job must be one that some compute environment may launch."""
    wanted = job.nodes.instance_type if job.nodes is not None else None
    if wanted is None:
        return
    offered = {tier: _types_of(settings, tier) for tier in settings.tiers_of(name)}
    if all(types and wanted not in {item.name for item in types} for types in offered.values()):
        environments = sorted({f"compute.{one}" for tier in offered for one in settings.tiers[tier].compute})
        yield error(
            "nodesType",
            f"jobs.{name}.nodes.instance_type must be an instance type of {' or '.join(environments)}, no "
            f"larger than its max_vcpus, got {wanted!r}",
        )


def _requests(job: JobSettings) -> Iterator[tuple[str, Request]]:
    yield "", Request(job.vcpu, job.memory_mib, job.gpus)
    for index, group in enumerate(job.nodes.groups if job.nodes else []):
        request = Request(
            group.vcpu if group.vcpu is not None else job.vcpu,
            group.memory_mib if group.memory_mib is not None else job.memory_mib,
            group.gpus if group.gpus is not None else job.gpus,
        )
        yield f"nodes.groups[{index}].", request


def _check_job(settings: Settings, name: str, job: JobSettings) -> Iterator[Finding]:
    if job.platform == "fargate":
        return
    tiers = settings.tiers_of(name)
    # A tier that is named must do; of those that merely could take the job one is enough.
    named = {*(job.tiers or []), *settings.led_to(name).values()}
    for place, request in _requests(job):
        problems = {tier: _problem(settings, tier, request) for tier in tiers}
        must = [tier for tier in tiers if tier in named] or tiers
        failing = {tier: problem for tier in must if (problem := problems[tier]) is not None}
        if failing and (named or len(failing) == len(must)):
            tier, (what, allowed) = next(iter(failing.items()))
            environments = ", ".join(f"compute.{one}" for one in settings.tiers[tier].compute)
            yield error(
                "jobFits",
                f"jobs.{name}.{place}{what} must be {allowed} to fit an instance of {environments}, which "
                f"tiers.{tier} uses{_other_way(settings, tier, request)}, "
                f"got {getattr(request, _FIELDS[what]):.10g}",
            )
        elif not failing:
            yield from _check_margin(settings, name, place, request, must)


_FIELDS = {"vcpu": "vcpus", "memory_mib": "memory_mib", "gpus": "gpus"}


def _types_of(settings: Settings, tier: str) -> list[InstanceFacts] | None:
    found: list[InstanceFacts] = []
    for compute in settings.tiers[tier].compute:
        types = known_types(settings.compute[compute])
        if types is None:
            return None
        found.extend(types)
    return found


def _problem(settings: Settings, tier: str, request: Request) -> tuple[str, str] | None:
    """Name the field that keeps a request from every instance of a tier, and the range that would do."""
    types = _types_of(settings, tier)
    if not types or any(request.fits(item) for item in types):
        return None
    if request.gpus > max(item.gpus for item in types):
        most = max(item.gpus for item in types)
        return "gpus", f"at most {most}" if most else "0"
    enough_gpus = [item for item in types if item.gpus >= request.gpus]
    if request.vcpus > max(item.vcpus for item in enough_gpus):
        return "vcpu", f"at most {max(item.vcpus for item in enough_gpus)}"
    enough_vcpus = [item for item in enough_gpus if item.vcpus >= request.vcpus]
    most_mib = max(item.memory_mib for item in enough_vcpus) - AGENT_MEMORY_MIB
    return "memory_mib", f"at most {most_mib} (the agent keeps {AGENT_MEMORY_MIB})"


def _other_way(settings: Settings, tier: str, request: Request) -> str:
    """What could be changed about the tier instead of the job."""
    largest: list[tuple[int, str, str]] = []
    gpus = 0
    for name in settings.tiers[tier].compute:
        for item in known_types(settings.compute[name], within_limit=False) or ():
            gpus = max(gpus, item.gpus)
            if request.fits(item):
                largest.append((item.vcpus, name, item.name))
    if largest:
        vcpus, name, instance_type = min(largest)
        limit = getattr(settings.compute[name], "max_vcpus", None)
        return (
            f" (or compute.{name}.max_vcpus at least {vcpus}, for {instance_type} would do, and is larger "
            f"than the {limit} that there may be)"
        )
    if request.gpus and not gpus:
        return (
            ", none of whose types has a GPU (or give it GPU types, such as g5 or g6, or take another tier)"
        )
    return ""


def _check_margin(
    settings: Settings, name: str, place: str, request: Request, tiers: Sequence[str]
) -> Iterator[Finding]:
    for tier in tiers:
        types = _types_of(settings, tier)
        if not types or any(request.surely_fits(item) for item in types):
            continue
        yield warning(
            "memoryMargin",
            f"jobs.{name}.{place}memory_mib leaves an instance's kernel hardly any memory on any type that "
            f"tiers.{tier} uses, got {request.memory_mib}: such a job may wait for ever. Ask for some 8 % "
            "less than the instance's memory",
        )


def _check_gpus(settings: Settings, name: str, job: JobSettings) -> Iterator[Finding]:
    requests = [request for _, request in _requests(job)]
    if job.platform == "fargate" or any(request.gpus for request in requests):
        return
    for tier in job.tiers or []:
        types = _types_of(settings, tier)
        if types and all(item.gpus for item in types):
            yield warning(
                "idleGpu",
                f"jobs.{name}.gpus is 0, but tiers.{tier} has GPU instances only: they would be paid for "
                "and not be used",
            )
