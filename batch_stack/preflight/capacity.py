"""Finds jobs that no instance of their compute environments can hold, and exceeded quotas."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import get_close_matches

from batch_engine.catalogue.instances import instance_types
from batch_stack.preflight.finding import Finding, error, warning
from batch_stack.preflight.instances import AGENT_MEMORY_MIB, Request, known_types, request_of, types_of_tier
from batch_stack.settings.compute.base import ComputeSettings
from batch_stack.settings.compute.instance_types import BUNDLES, efa_interfaces_of, facts_of, family_of
from batch_stack.settings.jobs import JobSettings
from batch_stack.settings.sections import Sections
from batch_stack.settings.workload import Workload

_FEW_SPOT_TYPES = 5
_MAX_QUEUES = 50
_MAX_COMPUTE_ENVIRONMENTS = 50
# A warning begins below the quotas, because they also count the resources of other stacks.
_MANY = 40


def check_capacity(workload: Workload) -> Iterator[Finding]:
    """Compares jobs with the instance types of the tiers that they may be submitted to."""
    for name, compute in workload.compute.items():
        yield from _check_types(name, compute)
        yield from _check_reclaimable(name, compute)
    for name in workload.tiers:
        yield from _check_disabled(workload, name)
    for name, job in workload.jobs.items():
        yield from _check_job(workload, name, job)
        yield from _check_gpus(workload, name, job)


def _check_types(name: str, compute: ComputeSettings) -> Iterator[Finding]:
    types = compute.instance_types
    families = {family_of(item.name) for item in instance_types()}
    for index, instance_type in enumerate(types):
        if facts_of(instance_type):
            continue
        if efa_interfaces_of(instance_type):
            yield warning(
                "unknownInstanceType",
                f"compute.{name}.instance_types[{index}]",
                "is no type whose vCPUs and memory are known here, "
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
            f"compute.{name}.instance_types[{index}]",
            "should be a type or family of the table of current ones, "
            f"got {instance_type!r}{hint}: whether jobs fit it cannot be checked, and AWS refuses types that "
            "it does not know",
        )
    if known_types(compute) == []:
        smallest = min(item.vcpus for one in types for item in facts_of(one))
        yield error(
            "maxVcpus",
            f"compute.{name}.max_vcpus",
            f"must be at least {smallest}, the vCPUs of the smallest of its "
            f"instance_types, got {compute.max_vcpus}",
        )


def _requests(job: JobSettings) -> Iterator[tuple[str, Request]]:
    yield "", request_of(job)
    for index, group in enumerate(job.nodes.groups if job.nodes else []):
        yield f"nodes.groups[{index}].", request_of(job.for_group(group))


def _check_job(workload: Workload, name: str, job: JobSettings) -> Iterator[Finding]:
    if job.platform == "fargate":
        return
    tiers = workload.tiers_of(name)
    # A named tier must be able to run the job. Of tiers that are not named, one is enough.
    named = {*(job.tiers or []), *workload.submitting_tiers(name).values()}
    for place, request in _requests(job):
        problems = {tier: _problem(workload, tier, request) for tier in tiers}
        must = [tier for tier in tiers if tier in named] or tiers
        failing = {tier: problem for tier in must if (problem := problems[tier]) is not None}
        if failing and (named or len(failing) == len(must)):
            tier, (what, allowed) = next(iter(failing.items()))
            environments = ", ".join(f"compute.{one}" for one in workload.tiers[tier].compute)
            yield error(
                "jobFits",
                f"jobs.{name}.{place}{what}",
                f"must be {allowed} to fit an instance of {environments}, which "
                f"tiers.{tier} uses{_other_way(workload, tier, request)}, "
                f"got {getattr(request, _FIELDS[what]):.10g}",
            )
        elif not failing:
            yield from _check_margin(workload, name, place, request, must)


_FIELDS = {"vcpu": "vcpus", "memory_mib": "memory_mib", "gpus": "gpus"}


def _problem(workload: Workload, tier: str, request: Request) -> tuple[str, str] | None:
    """Returns the field for which no instance of a tier is large enough, and the allowed range."""
    types = types_of_tier(workload, tier)
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


def _other_way(workload: Workload, tier: str, request: Request) -> str:
    """Returns a change of the tier that would also solve the problem."""
    largest: list[tuple[int, str, str]] = []
    gpus = 0
    for name in workload.tiers[tier].compute:
        for item in known_types(workload.compute[name], within_limit=False) or ():
            gpus = max(gpus, item.gpus)
            if request.fits(item):
                largest.append((item.vcpus, name, item.name))
    if largest:
        vcpus, name, instance_type = min(largest)
        limit = workload.compute[name].max_vcpus
        return (
            f" (or compute.{name}.max_vcpus at least {vcpus}, because {instance_type} is large enough, but "
            f"exceeds the limit of {limit})"
        )
    if request.gpus and not gpus:
        return (
            ", none of whose types has a GPU (or give it GPU types, such as g5 or g6, or take another tier)"
        )
    return ""


def _check_margin(
    workload: Workload, name: str, place: str, request: Request, tiers: Sequence[str]
) -> Iterator[Finding]:
    for tier in tiers:
        types = types_of_tier(workload, tier)
        if not types or any(request.surely_fits(item) for item in types):
            continue
        yield warning(
            "memoryMargin",
            f"jobs.{name}.{place}memory_mib",
            "leaves an instance's kernel hardly any memory on any type that "
            f"tiers.{tier} uses, got {request.memory_mib}: such a job may wait for ever. Ask for some 8 % "
            "less than the instance's memory",
        )


def _check_gpus(workload: Workload, name: str, job: JobSettings) -> Iterator[Finding]:
    requests = [request for _, request in _requests(job)]
    if job.platform == "fargate" or any(request.gpus for request in requests):
        return
    for tier in job.tiers or []:
        types = types_of_tier(workload, tier)
        if types and all(item.gpus for item in types):
            yield warning(
                "idleGpu",
                f"jobs.{name}.gpus",
                f"is 0, but tiers.{tier} has GPU instances only: they would be paid for and not be used",
            )


def _check_reclaimable(name: str, compute: ComputeSettings) -> Iterator[Finding]:
    types = known_types(compute)
    if compute.is_reclaimable and types is not None and 0 < len(types) < _FEW_SPOT_TYPES:
        yield warning(
            "fewSpotTypes",
            f"compute.{name}.instance_types",
            f"comes to {len(types)} instance types within max_vcpus: Spot "
            f"capacity of so few runs out soon. Give families, or at least {_FEW_SPOT_TYPES} types",
        )


def _check_disabled(workload: Workload, name: str) -> Iterator[Finding]:
    tier, compute = workload.tiers[name], workload.compute_of(name)
    if tier.state == "enabled" and all(one.state == "disabled" for one in compute.values()):
        yield warning(
            "disabledCompute",
            f"tiers.{name}.compute",
            f"should have one that is enabled, got {' and '.join(compute)}, disabled: "
            "its queue takes jobs, and starts none",
        )


def check_quotas(settings: Sections) -> Iterator[Finding]:
    """Compares the numbers of queues and compute environments with AWS Batch's quotas, and finds unused ones.

    https://docs.aws.amazon.com/batch/latest/userguide/service_limits.html
    """
    own = [name for name, one in settings.compute.items() if one.is_provisioned]
    for section, count, most, what in (
        ("tiers", len(settings.tiers), _MAX_QUEUES, "job queues"),
        ("compute", len(own), _MAX_COMPUTE_ENVIRONMENTS, "compute environments"),
    ):
        if count > most:
            yield error(
                "quota",
                section,
                f"must have at most {most} entries, AWS Batch's quota of {what} in a Region, got {count}",
            )
        elif count > _MANY:
            yield warning(
                "quota",
                section,
                f"has {count} entries of the {most} {what} that an account may have in a Region: "
                "other stacks' count, too",
            )
    used = {compute for tier in settings.tiers.values() for compute in tier.compute}
    for name in settings.compute:
        if name not in used and name not in settings.retired.compute:
            yield warning("unusedCompute", f"compute.{name}", "is used by no tier: nothing will run there")
