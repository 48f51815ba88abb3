"""Settings that work, but hardly as they were meant."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator

from batch_stack.preflight.finding import Finding, error, warning
from batch_stack.preflight.instances import known_types
from batch_stack.settings.compute import ComputeEnvironmentSettings
from batch_stack.settings.ec2_compute import OnDemandSettings, SpotSettings
from batch_stack.settings.root import Settings
from batch_stack.settings.services import SETTING_OF, DataService, services_of, users_of

_HANDED_OVER: dict[str, DataService] = {"input": "input_bucket", "output": "output_bucket"}
_FEW_SPOT_TYPES = 5
_FARGATE_S = 14 * 24 * 3600
_CONTAINER_SOCKETS = ("/docker.sock", "/containerd.sock")


def check_use(settings: Settings) -> Iterator[Finding]:
    """Check what is provisioned against what uses it."""
    if not settings.jobs:
        yield warning(
            "noJobs", "jobs is empty: there are queues, and nothing that could be submitted to them"
        )
    yield from _check_multi_node(settings)
    yield from _check_spot(settings)
    yield from _check_scheduling_priorities(settings)
    yield from _check_host_volumes(settings)
    yield from _check_services(settings)
    yield from _check_parameters(settings)
    yield from _check_arrays(settings)
    yield from _check_fargate_timeouts(settings)
    for name, trigger in settings.triggers.items():
        if trigger.prefix.startswith("/"):
            yield warning(
                "prefix",
                f"triggers.{name}.prefix should not begin with a slash, as keys of S3 objects do not, got "
                f"{trigger.prefix!r}",
            )
    used = {compute for tier in settings.tiers.values() for compute in tier.compute}
    for name in settings.compute:
        if name not in used and name not in settings.retired.compute:
            yield warning("unusedCompute", f"compute.{name} is used by no tier: nothing will run there")


def _check_services(settings: Settings) -> Iterator[Finding]:
    """Services that nothing may use, and what triggers hand to jobs that may not use it."""
    for service in services_of(settings):
        if service in SETTING_OF and not users_of(settings, service):
            existing = service == "scratch_bucket" and settings.storage.scratch_bucket is not None
            place = "storage.scratch_bucket" if existing else SETTING_OF[service]
            yield warning(
                "unusedService",
                f"{place} has no job that may use it: name {service} in jobs.<name>.uses",
            )
    for name, trigger in settings.triggers.items():
        job = settings.jobs[trigger.job]
        for parameter, service in _HANDED_OVER.items():
            if service not in job.uses and parameter in job.placeholders:
                yield warning(
                    "triggerUses",
                    f"triggers.{name}.job should be one whose uses has {service}, because its command has "
                    f"Ref::{parameter}, an address in that bucket, got {trigger.job!r}, which uses "
                    f"{', '.join(job.uses) or 'nothing'}",
                )


def _check_parameters(settings: Settings) -> Iterator[Finding]:
    """https://docs.aws.amazon.com/batch/latest/userguide/job_definition_parameters.html."""
    given = {f"jobs.{name}": (name, job.parameters) for name, job in settings.jobs.items()}
    given |= {f"triggers.{name}": (one.job, one.parameters) for name, one in settings.triggers.items()}
    given |= {f"schedules.{name}": (one.job, one.parameters) for name, one in settings.schedules.items()}
    for place, (job, parameters) in given.items():
        for name, value in parameters.items():
            if name not in settings.jobs[job].placeholders:
                yield warning(
                    "unusedParameter",
                    f"{place}.parameters.{name} has no effect, because jobs.{job}.command has no "
                    f"Ref::{name}, got {value!r}",
                )


def _check_arrays(settings: Settings) -> Iterator[Finding]:
    for name, job in settings.jobs.items():
        if job.array_size is not None and not settings.led_to(name):
            yield warning(
                "arraySize",
                f"jobs.{name}.array_size has no effect, because no trigger and no schedule submits the "
                f"job, got {job.array_size}: a job definition has no array size, whoever submits it gives "
                f"--array-properties size={job.array_size}",
            )


