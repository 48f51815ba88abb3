"""Create, update, delete and describe job queues.

https://docs.aws.amazon.com/batch/latest/APIReference/API_CreateJobQueue.html
"""

from batch_engine.core import describe
from batch_engine.core.context import CallContext, Operation, page
from batch_engine.core.errors import ClientError
from batch_engine.core.events import QueueDeleted, ResourcesChanged
from batch_engine.core.ids import NAME_PATTERN
from batch_engine.core.model import ComputeEnvironment, JobQueue, State, Wire

MAX_QUEUES = 50
MAX_ENVIRONMENTS = 3
TIME_LIMIT_REASONS = (
    "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY",
    "MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE",
    "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT",
    "MISCONFIGURATION:EC2_INSTANCE_CONFIGURATION_UNSUPPORTED",
)


def create(context: CallContext, request: Wire) -> Wire:
    """CreateJobQueue."""
    name = request["jobQueueName"]
    if not NAME_PATTERN.fullmatch(name):
        raise ClientError("Job Queue name should match a valid pattern.")
    registry = context.registry
    if name in registry.job_queues:
        raise ClientError(f"{registry.job_queues[name].arn} already exists")
    if len(registry.job_queues) >= MAX_QUEUES:
        raise ClientError(f"No more than {MAX_QUEUES} job queues are allowed")
    if request.get("serviceEnvironmentOrder"):
        raise ClientError(
            "Service environments are not supported by this engine: it has no SageMaker to train on"
        )
    queue = JobQueue(
        name=name,
        arn=context.arns.batch("job-queue", name),
        priority=request["priority"],
        state=_state(request, State.ENABLED),
        compute_environments=_order(context, request.get("computeEnvironmentOrder") or []),
        created_order=registry.next_order(),
        scheduling_policy_arn=_policy(context, request.get("schedulingPolicyArn")),
        queue_type=request.get("jobQueueType"),
        time_limit_actions=_time_limit_actions(request.get("jobStateTimeLimitActions") or []),
        tags=request.get("tags") or {},
    )
    registry.add(queue)
    registry.touch(queue)
    context.emit(ResourcesChanged())
    return {"jobQueueName": name, "jobQueueArn": queue.arn}


def _state(request: Wire, default: State) -> State:
    state = request.get("state") or default
    if state not in State.__members__:
        raise ClientError(f"state must be ENABLED or DISABLED, got {state}")
    return State(state)


def _order(context: CallContext, wire: list[Wire]) -> list[str]:
    """The compute environments by name, in the order in which they are tried."""
    if not 1 <= len(wire) <= MAX_ENVIRONMENTS:
        raise ClientError(
            f"Job Queue must have between 1 and {MAX_ENVIRONMENTS} compute environments, got {len(wire)}"
        )
    if len({entry["order"] for entry in wire}) < len(wire):
        raise ClientError("Duplicate ComputeEnvironment order values.")
    found: list[ComputeEnvironment] = []
    for entry in sorted(wire, key=lambda entry: int(entry["order"])):
        environment = context.find_environment(entry["computeEnvironment"])
        if environment is None or environment.status != "VALID":
            raise ClientError(
                "Compute Environments must be created and valid before attaching them to a job queue"
                f": {entry['computeEnvironment']}"
            )
        if environment in found:
            raise ClientError(f"Compute Environment {environment.name} is named more than once")
        found.append(environment)
    if len({environment.platform for environment in found}) > 1:
        raise ClientError("Fargate and EC2 compute environments can not be mixed.")
    return [environment.name for environment in found]


def _policy(context: CallContext, arn: str | None) -> str | None:
    if arn is not None and arn not in context.registry.scheduling_policies:
        raise ClientError(f"SchedulingPolicy {arn} not found.")
    return arn


def _time_limit_actions(wire: list[Wire]) -> list[Wire]:
    if len({entry["reason"] for entry in wire}) < len(wire):
        raise ClientError("Duplicate job state limit actions are not allowed.")
    for entry in wire:
        if entry["reason"] not in TIME_LIMIT_REASONS:
            raise ClientError(
                f"Invalid reason {entry['reason']}. Valid reasons: {', '.join(TIME_LIMIT_REASONS)}"
            )
        if entry["state"] != "RUNNABLE":
            raise ClientError(f"Invalid job state {entry['state']}. Valid job states: [RUNNABLE]")
        if entry["action"] != "CANCEL":
            raise ClientError("Invalid job action. Valid job actions: [CANCEL]")
        if not 600 <= entry["maxTimeSeconds"] <= 86_400:
            raise ClientError(f"maxTimeSeconds must be between 600 and 86400, got {entry['maxTimeSeconds']}")
    return wire


def update(context: CallContext, request: Wire) -> Wire:
    """UpdateJobQueue: what is given replaces what was; the rest stays."""
    queue = _require(context, request["jobQueue"])
    policy = request.get("schedulingPolicyArn")
    if policy is not None and queue.scheduling_policy_arn is None:
        raise ClientError("A scheduling policy cannot be added to a job queue that was created without one")
    order = queue.compute_environments
    if request.get("computeEnvironmentOrder"):
        order = _order(context, request["computeEnvironmentOrder"])
    actions = queue.time_limit_actions
    if "jobStateTimeLimitActions" in request:
        actions = _time_limit_actions(request["jobStateTimeLimitActions"])
    # Everything is checked by now: an update is taken whole or not at all.
    state, checked_policy = (
        _state(request, queue.state),
        _policy(context, policy or queue.scheduling_policy_arn),
    )
    queue.state, queue.scheduling_policy_arn = state, checked_policy
    queue.compute_environments, queue.time_limit_actions = order, actions
    queue.priority = request.get("priority", queue.priority)
    context.registry.touch(queue)
    context.emit(ResourcesChanged())
    return {"jobQueueName": queue.name, "jobQueueArn": queue.arn}


def delete(context: CallContext, request: Wire) -> Wire:
    """DeleteJobQueue: only when it is DISABLED; its jobs are terminated, then it is gone."""
    queue = context.find_queue(request["jobQueue"])
    if queue is None or queue.status == "DELETING":
        return {}
    if queue.state is not State.DISABLED:
        raise ClientError("Cannot delete, job queue must be DISABLED first")
    queue.status, queue.status_reason = "DELETING", "JobQueue is being deleted"
    context.registry.touch(queue)
    context.emit(QueueDeleted(queue.name))
    return {}


def describe_all(context: CallContext, request: Wire) -> Wire:
    """DescribeJobQueues: those named, or all. Names that do not exist are left out."""
    named = request.get("jobQueues")
    if named is not None and len(named) > 100:
        raise ClientError(f"No more than 100 job queues may be described at once, got {len(named)}")
    if named:
        found = [context.find_queue(reference) for reference in named]
    else:
        found = list(context.registry.job_queues.values())
    items = [describe.job_queue(item, context.registry) for item in found if item is not None]
    return page(items, request, key="jobQueues")


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
