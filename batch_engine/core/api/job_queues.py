"""Creates, updates, deletes and describes job queues.

https://docs.aws.amazon.com/batch/latest/APIReference/API_CreateJobQueue.html
"""

from collections.abc import Sequence
from dataclasses import replace

from batch_engine.core.api import wire as describe
from batch_engine.core.api.context import CallContext, Operation, check_tags, named
from batch_engine.core.api.environment_checks import architectures_of
from batch_engine.core.api.paging import page, whole
from batch_engine.core.api.queue_types import SAGEMAKER_ONLY, SAGEMAKER_TRAINING, check_type, service_order
from batch_engine.core.model.errors import ClientError
from batch_engine.core.model.events import QueueDeleted
from batch_engine.core.model.ids import NAME_PATTERN
from batch_engine.core.model.resources import PASSING, ComputeEnvironment, JobQueue, State
from batch_engine.core.model.wire import Wire

MAX_QUEUES = 50
MAX_ENVIRONMENTS = 3
TIME_LIMIT_REASONS = (
    "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY",
    "MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE",
    "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT",
    "MISCONFIGURATION:EC2_INSTANCE_CONFIGURATION_UNSUPPORTED",
)


def create(context: CallContext, request: Wire) -> Wire:
    """CreateJobQueue: checks the request, and adds the queue in CREATING."""
    name = request["jobQueueName"]
    if not NAME_PATTERN.fullmatch(name):
        raise ClientError("Job Queue name should match a valid pattern.")
    registry = context.registry
    if name in registry.job_queues:
        raise ClientError(f"{registry.job_queues[name].arn} already exists")
    if len(registry.job_queues) >= MAX_QUEUES:
        raise ClientError(f"No more than {MAX_QUEUES} job queues are allowed")
    environments, services = _both_orders(context, request)
    kind = check_type(context, request.get("jobQueueType"), environments, services)
    queue = JobQueue(
        name=name,
        arn=context.arns.batch("job-queue", name),
        priority=request["priority"],
        state=_state(request, State.ENABLED),
        compute_environments=environments,
        scheduling_policy_arn=_policy(context, request.get("schedulingPolicyArn"), kind),
        queue_type=kind,
        service_environments=services,
        time_limit_actions=_time_limit_actions(request.get("jobStateTimeLimitActions") or [], kind),
        tags=check_tags(request.get("tags")),
        status="CREATING",
        status_reason="JobQueue is being created",
    )
    context.put(queue)
    return {"jobQueueName": name, "jobQueueArn": queue.arn}


def _state(request: Wire, default: State) -> State:
    state = request.get("state") or default
    if state not in State.__members__:
        raise ClientError(f"state must be ENABLED or DISABLED, got {state}")
    return State(state)


def _order(context: CallContext, wire: list[Wire], present: Sequence[str]) -> list[str]:
    """Returns the compute environments by name, in the order in which they are tried.

    Environments that are ``present`` already need not be VALID.
    """
    if not 1 <= len(wire) <= MAX_ENVIRONMENTS:
        raise ClientError(
            f"Job Queue must have between 1 and {MAX_ENVIRONMENTS} compute environments, got {len(wire)}"
        )
    if len({entry["order"] for entry in wire}) < len(wire):
        raise ClientError("Duplicate ComputeEnvironment order values.")
    found: list[ComputeEnvironment] = []
    for entry in sorted(wire, key=lambda entry: int(entry["order"])):
        environment = context.find_environment(entry["computeEnvironment"])
        if environment is None or (environment.status != "VALID" and environment.name not in present):
            raise ClientError(
                "Compute Environments must be created and valid before attaching them to a job queue"
                f": {entry['computeEnvironment']}"
            )
        if environment in found:
            raise ClientError(f"Compute Environment {environment.name} is named more than once")
        found.append(environment)
    if len({environment.platform for environment in found}) > 1:
        raise ClientError("Fargate and EC2 compute environments can not be mixed.")
    if len(architectures_of(found)) > 1:
        raise ClientError("Compute environments of one job queue must be of one CPU architecture.")
    return [environment.name for environment in found]


def _both_orders(
    context: CallContext, request: Wire, present: Sequence[str] = ()
) -> tuple[list[str], list[str]]:
    """Returns the names of the compute environments and of the service environments; one list is empty."""
    services = request.get("serviceEnvironmentOrder") or []
    if services and request.get("computeEnvironmentOrder"):
        raise ClientError("A job queue cannot have both computeEnvironmentOrder and serviceEnvironmentOrder")
    if services:
        return [], service_order(context, services)
    return _order(context, request.get("computeEnvironmentOrder") or [], present), []