def _check_fargate_timeouts(settings: Settings) -> Iterator[Finding]:
    """https://docs.aws.amazon.com/batch/latest/userguide/job_timeouts.html."""
    for name, job in settings.jobs.items():
        if job.platform == "fargate" and job.timeout_s > _FARGATE_S:
            yield warning(
                "fargateTimeout",
                f"jobs.{name}.timeout_s should be at most {_FARGATE_S} on fargate, which may end a job after "
                f"14 days, got {job.timeout_s}",
            )


def _check_multi_node(settings: Settings) -> Iterator[Finding]:
    for name, job in settings.jobs.items():
        if job.nodes is None:
            continue
        vcpus = sum(job.node_vcpus)
        most = {
            tier: max(settings.max_vcpus(tier).values(), default=None) for tier in settings.tiers_of(name)
        }
        if all(limit is not None and vcpus > limit for limit in most.values()):
            limit = max(limit for limit in most.values() if limit is not None)
            yield error(
                "multiNode",
                f"jobs.{name}.nodes must ask for at most {limit} vCPUs in all, for all nodes run at once on "
                f"one compute environment of {', '.join(most)}, got {vcpus:g}",
            )
        yield from _check_nodes_meet(settings, name)


def _check_nodes_meet(settings: Settings, name: str) -> Iterator[Finding]:
    """Nodes have a security group that admits nobody, and one for each other only with a placement group."""
    apart = {
        tier: [one for one in settings.tiers[tier].compute if not _lets_nodes_meet(settings.compute[one])]
        for tier in settings.tiers_of(name)
    }
    named = settings.jobs[name].tiers is not None
    if any(apart.values()) if named else all(apart.values()):
        first = next(one for environments in apart.values() for one in environments)
        yield warning(
            "nodesApart",
            f"jobs.{name}.nodes cannot connect to each other on compute.{first}, whose instances admit no "
            f"connection: set compute.{first}.placement_group to true, or name tiers that have such compute "
            f"in jobs.{name}.tiers",
        )


def _lets_nodes_meet(compute: ComputeEnvironmentSettings) -> bool:
    return not isinstance(compute, OnDemandSettings) or compute.placement_group


def _check_spot(settings: Settings) -> Iterator[Finding]:
    for name, compute in settings.compute.items():
        types = known_types(compute)
        if isinstance(compute, SpotSettings) and types is not None and 0 < len(types) < _FEW_SPOT_TYPES:
            yield warning(
                "fewSpotTypes",
                f"compute.{name}.instance_types comes to {len(types)} instance types within max_vcpus: Spot "
                f"capacity of so few runs out soon. Give families, or at least {_FEW_SPOT_TYPES} types",
            )


def _check_scheduling_priorities(settings: Settings) -> Iterator[Finding]:
    """https://docs.aws.amazon.com/batch/latest/userguide/job_scheduling.html."""
    for name, job in settings.jobs.items():
        tiers = settings.tiers_of(name)
        shared = any(settings.tiers[tier].fair_share is not None for tier in tiers)
        if job.scheduling_priority is not None and not shared:
            yield warning(
                "schedulingPriority",
                f"jobs.{name}.scheduling_priority has no effect without fair_share, which none of "
                f"{', '.join(f'tiers.{tier}' for tier in tiers)} has, got {job.scheduling_priority}",
            )


def _check_host_volumes(settings: Settings) -> Iterator[Finding]:
    """Volumes with which a job has all that its instance has: other jobs, and the instance's role."""
    for name, job in settings.jobs.items():
        for volume_name, volume in job.volumes.items():
            if volume.type != "host":
                continue
            path = posixpath.normpath(volume.host_path).replace("//", "/")
            if path == "/" or path.endswith(_CONTAINER_SOCKETS):
                yield warning(
                    "hostVolume",
                    f"jobs.{name}.volumes.{volume_name}.host_path gives the job its whole instance, with the "
                    f"files of other jobs and the instance's role, got {volume.host_path!r}: name the folder "
                    "that it needs",
                )
