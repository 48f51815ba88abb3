"""From a job to the command line that makes its container. Nothing here runs anything.

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
"""Container engines take no less; the ECS agent raises what is below."""
MAX_CPU_SHARES = 262_144
"""The kernel takes no more."""
JOB_LABEL = "batch-stack.job"
EFA_DEVICES = "/dev/infiniband/"
_PERMISSIONS = {"READ": "r", "WRITE": "w", "MKNOD": "m"}


@dataclass(frozen=True, slots=True)
class ContainerLaunch:
    """All that a container needs.

    Args:
        key: the job's id and the attempt's number.
        name: what the container is called.
        image: what the job names.
        asset: how that image is made, where the assembly says so.
        options: of ``create``, without the environment.
        command: what stands behind the image.
        variables: the environment.
        volumes: the volumes that are made for it and go with it.
        scratch: a folder of its own for what prepares it.
        log: takes what it prints.
        has_credentials: whether the job brings ``repositoryCredentials``.
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
    """What a job's container is made from.

    Args:
        job: the job, placed.
        asset: how its image is made, where the assembly says so.
        variables: its environment.
        places: its log, its scratch folder, and where file systems are.
        dialect: whose options the container command line understands.
        host_vcpus: how many vCPUs all jobs together may use.

    Raises:
        StartError: the job asks for what no container here can have.
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
            # Docker, and so ECS, leaves /tmp read-only as well; podman would make it writable.
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
        # The container command line would take it for an option.
        raise StartError(f"CannotPullContainerError: invalid reference format: {image}")
    if job.gpus:
        raise StartError(f"CannotCreateContainerError: {job.gpus} GPUs asked for: containers here have none")
    system = (job.container.get("runtimePlatform") or {}).get("operatingSystemFamily") or "LINUX"
    if system != "LINUX":
        raise StartError(f"CannotPullContainerError: operatingSystemFamily {system}: Linux containers only")


def _engine_options(dialect: str, *, is_labelled: bool) -> list[str]:
    # As on EC2, where AWS Batch uses the host's network: the local cloud is on its 127.0.0.1.
    options = ["--network", "host"]
    if dialect != "nerdctl":
        # Lines are taken from the attached client; the engine need not keep a second copy of them.
        options += ["--log-driver", "none"]
    if dialect == "podman":
        options += ["--http-proxy=false", "--pids-limit", "-1"]
    if is_labelled and dialect != "nerdctl":
        # SELinux would keep containers from the folders that they are given.
        options += ["--security-opt", "label=disable"]
    return options


def _limits(job: Job, host_vcpus: float) -> list[str]:
    linux = job.container.get("linuxParameters") or {}
    memory_mib = max(job.memory_mib, MIN_MEMORY_MIB)
    swap_mib = linux.get("maxSwap")
    options = ["--memory", f"{memory_mib}m", "--memory-swap", f"{memory_mib + (swap_mib or 0)}m"]
    if swap_mib and linux.get("swappiness") is not None:
        options += ["--memory-swappiness", str(linux["swappiness"])]
    # A vCPU is a share on EC2, where a job may use what its instance has idle, and a limit on Fargate.
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
        # "task" shares with the other containers of a task, of which there are none.
        if (mode := container.get(member)) and mode != "task":
            options += [option, mode]
    return options


def _linux_options(linux: Mapping[str, Any]) -> list[str]:
    options = ["--init"] if linux.get("initProcessEnabled") else []
    if size_mib := linux.get("sharedMemorySize"):
        options += ["--shm-size", f"{size_mib}m"]
    for device in linux.get("devices") or []:
        # This machine has no Elastic Fabric Adapter; what would use one goes over TCP instead.
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
    """The options, and the names of the volumes that start empty and end with the container."""
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
            raise StartError(f"CannotCreateContainerError: {source} at {target}: a comma cannot be mounted")
        read_only = ",readonly" if point.get("readOnly") else ""
        options += ["--mount", f"type={kind},source={source},target={target}{read_only}"]
    return options, made
