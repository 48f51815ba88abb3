"""Computes the condition keys of AWS Batch for a request.

https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsbatch.html#awsbatch-policy-keys
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

# The paths of containers in a job definition: plain, ECS tasks, and the same for the nodes of a job.
_CONTAINERS = (
    "containerProperties",
    "ecsProperties.taskProperties[].containers[]",
    "nodeProperties.nodeRangeProperties[].container",
    "nodeProperties.nodeRangeProperties[].ecsProperties.taskProperties[].containers[]",
)
_PODS = (
    "eksProperties.podProperties",
    "nodeProperties.nodeRangeProperties[].eksProperties.podProperties",
)
_TASKS = (
    "containerProperties",
    "ecsProperties.taskProperties[]",
    "nodeProperties.nodeRangeProperties[].container",
    "nodeProperties.nodeRangeProperties[].ecsProperties.taskProperties[]",
)
_OF_CONTAINERS: Mapping[str, str] = {
    "batch:Image": "image",
    "batch:LogDriver": "logConfiguration.logDriver",
    "batch:Privileged": "privileged",
    "batch:User": "user",
    "batch:AWSLogsCreateGroup": "logConfiguration.options.awslogs-create-group",
    "batch:AWSLogsGroup": "logConfiguration.options.awslogs-group",
    "batch:AWSLogsRegion": "logConfiguration.options.awslogs-region",
    "batch:AWSLogsStreamPrefix": "logConfiguration.options.awslogs-stream-prefix",
}
_OF_PODS: Mapping[str, str] = {
    "batch:EKSImage": "containers[].image",
    "batch:EKSNamespace": "metadata.namespace",
    "batch:EKSPrivileged": "containers[].securityContext.privileged",
    "batch:EKSRunAsGroup": "containers[].securityContext.runAsGroup",
    "batch:EKSRunAsUser": "containers[].securityContext.runAsUser",
    "batch:EKSServiceAccountName": "serviceAccountName",
}
_OF_SUBMISSIONS: Mapping[str, str] = {
    "batch:ShareIdentifier": "shareIdentifier",
    "batch:EKSImage": "eksPropertiesOverride.podProperties.containers[].image",
    "batch:EKSNamespace": "eksPropertiesOverride.podProperties.metadata.namespace",
}
_OF_SERVICE_JOBS: Mapping[str, str] = {
    "batch:ShareIdentifier": "shareIdentifier",
    "batch:SchedulingPriority": "schedulingPriority",
}


def values_at(document: object, path: str) -> Iterator[Any]:
    """Yields every value at a path, in order; ``[]`` means each item of a list."""
    name, _, rest = path.partition(".")
    value = document.get(name.removesuffix("[]")) if isinstance(document, Mapping) else None
    found: Iterable[Any] = (value or ()) if name.endswith("[]") else () if value is None else (value,)
    for item in found:
        if rest:
            yield from values_at(item, rest)
        else:
            yield item


def of(operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the condition keys of a request, without those of its tags.

    Args:
        operation: the operation's name in the API.
        request: the request as on the wire.
    """
    if operation == "RegisterJobDefinition":
        containers = [item for path in _CONTAINERS for item in values_at(request, path)]
        pods = [item for path in _PODS for item in values_at(request, path)]
        return _keys(containers, _OF_CONTAINERS) | _keys(pods, _OF_PODS)
    if operation == "SubmitJob":
        return _keys([request], _OF_SUBMISSIONS)
    return _keys([request], _OF_SERVICE_JOBS) if operation in ("SubmitServiceJob", "UpdateServiceJob") else {}


def task_roles(request: Mapping[str, Any]) -> list[str]:
    """Returns the roles that a job definition gives to its containers and to the agent that starts them."""
    tasks = [task for path in _TASKS for task in values_at(request, path)]
    members = ("jobRoleArn", "taskRoleArn", "executionRoleArn")
    return [task[member] for task in tasks for member in members if task.get(member)]


def _keys(documents: list[Any], paths: Mapping[str, str]) -> dict[str, Any]:
    found = {
        key: [_text(v) for doc in documents for v in values_at(doc, path)] for key, path in paths.items()
    }
    # IAM compares one value as text, and several as a set, with ForAllValues and ForAnyValue.
    return {key: values[0] if len(values) == 1 else values for key, values in found.items() if values}


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
