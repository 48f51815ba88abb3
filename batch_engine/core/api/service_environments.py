"""Creates, updates, deletes and describes service environments.

https://docs.aws.amazon.com/batch/latest/APIReference/API_CreateServiceEnvironment.html
"""

from dataclasses import replace

from batch_engine.core.api.context import CallContext, Operation, check_name, check_tags, named
from batch_engine.core.api.paging import page, whole
from batch_engine.core.model.errors import ClientError
from batch_engine.core.model.resources import ServiceEnvironment, State
from batch_engine.core.model.wire import Wire

MAX_ENVIRONMENTS = 50
MAX_CAPACITY_LIMITS = 5
TYPES = ("SAGEMAKER_TRAINING",)
ANY_INSTANCE = "NUM_INSTANCES"


def create(context: CallContext, request: Wire) -> Wire:
    """CreateServiceEnvironment: checks the request, and adds the environment."""
    name = check_name(request["serviceEnvironmentName"], "Service Environment name")
    registry = context.registry
    if name in registry.service_environments:
        raise ClientError(f"{registry.service_environments[name].arn} already exists")
    if len(registry.service_environments) >= MAX_ENVIRONMENTS:
        raise ClientError(f"No more than {MAX_ENVIRONMENTS} service environments are allowed")
    kind = request["serviceEnvironmentType"]
    if kind not in TYPES:
        raise ClientError(f"serviceEnvironmentType must be {', '.join(TYPES)}, got {kind}")
    environment = ServiceEnvironment(
        name=name,
        arn=context.arns.batch("service-environment", name),
        type=kind,
        state=_state(request, State.ENABLED),
        capacity_limits=check_capacity_limits(request["capacityLimits"]),
        tags=check_tags(request.get("tags")),
    )
    context.put(environment)
    return _named(environment)


def _named(environment: ServiceEnvironment) -> Wire:
    return {"serviceEnvironmentName": environment.name, "serviceEnvironmentArn": environment.arn}


def _state(request: Wire, default: State) -> State:
    state = request.get("state") or default
    if state not in State.__members__:
        raise ClientError(f"state must be ENABLED or DISABLED, got {state}")
    return State(state)


def check_capacity_limits(limits: list[Wire], *, of_share: bool = False) -> list[Wire]:
    """Checks ``capacityLimits`` of a service environment or of a quota share.

    Raises:
        ClientError: there are none or too many, a capacity is below 1, or a unit is unknown, given twice, or
            mixed with another kind of unit.
    """
    if not 1 <= len(limits) <= MAX_CAPACITY_LIMITS:
        raise ClientError(f"capacityLimits must have 1 to {MAX_CAPACITY_LIMITS} entries, got {len(limits)}")
    units = [limit.get("capacityUnit") or "" for limit in limits]
    for limit, unit in zip(limits, units, strict=True):
        capacity = limit.get("maxCapacity")
        if capacity is None or capacity < 1:
            raise ClientError(f"maxCapacity must be at least 1, got {capacity}")
        if not unit.startswith("ml.") and (of_share or unit != ANY_INSTANCE):
            allowed = "an instance type such as ml.m5.large"
            if not of_share:
                allowed = f"{ANY_INSTANCE} or {allowed}"
            raise ClientError(f"capacityUnit must be {allowed}, got {unit or 'none'}")
    if len(set(units)) < len(units):
        raise ClientError("Duplicate capacityUnit values are not allowed in capacityLimits")
    if ANY_INSTANCE in units and len(units) > 1:
        raise ClientError(f"{ANY_INSTANCE} cannot be mixed with instance types in capacityLimits")
    return limits


def update(context: CallContext, request: Wire) -> Wire:
    """UpdateServiceEnvironment: replaces the state and the limits if they are given."""
    environment = context.find_service_environment(request["serviceEnvironment"])
    if environment is None:
        raise ClientError(f"{request['serviceEnvironment']} does not exist")
    state, limits = _state(request, environment.state), environment.capacity_limits
    if "capacityLimits" in request:
        limits = check_capacity_limits(request["capacityLimits"])
    context.put(replace(environment, state=state, capacity_limits=limits))
    return _named(environment)


def delete(context: CallContext, request: Wire) -> Wire:
    """DeleteServiceEnvironment: needs DISABLED and no queue."""
    environment = context.find_service_environment(request["serviceEnvironment"])
    if environment is None:
        return {}
    if environment.state is not State.DISABLED:
        raise ClientError("Cannot delete, service environment must be DISABLED first")
    if any(environment.name in queue.service_environments for queue in context.registry.job_queues.values()):
        raise ClientError("Cannot delete, found existing JobQueue relationship")
    context.remove(environment)
    return {}


def describe_all(context: CallContext, request: Wire) -> Wire:
    """DescribeServiceEnvironments: returns the named ones, or all; unknown names are left out."""
    if references := named(request, "serviceEnvironments"):
        found = [context.find_service_environment(reference) for reference in references]
        shown = [_detail(item) for item in found if item is not None]
        return whole(shown, request, member="serviceEnvironments")
    everything = context.registry.service_environments.values()
    return page(
        everything,
        request,
        member="serviceEnvironments",
        by=lambda item: [item.created_order],
        show=_detail,
    )


def _detail(environment: ServiceEnvironment) -> Wire:
    return {
        **_named(environment),
        "serviceEnvironmentType": environment.type,
        "state": environment.state.value,
        "status": environment.status,
        "capacityLimits": environment.capacity_limits,
        "tags": environment.tags,
    }


OPERATIONS: dict[str, Operation] = {
    "CreateServiceEnvironment": create,
    "UpdateServiceEnvironment": update,
    "DeleteServiceEnvironment": delete,
    "DescribeServiceEnvironments": describe_all,
}
