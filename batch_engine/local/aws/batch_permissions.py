"""Lists the permissions that a request to AWS Batch needs: actions, resources and condition keys.

https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsbatch.html
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from batch_engine.core.model.ids import Arns
from batch_engine.local.aws import batch_conditions
from batch_engine.local.aws.batch_conditions import values_at

# Operations on several jobs need the permission of the operation on one job.
_ACTIONS = {
    "CancelJobs": "CancelJob",
    "TerminateJobs": "TerminateJob",
    "TerminateServiceJobs": "TerminateServiceJob",
}
# For each operation the kinds of its resources, and the members that name them. Others concern no resource.
_RESOURCES: Mapping[str, tuple[tuple[str, str], ...]] = {
    "CancelJob": (("job", "jobId"),),
    "CreateComputeEnvironment": (("compute-environment", "computeEnvironmentName"),),
    "CreateConsumableResource": (("consumable-resource", "consumableResourceName"),),
    "CreateJobQueue": (
        ("job-queue", "jobQueueName"),
        ("compute-environment", "computeEnvironmentOrder[].computeEnvironment"),
        ("service-environment", "serviceEnvironmentOrder[].serviceEnvironment"),
        ("scheduling-policy", "schedulingPolicyArn"),
    ),
    "CreateQuotaShare": (("job-queue", "jobQueue"),),
    "CreateSchedulingPolicy": (("scheduling-policy", "name"),),
    "CreateServiceEnvironment": (("service-environment", "serviceEnvironmentName"),),
    "DeleteComputeEnvironment": (("compute-environment", "computeEnvironment"),),
    "DeleteConsumableResource": (("consumable-resource", "consumableResource"),),
    "DeleteJobQueue": (("job-queue", "jobQueue"),),
    "DeleteQuotaShare": (("job-queue", "quotaShareArn"),),
    "DeleteSchedulingPolicy": (("scheduling-policy", "arn"),),
    "DeleteServiceEnvironment": (("service-environment", "serviceEnvironment"),),
    "DeregisterJobDefinition": (("job-definition", "jobDefinition"),),
    "DescribeConsumableResource": (("consumable-resource", "consumableResource"),),
    "DescribeQuotaShare": (("job-queue", "quotaShareArn"),),
    "GetJobQueueSnapshot": (("job-queue", "jobQueue"),),
    "ListJobsByConsumableResource": (("consumable-resource", "consumableResource"),),
    "ListQuotaShares": (("job-queue", "jobQueue"),),
    "ListTagsForResource": (("", "resourceArn"),),
    "RegisterJobDefinition": (("job-definition", "jobDefinitionName"),),
    "SubmitJob": (("job-definition", "jobDefinition"), ("job-queue", "jobQueue")),
    "SubmitServiceJob": (("job-queue", "jobQueue"),),
    "TagResource": (("", "resourceArn"),),
    "TerminateJob": (("job", "jobId"),),
    "TerminateServiceJob": (("service-job", "jobId"),),
    "UntagResource": (("", "resourceArn"),),
    "UpdateComputeEnvironment": (("compute-environment", "computeEnvironment"),),
    "UpdateConsumableResource": (("consumable-resource", "consumableResource"),),
    "UpdateJobQueue": (
        ("job-queue", "jobQueue"),
        ("compute-environment", "computeEnvironmentOrder[].computeEnvironment"),
        ("service-environment", "serviceEnvironmentOrder[].serviceEnvironment"),
        ("scheduling-policy", "schedulingPolicyArn"),
    ),
    "UpdateQuotaShare": (("job-queue", "quotaShareArn"),),
    "UpdateSchedulingPolicy": (("scheduling-policy", "arn"),),
    "UpdateServiceEnvironment": (("service-environment", "serviceEnvironment"),),
    "UpdateServiceJob": (("service-job", "jobId"),),
}
# The roles that a compute environment passes to services; its creator needs iam:PassRole for them.
_ROLES_OF_ENVIRONMENTS: Mapping[str, str] = {
    "batch.amazonaws.com": "serviceRole",
    "spotfleet.amazonaws.com": "computeResources.spotIamFleetRole",
}
_OF_ENVIRONMENTS = ("CreateComputeEnvironment", "UpdateComputeEnvironment")

TagsOf = Callable[[str], Mapping[str, str]]
InstanceRoles = Callable[[str], list[str]]


@dataclass(frozen=True, slots=True)
class Check:
    """A permission that a request needs.

    Args:
        action: such as ``batch:SubmitJob``.
        resource: an ARN, or ``*`` for an action that concerns no resource.
        context: condition keys and their values.
    """

    action: str
    resource: str
    context: Mapping[str, Any] = field(default_factory=dict)


def checks(
    operation: str,
    request: Mapping[str, Any],
    arns: Arns,
    tags_of: TagsOf,
    instance_roles: InstanceRoles,
) -> Iterator[Check]:
    """Yields the permissions that a request needs.

    A resource is checked under the name in the request: a job definition without a revision as
    ``job-definition/media``, with a revision as ``job-definition/media:3``. AWS Batch does the same, so a
    policy for ``job-definition/media:*`` alone refuses a submission by the bare name.

    Args:
        operation: the operation's name in the API.
        request: the request as on the wire.
        arns: makes ARNs from names.
        tags_of: returns the tags of an ARN, for ``aws:ResourceTag``.
        instance_roles: returns the ARNs of the roles in an instance profile, given its name or ARN.
    """
    action = f"batch:{_ACTIONS.get(operation, operation)}"
    keys = {**request_tags(request), **batch_conditions.of(operation, request)}
    named = [*_named(operation, request, arns)]
    for resource in named or ["*"]:
        resource_tags = {f"aws:ResourceTag/{key}": value for key, value in tags_of(resource).items()}
        yield Check(action, resource, {**keys, **resource_tags})
    if request.get("tags") and operation != "TagResource":
        yield Check("batch:TagResource", _tagged(operation, named, arns), keys)
    yield from _passed_roles(operation, request, arns, instance_roles)


def request_tags(request: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the condition keys of the tags that a request sets or removes."""
    tags: Mapping[str, str] = request.get("tags") or {}
    keys = [*tags, *(request.get("tagKeys") or ())]
    found: dict[str, Any] = {f"aws:RequestTag/{key}": value for key, value in tags.items()}
    return found | ({"aws:TagKeys": keys} if keys else {})


