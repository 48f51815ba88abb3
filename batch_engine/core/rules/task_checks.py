"""What the ECS task of a job definition may ask for.

https://docs.aws.amazon.com/batch/latest/APIReference/API_EcsTaskProperties.html
"""

from batch_engine.core.model.errors import ClientError
from batch_engine.core.model.model import Platform, Wire
from batch_engine.core.rules import requirements
from batch_engine.core.rules.containers import (
    check_common,
    check_duplicates,
    check_efs,
    check_host,
    check_windows,
)

MAX_CONTAINERS = 10
CONDITIONS = ("START", "COMPLETE", "SUCCESS")
MIN_TIMEOUT_S, MAX_FARGATE_TIMEOUT_S = 2, 120
MODES = {"ipcMode": ("host", "task", "none"), "pidMode": ("host", "task")}


def check_task(properties: Wire, platform: Platform) -> None:
    """Check ``ecsProperties``.

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
    needs = requirements.parse(_together(containers), platform)
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
    """The requirements of a whole task, type by type."""
    totals: dict[str, float] = {}
    for container in containers:
        for wire in container.get("resourceRequirements") or []:
            kind, text = wire["type"], wire["value"]
            totals[kind] = totals.get(kind, 0) + requirements.amount(kind, text)
    return [{"type": kind, "value": f"{total:.15g}"} for kind, total in totals.items()]
