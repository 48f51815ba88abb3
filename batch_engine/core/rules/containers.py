"""Checks the containers and the ECS task of a job definition, in AWS Batch's own words where they are known.

https://docs.aws.amazon.com/batch/latest/APIReference/API_ContainerProperties.html
https://docs.aws.amazon.com/batch/latest/APIReference/API_EcsTaskProperties.html
"""

import re

from batch_engine.core.model.errors import ClientError
from batch_engine.core.model.resources import Platform
from batch_engine.core.model.wire import Wire
from batch_engine.core.rules import requirements as resources

FARGATE_ONLY = ("networkConfiguration", "fargatePlatformConfiguration", "runtimePlatform")
NOT_ON_FARGATE = ("devices", "tmpfs", "sharedMemorySize", "swappiness", "maxSwap")
LOG_DRIVERS = ("json-file", "syslog", "journald", "gelf", "fluentd", "awslogs", "splunk", "awsfirelens")
FARGATE_LOG_DRIVERS = ("awslogs", "splunk", "awsfirelens")
FARGATE_SYSTEMS = ("LINUX", "WINDOWS_SERVER_")
ARCHITECTURES = ("X86_64", "ARM64")
FIRST_VERSION_WITH_EFS = (1, 4, 0)
_USER_PART = r"[a-z0-9_][a-z0-9_-]{0,30}"
USER = re.compile(rf"{_USER_PART}(:{_USER_PART})?")
MAX_CONTAINERS = 10
CONDITIONS = ("START", "COMPLETE", "SUCCESS")
MIN_TIMEOUT_S, MAX_FARGATE_TIMEOUT_S = 2, 120
MODES = {"ipcMode": ("host", "task", "none"), "pidMode": ("host", "task")}


def check_container(container: Wire, platform: Platform) -> None:
    """Checks ``containerProperties``, or the ``container`` of a node range.

    Raises:
        ClientError: AWS Batch would refuse it.
    """
    if not container.get("image"):
        raise ClientError("Container image is required.")
    if container.get("resourceRequirements") and ("vcpus" in container or "memory" in container):
        raise ClientError("vcpus and memory cannot be combined with resourceRequirements.")
    check_duplicates(container.get("resourceRequirements") or [])
    needs = resources.parse(resources.merge(container, {}), platform)
    check_common(container, container.get("executionRoleArn"), platform)
    check_host(container, platform)
    check_windows(container.get("runtimePlatform"), needs.milli_vcpus)
    if platform is Platform.FARGATE:
        version = (container.get("fargatePlatformConfiguration") or {}).get("platformVersion")
        check_efs(container.get("volumes") or [], version)
        return
    for member in FARGATE_ONLY:
        if member in container:
            verb = "is not" if member == "runtimePlatform" else "not"
            raise ClientError(f"{member} {verb} applicable for EC2.")


def check_duplicates(requirements: list[Wire]) -> None:
    """Checks that ``resourceRequirements`` has each type once."""
    if len({wire["type"] for wire in requirements}) < len(requirements):
        raise ClientError("Cannot provide duplicates in resourceRequirements.")


def check_common(container: Wire, execution_role: str | None, platform: Platform) -> None:
    """Checks the members that every container has, alone or in a task.

    Raises:
        ClientError: AWS Batch would refuse it.
    """
    for variable in [*(container.get("environment") or []), *(container.get("secrets") or [])]:
        # A secret becomes a variable, too.
        if str(variable.get("name", "")).startswith("AWS_BATCH"):
            raise ClientError(
                f"Environment variable names cannot start with AWS_BATCH, got {variable['name']}"
            )
    log = container.get("logConfiguration") or {}
    for member, given in (("secrets", container.get("secrets")), ("secretOptions", log.get("secretOptions"))):
        if given and not execution_role:
            raise ClientError(f"executionRoleArn is required when {member} are given.")
    user = container.get("user")
    if user and not USER.fullmatch(user):
        raise ClientError(f"User '{user[:256]}' does not match regex")
    _check_swap(container.get("linuxParameters") or {})
    driver = log.get("logDriver", "awslogs")
    if platform is Platform.FARGATE:
        _check_on_fargate(container, driver)
    elif driver not in LOG_DRIVERS:
        raise ClientError(f"logDriver must be one of {', '.join(LOG_DRIVERS)}, got {driver}")


