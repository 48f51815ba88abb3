"""ECS task definitions of one container, as ``containerProperties`` and back.

https://docs.aws.amazon.com/batch/latest/APIReference/API_EcsProperties.html
"""

from batch_engine.core.model.errors import ClientError
from batch_engine.core.model.jobs import Job
from batch_engine.core.model.wire import Wire

_TASK_MEMBERS = (
    "volumes",
    "networkConfiguration",
    "runtimePlatform",
    "ephemeralStorage",
    "executionRoleArn",
    "enableExecuteCommand",
)
_DEFAULT_NAME = "default"
_MODES = ("ipcMode", "pidMode", "networkMode")


def container_name(ecs: Wire) -> str:
    """Returns the name of the one container."""
    return str(_only_container(ecs).get("name") or _DEFAULT_NAME)


def _only_container(ecs: Wire) -> Wire:
    tasks = ecs.get("taskProperties") or []
    containers = [container for task in tasks for container in task.get("containers") or []]
    if len(tasks) != 1 or len(containers) != 1:
        raise ClientError(
            f"ecsProperties with {len(tasks)} tasks and {len(containers)} containers is not supported by "
            "this engine: it runs jobs of one task and one container"
        )
    return dict(containers[0])


def container_properties(ecs: Wire) -> Wire:
    """Returns the container as ``containerProperties``.

    Raises:
        ClientError: there is more than one container, or the container is not essential.
    """
    container = _only_container(ecs)
    task = ecs["taskProperties"][0]
    if container.get("essential") is False:
        raise ClientError("At least one container of a task must be essential.")
    result = {
        member: value
        for member, value in container.items()
        if member not in ("name", "essential", "dependsOn")
    }
    result |= {member: task[member] for member in (*_TASK_MEMBERS, *_MODES) if member in task}
    if "taskRoleArn" in task:
        result["jobRoleArn"] = task["taskRoleArn"]
    if "platformVersion" in task:
        result["fargatePlatformConfiguration"] = {"platformVersion": task["platformVersion"]}
    return result


def container_overrides(overrides: Wire, name: str) -> Wire:
    """Returns ``ecsPropertiesOverride`` as ``containerOverrides``.

    Raises:
        ClientError: the override names a container that the task does not have.
    """
    tasks = overrides.get("taskProperties") or []
    containers = [container for task in tasks for container in task.get("containers") or []]
    if not containers:
        return {}
    if len(containers) > 1 or containers[0].get("name", name) != name:
        given = ", ".join(str(container.get("name")) for container in containers)
        raise ClientError(f"ecsPropertiesOverride names the containers {given}; the task has only {name}")
    return {member: value for member, value in containers[0].items() if member != "name"}


def task_details(job: Job, outcome: Wire) -> Wire:
    """Returns ``ecsProperties`` as DescribeJobs shows it.

    Args:
        job: a job of an ECS task.
        outcome: the members of ``container`` that show the outcome of its latest attempt.
    """
    moved = ("jobRoleArn", "fargatePlatformConfiguration", "containerInstanceArn", "taskArn", "volumes")
    whole = {**job.container, **outcome}
    of_task = (*_TASK_MEMBERS, *_MODES, *moved)
    container = {member: value for member, value in whole.items() if member not in of_task}
    task = {
        member: whole[member]
        for member in (*_TASK_MEMBERS, *_MODES, "containerInstanceArn", "taskArn")
        if member in whole
    }
    if "jobRoleArn" in whole:
        task["taskRoleArn"] = whole["jobRoleArn"]
    if "fargatePlatformConfiguration" in whole:
        task["platformVersion"] = whole["fargatePlatformConfiguration"].get("platformVersion", "LATEST")
    named = {"name": job.ecs_container, "essential": True, **container}
    return {"taskProperties": [{**task, "containers": [named]}]}


def attempt_details(job: Job, container: Wire) -> list[Wire]:
    """Returns ``taskProperties`` of an attempt."""
    of_task = ("containerInstanceArn", "taskArn")
    named = {member: value for member, value in container.items() if member not in of_task}
    task = {member: container[member] for member in of_task if member in container}
    return [{**task, "containers": [{"name": job.ecs_container, **named}]}]