def _named(operation: str, request: Mapping[str, Any], arns: Arns) -> Iterator[str]:
    if operation in _ACTIONS:
        kind = "service-job" if "Service" in operation else "job"
        yield from (_arn(kind, str(job), arns) for job in request.get("jobs") or ())
    for kind, path in _RESOURCES.get(operation, ()):
        for value in values_at(request, path):
            yield _arn(kind, str(value), arns)


def _arn(kind: str, reference: str, arns: Arns) -> str:
    return reference if reference.startswith("arn:") else arns.batch(kind, reference)


def _tagged(operation: str, named: list[str], arns: Arns) -> str:
    """Returns the ARN of the resource that the tags are for; a pattern if its id is not known yet."""
    if operation == "SubmitJob":
        return arns.batch("job", "*")
    return f"{named[0]}:*" if operation == "RegisterJobDefinition" else named[0] if named else "*"


def _passed_roles(
    operation: str, request: Mapping[str, Any], arns: Arns, instance_roles: InstanceRoles
) -> Iterator[Check]:
    passed: list[tuple[str, str]] = []
    if operation in _OF_ENVIRONMENTS:
        for service, path in _ROLES_OF_ENVIRONMENTS.items():
            passed += [(service, str(role)) for role in values_at(request, path)]
        for profile in values_at(request, "computeResources.instanceRole"):
            passed += [("ec2.amazonaws.com", role) for role in instance_roles(str(profile))]
    if operation == "RegisterJobDefinition":
        passed = [("ecs-tasks.amazonaws.com", role) for role in batch_conditions.task_roles(request)]
    for service, role in dict.fromkeys(passed):
        arn = role if role.startswith("arn:") else f"arn:{arns.partition}:iam::{arns.account}:role/{role}"
        yield Check("iam:PassRole", arn, {"iam:PassedToService": service})