def _check_swap(linux: Wire) -> None:
    swap_mib, swappiness = linux.get("maxSwap"), linux.get("swappiness")
    if swap_mib is not None and swap_mib < 0:
        raise ClientError(f"maxSwap must be at least 0, got {swap_mib}")
    if swappiness is not None and not 0 <= swappiness <= 100:
        raise ClientError(f"swappiness must be between 0 and 100, got {swappiness}")
    if swap_mib is not None and swappiness is None:
        raise ClientError("swappiness is required when maxSwap is given.")


def _check_on_fargate(container: Wire, driver: str) -> None:
    if container.get("ulimits"):
        raise ClientError("ulimits is not applicable for Fargate.")
    for member in NOT_ON_FARGATE:
        if member in (container.get("linuxParameters") or {}):
            raise ClientError(f"linuxParameter.{member} is not allowed for Fargate.")
    if container.get("privileged"):
        raise ClientError("privileged is not applicable for Fargate.")
    if driver not in FARGATE_LOG_DRIVERS:
        raise ClientError(f"Log driver for Fargate is not valid: {driver}")


def check_host(holder: Wire, platform: Platform) -> None:
    """Checks the volumes, storage and role of a container or of a task.

    Raises:
        ClientError: AWS Batch would refuse it.
    """
    if platform is not Platform.FARGATE:
        return
    if not holder.get("executionRoleArn"):
        raise ClientError("executionRoleArn is required for Fargate.")
    if any((volume.get("host") or {}).get("sourcePath") for volume in holder.get("volumes") or []):
        raise ClientError("host.sourcePath should not be set for volumes in Fargate.")
    size_gib = (holder.get("ephemeralStorage") or {}).get("sizeInGiB", 21)
    if not 21 <= size_gib <= 200:
        raise ClientError("Ephemeral storage for Fargate tasks can be only between range 21 GiB to 200 GiB")
    runtime = holder.get("runtimePlatform") or {}
    system = runtime.get("operatingSystemFamily", "LINUX")
    if not system.startswith(FARGATE_SYSTEMS):
        raise ClientError(f"operatingSystemFamily must be LINUX or WINDOWS_SERVER_*, got {system}")
    if runtime.get("cpuArchitecture", "X86_64") not in ARCHITECTURES:
        raise ClientError(
            f"cpuArchitecture must be one of {', '.join(ARCHITECTURES)}, got {runtime['cpuArchitecture']}"
        )


def check_windows(runtime: Wire | None, milli_vcpus: int) -> None:
    """Checks that a Windows container has at least one vCPU, and X86_64."""
    system = (runtime or {}).get("operatingSystemFamily") or "LINUX"
    if not system.startswith("WINDOWS"):
        return
    if (runtime or {}).get("cpuArchitecture", "X86_64") != "X86_64":
        raise ClientError("Windows containers need cpuArchitecture X86_64.")
    if milli_vcpus < 1000:
        raise ClientError(f"Windows containers need at least 1 vCPU, got {milli_vcpus / 1000:g}.")


def check_efs(volumes: list[Wire], version: str | None) -> None:
    """Checks that the platform version of Fargate supports EFS."""
    if version in (None, "LATEST") or not any("efsVolumeConfiguration" in volume for volume in volumes):
        return
    parts = str(version).split(".")
    if not all(part.isascii() and part.isdigit() and len(part) < 6 for part in parts):
        raise ClientError(f"platformVersion must be LATEST or such as 1.4.0, got {str(version)[:64]}")
    if tuple(map(int, parts)) < FIRST_VERSION_WITH_EFS:
        raise ClientError("EFS is supported for Fargate platform versions 1.4.0 or later.")


