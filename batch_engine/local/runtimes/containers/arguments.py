"""Turns a job into the command line that creates its container; it runs nothing.

https://docs.aws.amazon.com/batch/latest/APIReference/API_ContainerProperties.html
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from batch_engine.core.model.jobs import Job
from batch_engine.core.model.resources import Platform
from batch_engine.local.base.assembly_images import ImageAsset
from batch_engine.local.base.launch import Places, StartError, missing_asset, refuse_unusable, volume_source

MIN_MEMORY_MIB = 6
"""The least that container engines accept; the ECS agent raises smaller values to it."""
MAX_CPU_SHARES = 262_144
"""The most that the kernel accepts."""
JOB_LABEL = "batch-stack.job"
EFA_DEVICES = "/dev/infiniband/"
_PERMISSIONS = {"READ": "r", "WRITE": "w", "MKNOD": "m"}


@dataclass(frozen=True, slots=True)
class ContainerLaunch:
    """Everything that creates and starts a container.

    Args:
        key: the job's id and the attempt's number.
        name: the container's name.
        image: the image that the job names.
        asset: the image's asset; None if the assembly has none.
        options: the options of ``create``, without the environment.
        command: the arguments behind the image.
        variables: the environment.
        volumes: the volumes that are created for the container and removed with it.
        scratch: a folder of its own for files that prepare it.
        log: the file that receives its output.
        has_credentials: whether the job has ``repositoryCredentials``.
    """

    key: tuple[str, int]
    name: str
    image: str
    asset: ImageAsset | None
    options: tuple[str, ...]
    command: tuple[str, ...]
    variables: Mapping[str, str]
    volumes: tuple[str, ...]
    scratch: str
    log: str
    has_credentials: bool = False


def container_launch(
    job: Job,
    asset: ImageAsset | None,
    variables: Mapping[str, str],
    places: Places,
    *,
    dialect: str,
    host_vcpus: float,
) -> ContainerLaunch:
    """Returns everything that creates and starts a job's container.

    Args:
        job: the job, after its placement.
        asset: the asset of its image; None if the assembly has none.
        variables: its environment.
        places: the places of its files.
        dialect: ``docker``, ``podman`` or ``nerdctl``: the options that the command line understands.
        host_vcpus: the vCPUs that all jobs together may use.

    Raises:
        StartError: containers on this machine cannot have the resources that the job asks for.
    """
    if asset is None and (text := missing_asset(job)) is not None:
        raise StartError(text)
    refuse_unusable(job.container, variables)
    _refuse(job)
    name = "batch-stack-" + re.sub(r"[^A-Za-z0-9_.-]", "-", job.id) + f"-{job.attempt.number}"
    mounts, volumes = _mounts(job.container, places, name)
    options = [
        *("--name", name),
        *("--label", f"{JOB_LABEL}={job.id}"),
        *_engine_options(dialect, is_labelled=bool(mounts)),
        *_limits(job, host_vcpus),
        *_container_options(job.container),
        *_linux_options(job.container.get("linuxParameters") or {}),
        *mounts,
    ]
    if job.container.get("readonlyRootFilesystem"):
        options.append("--read-only")
        if dialect == "podman":
            # With Docker, and so with ECS, /tmp is read-only as well; podman would make it writable.
            options.append("--read-only-tmpfs=false")
    return ContainerLaunch(
        (job.id, job.attempt.number),
        name,
        job.container["image"],
        asset,
        tuple(options),
        tuple(job.container.get("command") or ()),
        variables,
        tuple(volumes),
        places.scratch,
        places.log,
        bool(job.container.get("repositoryCredentials")),
    )


def _refuse(job: Job) -> None:
    image = job.container["image"]
    if image.startswith("-"):
        # The container command line would read it as an option.
        raise StartError(f"CannotPullContainerError: invalid reference format: {image}")
    if job.gpus:
        raise StartError(f"CannotCreateContainerError: {job.gpus} GPUs asked for: containers here have none")
    system = (job.container.get("runtimePlatform") or {}).get("operatingSystemFamily") or "LINUX"
    if system != "LINUX":
        raise StartError(f"CannotPullContainerError: operatingSystemFamily {system}: Linux containers only")


def _engine_options(dialect: str, *, is_labelled: bool) -> list[str]:
    # AWS Batch on EC2 uses the host's network as well. The local cloud listens on its 127.0.0.1.
    options = ["--network", "host"]
    if dialect != "nerdctl":
        # The attached client writes the log, so the container engine need not keep a second copy.
        options += ["--log-driver", "none"]
    if dialect == "podman":
        options += ["--http-proxy=false", "--pids-limit", "-1"]
    if is_labelled and dialect != "nerdctl":
        # SELinux would deny containers the folders that are mounted for them.
        options += ["--security-opt", "label=disable"]
    return options


def _limits(job: Job, host_vcpus: float) -> list[str]:
    linux = job.container.get("linuxParameters") or {}
    memory_mib = max(job.memory_mib, MIN_MEMORY_MIB)
    swap_mib = linux.get("maxSwap")
    options = ["--memory", f"{memory_mib}m", "--memory-swap", f"{memory_mib + (swap_mib or 0)}m"]
    if swap_mib and linux.get("swappiness") is not None:
        options += ["--memory-swappiness", str(linux["swappiness"])]
    # A vCPU is a share on EC2, where a job may use idle vCPUs of its instance, and a limit on Fargate.
    vcpus = job.milli_vcpus / 1000
    limit = vcpus if job.platform is Platform.FARGATE else max(vcpus, host_vcpus)
    shares = min(max(round(vcpus * 1024), 2), MAX_CPU_SHARES)
    return [*options, "--cpu-shares", str(shares), "--cpus", f"{min(limit, os.cpu_count() or 1):g}"]


def _container_options(container: Mapping[str, Any]) -> list[str]:
    options = []
    if user := container.get("user"):
        options += ["--user", user]
    if container.get("privileged"):
        options.append("--privileged")
    for limit in container.get("ulimits") or []:
        options += ["--ulimit", f"{limit['name']}={limit['softLimit']}:{limit['hardLimit']}"]
    for member, option in (("ipcMode", "--ipc"), ("pidMode", "--pid")):
        # "task" would share with the other containers of the task, but there are none.
        if (mode := container.get(member)) and mode != "task":
            options += [option, mode]
    return options


def _linux_options(linux: Mapping[str, Any]) -> list[str]:
    options = ["--init"] if linux.get("initProcessEnabled") else []
    if size_mib := linux.get("sharedMemorySize"):
        options += ["--shm-size", f"{size_mib}m"]
    for device in linux.get("devices") or []:
        # This machine has no Elastic Fabric Adapter; libfabric falls back to TCP.
        if device["hostPath"].startswith(EFA_DEVICES) and not os.path.exists(device["hostPath"]):
            continue
        place = device.get("containerPath") or device["hostPath"]
        permissions = device.get("permissions") or list(_PERMISSIONS)
        letters = "".join(_PERMISSIONS[permission] for permission in permissions)
        options += ["--device", f"{device['hostPath']}:{place}:{letters}"]
    for entry in linux.get("tmpfs") or []:
        given = [f"size={entry['size']}m", *(entry.get("mountOptions") or [])]
        options += ["--tmpfs", f"{entry['containerPath']}:{','.join(given)}"]
    return options


def _mounts(container: Mapping[str, Any], places: Places, name: str) -> tuple[list[str], list[str]]:
    """Returns the mount options, and the names of the volumes that start empty and end with the container."""
    given = {volume["name"]: volume for volume in container.get("volumes") or []}
    options: list[str] = []
    made: list[str] = []
    for point in container.get("mountPoints") or []:
        volume, target = point.get("sourceVolume") or "", point.get("containerPath") or ""
        if not target.startswith("/"):
            raise StartError(f"CannotCreateContainerError: containerPath must be absolute, got {target!r}")
        source = volume_source(given.get(volume, {}), places.shared)
        kind = "bind"
        if source is None:
            kind, source = "volume", f"{name}-{re.sub(r'[^A-Za-z0-9_.-]', '-', volume) or 'unnamed'}"
            if source not in made:
                made.append(source)
        if "," in source + target:
            raise StartError(
                f"CannotCreateContainerError: {source} at {target}: a path with a comma cannot be mounted"
            )
        read_only = ",readonly" if point.get("readOnly") else ""
        options += ["--mount", f"type={kind},source={source},target={target}{read_only}"]
    return options, made
