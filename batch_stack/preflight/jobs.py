"""Finds settings of jobs that are allowed, but probably do not do what was intended."""

from __future__ import annotations

import json
import math
import posixpath
from collections.abc import Iterator

from batch_stack.preflight.finding import Finding, error, warning
from batch_stack.settings.jobs import JobSettings
from batch_stack.settings.volumes import SCRATCH
from batch_stack.settings.workload import Workload

_ROOT = ("root", "0")
_SECONDS_PER_MINUTE = 60
_MOST_MINUTES = 7200
_FARGATE_S = 14 * 24 * 3600
_CONTAINER_SOCKETS = ("/docker.sock", "/containerd.sock")
_MAX_DEFINITION_BYTES = 24 * 1024


def check_jobs(workload: Workload) -> Iterator[Finding]:
    """Compares job definitions with the tiers and compute environments of their jobs."""
    yield from _check_parameters(workload)
    for name, job in workload.jobs.items():
        yield from _check_definition(name, job)
        yield from _check_update(workload, name, job)
        yield from _check_scratch(name, job)
        yield from _check_scheduling_priority(workload, name, job)
        yield from _check_host_volumes(name, job)
        yield from _check_fargate_timeout(name, job)


def _check_parameters(workload: Workload) -> Iterator[Finding]:
    """Finds parameters that the job's command does not use.

    https://docs.aws.amazon.com/batch/latest/userguide/job_definition_parameters.html
    """
    given = {f"jobs.{name}": (name, job.parameters) for name, job in workload.jobs.items()}
    given |= {f"triggers.{name}": (one.job, one.parameters) for name, one in workload.triggers.items()}
    given |= {f"schedules.{name}": (one.job, one.parameters) for name, one in workload.schedules.items()}
    for place, (job, parameters) in given.items():
        for name, value in parameters.items():
            if name not in workload.jobs[job].placeholders:
                yield warning(
                    "unusedParameter",
                    f"{place}.parameters.{name}",
                    f"has no effect, because jobs.{job}.command has no Ref::{name}, got {value!r}",
                )


def _check_definition(name: str, job: JobSettings) -> Iterator[Finding]:
    """Checks the size of the job definition.

    https://docs.aws.amazon.com/batch/latest/userguide/service_limits.html
    """
    # Each node of a multi-node job has a container, and variables, of its own.
    containers = 1 + len(job.nodes.groups if job.nodes is not None else [])
    shared = [*job.environment.items(), *job.command]
    size = containers * len(json.dumps(shared).encode()) + len(json.dumps(job.parameters).encode())
    if size > _MAX_DEFINITION_BYTES:
        yield error(
            "definitionSize",
            f"jobs.{name}",
            f"must have environment, command and parameters of at most {_MAX_DEFINITION_BYTES} bytes "
            f"together, AWS Batch's quota of a job definition, got {size}: put long values into an object, "
            "a parameter or a secret",
        )


def _check_update(workload: Workload, name: str, job: JobSettings) -> Iterator[Finding]:
    """Compares the timeout of a job with the time that an update of its compute environments leaves it.

    https://docs.aws.amazon.com/batch/latest/APIReference/API_UpdatePolicy.html
    """
    needed = min(math.ceil(job.timeout_s / _SECONDS_PER_MINUTE), _MOST_MINUTES)
    used = {one for tier in workload.tiers_of(name) for one in workload.tiers[tier].compute}
    short = {
        compute: one.update_grace_minutes
        for compute, one in workload.compute.items()
        if compute in used and one.update_grace_minutes is not None and one.update_grace_minutes < needed
    }
    if short:
        least, minutes = next(iter(short.items()))
        yield warning(
            "updateTimeout",
            f"jobs.{name}.timeout_s",
            f"is longer than an edit of {' and '.join(f'compute.{one}' for one in short)} lets jobs run on: "
            f"such a job may be ended after {minutes} minutes and begin again. Set "
            f"compute.{least}.update_timeout_minutes to {needed}, got {minutes}, for a timeout of "
            f"{job.timeout_s} s",
        )


def _check_scratch(name: str, job: JobSettings) -> Iterator[Finding]:
    """Finds users who may be unable to write to /scratch: only root can, unless the image has the folder.

    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/bind-mounts.html
    """
    user = (job.user or "root").partition(":")[0]
    # The author of a folder's Dockerfile can prepare /scratch.
    if user in _ROOT or job.folder is not None or not job.read_only_root:
        return
    if any(volume.path.rstrip("/") == SCRATCH for volume in job.volumes.values()):
        return
    remedy = "" if job.platform == "fargate" else f", or mount a volume of type tmpfs at {SCRATCH}"
    yield warning(
        "scratchOwner",
        f"jobs.{name}.user",
        f"can write to {SCRATCH}, the only writable folder, only if the image has it as a VOLUME that "
        f"this user may write to, got {job.user!r}: check the image (docs/workers.md){remedy}",
    )


def _check_scheduling_priority(workload: Workload, name: str, job: JobSettings) -> Iterator[Finding]:
    """Finds a scheduling priority in tiers without fair share.

    https://docs.aws.amazon.com/batch/latest/userguide/job_scheduling.html
    """
    tiers = workload.tiers_of(name)
    shared = any(workload.tiers[tier].fair_share is not None for tier in tiers)
    if job.scheduling_priority is not None and not shared:
        yield warning(
            "schedulingPriority",
            f"jobs.{name}.scheduling_priority",
            "has no effect without fair_share, which none of "
            f"{', '.join(f'tiers.{tier}' for tier in tiers)} has, got {job.scheduling_priority}",
        )


def _check_host_volumes(name: str, job: JobSettings) -> Iterator[Finding]:
    """Finds volumes that give a job its whole instance: the files of other jobs, and the instance's role."""
    for volume_name, volume in job.volumes.items():
        if volume.type != "host":
            continue
        path = posixpath.normpath(volume.host_path).replace("//", "/")
        if path == "/" or path.endswith(_CONTAINER_SOCKETS):
            yield warning(
                "hostVolume",
                f"jobs.{name}.volumes.{volume_name}.host_path",
                "gives the job its whole instance, with the "
                f"files of other jobs and the instance's role, got {volume.host_path!r}: name the folder "
                "that it needs",
            )


def _check_fargate_timeout(name: str, job: JobSettings) -> Iterator[Finding]:
    """Finds timeouts that are longer than Fargate guarantees.

    https://docs.aws.amazon.com/batch/latest/userguide/job_timeouts.html
    """
    if job.platform == "fargate" and job.timeout_s > _FARGATE_S:
        yield warning(
            "fargateTimeout",
            f"jobs.{name}.timeout_s",
            f"should be at most {_FARGATE_S} on fargate, which may end a job after "
            f"14 days, got {job.timeout_s}",
        )