def check_task(properties: Wire, platform: Platform) -> None:
    """Checks ``ecsProperties``.

    Raises:
        ClientError: AWS Batch would refuse it.
    """
    tasks = properties["taskProperties"]
    if len(tasks) != 1:
        raise ClientError(f"ecsProperties must have exactly one element in taskProperties, got {len(tasks)}")
    task = tasks[0]
    containers = task["containers"]
    if not 1 <= len(containers) <= MAX_CONTAINERS:
        raise ClientError(
            f"A task must have between 1 and {MAX_CONTAINERS} containers, got {len(containers)}"
        )
    _check_names(containers)
    for container in containers:
        check_duplicates(container.get("resourceRequirements") or [])
        check_common(container, task.get("executionRoleArn"), platform)
        _check_timeouts(container, platform)
    _check_dependencies(containers)
    check_host(task, platform)
    for member, allowed in MODES.items():
        if task.get(member, allowed[0]) not in allowed:
            raise ClientError(f"{member} must be one of {', '.join(allowed)}, got {task[member]}")
    needs = resources.parse(_together(containers), platform)
    check_windows(task.get("runtimePlatform"), needs.milli_vcpus)
    if platform is Platform.FARGATE:
        check_efs(task.get("volumes") or [], task.get("platformVersion"))


def _check_names(containers: list[Wire]) -> None:
    names = [container.get("name") for container in containers]
    if len(containers) > 1 and not all(names):
        raise ClientError("Containers of a task must have a name.")
    if len(set(names)) < len(names):
        raise ClientError(f"Container names of a task must be unique, got {', '.join(map(str, names))}")
    if not any(container.get("essential", True) for container in containers):
        raise ClientError("A task must have at least one essential container.")


def _check_timeouts(container: Wire, platform: Platform) -> None:
    of_container = f" of container {container['name']}" if container.get("name") else ""
    for member in ("startTimeout", "stopTimeout"):
        value = container.get(member, MIN_TIMEOUT_S)
        if value < MIN_TIMEOUT_S or (platform is Platform.FARGATE and value > MAX_FARGATE_TIMEOUT_S):
            raise ClientError(
                f"{member}{of_container} must be at least {MIN_TIMEOUT_S} and on Fargate at most "
                f"{MAX_FARGATE_TIMEOUT_S} seconds, got {value}"
            )


def _check_dependencies(containers: list[Wire]) -> None:
    by_name = {container.get("name"): container for container in containers}
    for container in containers:
        for entry in container.get("dependsOn") or []:
            name, condition = entry.get("containerName"), entry.get("condition")
            if condition not in CONDITIONS:
                raise ClientError(f"condition must be one of {', '.join(CONDITIONS)}, got {condition}")
            if name not in by_name or by_name[name] is container:
                raise ClientError(f"dependsOn must name another container of the task, got {name}")
            if condition != "START" and by_name[name].get("essential", True):
                raise ClientError(f"Condition {condition} cannot be set on the essential container {name}")
    waits = {
        container.get("name"): {entry.get("containerName") for entry in container.get("dependsOn") or []}
        for container in containers
    }
    while ready := [name for name, others in waits.items() if not others & waits.keys()]:
        for name in ready:
            del waits[name]
    if waits:
        raise ClientError(f"dependsOn is circular among {', '.join(map(str, waits))}")


def _together(containers: list[Wire]) -> list[Wire]:
    """Returns the requirements of a whole task, type by type."""
    totals: dict[str, float] = {}
    for container in containers:
        for wire in container.get("resourceRequirements") or []:
            kind, text = wire["type"], wire["value"]
            totals[kind] = totals.get(kind, 0) + resources.amount(kind, text)
    return [{"type": kind, "value": f"{total:.15g}"} for kind, total in totals.items()]