def _policy(context: CallContext, arn: str | None, queue_type: str | None) -> str | None:
    if arn is None:
        return None
    policy = context.registry.scheduling_policies.get(arn)
    if policy is None:
        raise ClientError(f"SchedulingPolicy {arn} not found.")
    if "quotaSharePolicy" in policy.body and queue_type != SAGEMAKER_TRAINING:
        raise ClientError(SAGEMAKER_ONLY)
    return arn


def _time_limit_actions(wire: list[Wire], queue_type: str | None) -> list[Wire]:
    allowed = "TERMINATE" if queue_type == SAGEMAKER_TRAINING else "CANCEL"
    if len({entry["reason"] for entry in wire}) < len(wire):
        raise ClientError("Duplicate job state limit actions are not allowed.")
    for entry in wire:
        if entry["reason"] not in TIME_LIMIT_REASONS:
            raise ClientError(
                f"Invalid reason {entry['reason']}. Valid reasons: {', '.join(TIME_LIMIT_REASONS)}"
            )
        if entry["state"] != "RUNNABLE":
            raise ClientError(f"Invalid job state {entry['state']}. Valid job states: [RUNNABLE]")
        if entry["action"] != allowed:
            raise ClientError(f"Invalid job action. Valid job actions: [{allowed}]")
        if not 600 <= entry["maxTimeSeconds"] <= 86_400:
            raise ClientError(f"maxTimeSeconds must be between 600 and 86400, got {entry['maxTimeSeconds']}")
    return wire


def update(context: CallContext, request: Wire) -> Wire:
    """UpdateJobQueue: replaces the given members and keeps the others."""
    queue = _require(context, request["jobQueue"])
    if queue.status in ("CREATING", "DELETING"):
        raise ClientError("Cannot update, resource is being modified")
    policy = request.get("schedulingPolicyArn")
    if policy is not None and queue.scheduling_policy_arn is None:
        raise ClientError("A scheduling policy cannot be added to a job queue that was created without one")
    order, services = queue.compute_environments, queue.service_environments
    if request.get("computeEnvironmentOrder") or request.get("serviceEnvironmentOrder"):
        order, services = _both_orders(context, request, present=order)
        check_type(context, queue.queue_type, order, services)
    actions = queue.time_limit_actions
    if "jobStateTimeLimitActions" in request:
        actions = _time_limit_actions(request["jobStateTimeLimitActions"], queue.queue_type)
    updated = replace(
        queue,
        status="UPDATING",
        status_reason="JobQueue is being updated",
        state=_state(request, queue.state),
        scheduling_policy_arn=_policy(context, policy or queue.scheduling_policy_arn, queue.queue_type),
        compute_environments=order,
        time_limit_actions=actions,
        service_environments=services,
        priority=request.get("priority", queue.priority),
    )
    context.put(updated)
    return {"jobQueueName": queue.name, "jobQueueArn": queue.arn}


def delete(context: CallContext, request: Wire) -> Wire:
    """DeleteJobQueue: needs DISABLED; terminates the jobs of the queue, then removes it."""
    queue = context.find_queue(request["jobQueue"])
    if queue is None or queue.status == "DELETING":
        return {}
    if queue.state is not State.DISABLED:
        raise ClientError("Cannot delete, job queue must be DISABLED first")
    if queue.status in PASSING:
        raise ClientError("Cannot delete, resource is being modified")
    context.emit(QueueDeleted(queue.name))
    return {}


def describe_all(context: CallContext, request: Wire) -> Wire:
    """DescribeJobQueues: returns the named ones, or all; unknown names are left out."""
    if references := named(request, "jobQueues"):
        found = [context.find_queue(reference) for reference in references]
        shown = [describe.job_queue(item, context.registry) for item in found if item is not None]
        return whole(shown, request, member="jobQueues")
    everything = context.registry.job_queues.values()
    return page(
        everything,
        request,
        member="jobQueues",
        by=lambda item: [item.created_order],
        show=lambda item: describe.job_queue(item, context.registry),
    )


def _require(context: CallContext, reference: str) -> JobQueue:
    queue = context.find_queue(reference)
    if queue is None:
        raise ClientError(f"{reference} does not exist")
    return queue


OPERATIONS: dict[str, Operation] = {
    "CreateJobQueue": create,
    "UpdateJobQueue": update,
    "DeleteJobQueue": delete,
    "DescribeJobQueues": describe_all,
}
