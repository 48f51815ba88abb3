"""Creates, updates, deletes and describes compute environments.

https://docs.aws.amazon.com/batch/latest/APIReference/API_CreateComputeEnvironment.html
"""

from dataclasses import replace

from batch_engine.core.api import wire
from batch_engine.core.api.context import CallContext, Operation, check_name, check_tags, named
from batch_engine.core.api.environment_checks import check_instances, check_new, check_update
from batch_engine.core.api.paging import page, whole
from batch_engine.core.model.errors import ClientError
from batch_engine.core.model.resources import PASSING, ComputeEnvironment, Platform, State
from batch_engine.core.model.wire import Wire

MAX_COMPUTE_ENVIRONMENTS = 50
MAX_PER_CLUSTER = 5
SERVICE_LINKED_ROLE = "aws-service-role/batch.amazonaws.com/AWSServiceRoleForBatch"
FARGATE_TYPES = ("FARGATE", "FARGATE_SPOT")
RESOURCE_TYPES = ("EC2", "SPOT", *FARGATE_TYPES, "ECS_MANAGED_INSTANCES")
NOT_FOR_FARGATE = (
    "minvCpus",
    "desiredvCpus",
    "allocationStrategy",
    "instanceTypes",
    "imageId",
    "ec2KeyPair",
    "instanceRole",
    "tags",
    "placementGroup",
    "bidPercentage",
    "spotIamFleetRole",
    "launchTemplate",
    "ec2Configuration",
    "scalingPolicy",
)
EXTRA_MEMBERS = ("context", "ecsSettings")


def create(context: CallContext, request: Wire) -> Wire:
    """CreateComputeEnvironment: checks the request, and adds the environment in CREATING."""
    name = check_name(request["computeEnvironmentName"], "Compute Environment name")
    registry = context.registry
    if name in registry.compute_environments:
        raise ClientError(f"Compute Environment {name} already exists")
    if len(registry.compute_environments) >= MAX_COMPUTE_ENVIRONMENTS:
        raise ClientError(f"No more than {MAX_COMPUTE_ENVIRONMENTS} compute environments are allowed")
    kind = request["type"]
    if kind not in ("MANAGED", "UNMANAGED"):
        raise ClientError(f"type must be MANAGED or UNMANAGED, got {kind}")
    check_new(request)
    _check_cluster(context, request.get("eksConfiguration"))
    resources = request.get("computeResources") or {}
    if kind == "MANAGED":
        resources = _managed(resources, on_eks="eksConfiguration" in request)
    elif resources.get("maxvCpus", 1) < 1:
        raise ClientError(f"maxvCpus must be at least 1, got {resources['maxvCpus']}")
    elif not request.get("serviceRole"):
        raise ClientError("ServiceRole is required.")
    elif SERVICE_LINKED_ROLE in request["serviceRole"]:
        raise ClientError("Service Linked Role cannot be used with UNMANAGED Compute Environment")
    uuid = context.ids.uuid()
    environment = ComputeEnvironment(
        name=name,
        arn=context.arns.batch("compute-environment", name),
        uuid=uuid,
        ecs_cluster_arn=context.arns.ecs(f"cluster/{name}_Batch_{uuid}"),
        type=kind,
        state=_state(request, State.ENABLED),
        resources=resources,
        service_role=request.get("serviceRole") or _service_linked_role(context),
        unmanaged_vcpus=request.get("unmanagedvCpus"),
        update_policy=(
            {"terminateJobsOnUpdate": False, "jobExecutionTimeoutMinutes": 30} if kind == "MANAGED" else None
        ),
        eks=request.get("eksConfiguration"),
        extra=_extra(request),
        tags=check_tags(request.get("tags")),
        status="CREATING",
        status_reason="ComputeEnvironment is being created",
    )
    context.put(environment)
    return {"computeEnvironmentName": name, "computeEnvironmentArn": environment.arn}


def _check_cluster(context: CallContext, eks: Wire | None) -> None:
    cluster = (eks or {}).get("eksClusterArn")
    known = [item.eks for item in context.registry.compute_environments.values() if item.eks]
    if cluster and sum(item.get("eksClusterArn") == cluster for item in known) >= MAX_PER_CLUSTER:
        raise ClientError(f"No more than {MAX_PER_CLUSTER} compute environments are allowed for {cluster}")


def _extra(request: Wire) -> Wire:
    return {member: request[member] for member in EXTRA_MEMBERS if member in request}


def _service_linked_role(context: CallContext) -> str:
    arns = context.arns
    return f"arn:{arns.partition}:iam::{arns.account}:role/{SERVICE_LINKED_ROLE}"


def _state(request: Wire, default: State) -> State:
    state = request.get("state") or default
    if state not in State.__members__:
        raise ClientError(f"state must be ENABLED or DISABLED, got {state}")
    return State(state)


def _merged(before: Wire, changes: Wire) -> Wire:
    """Returns ``before`` with the members of ``changes`` in place of its own, at every depth."""
    merged = {**before, **changes}
    for name, value in changes.items():
        if isinstance(value, dict) and isinstance(before.get(name), dict):
            merged[name] = _merged(before[name], value)
    return merged


def _managed(resources: Wire, *, on_eks: bool) -> Wire:
    """Checks the settings of a managed environment, and adds the defaults of AWS Batch.

    Raises:
        ClientError: in AWS Batch's own words where they are known.
    """
    kind = resources.get("type")
    if kind not in RESOURCE_TYPES:
        raise ClientError(f"computeResources.type must be one of {', '.join(RESOURCE_TYPES)}, got {kind}")
    if (provider := resources.get("managedInstancesProvider")) is not None:
        if kind != "ECS_MANAGED_INSTANCES":
            raise ClientError(f"managedInstancesProvider is only for ECS_MANAGED_INSTANCES, got {kind}")
        for member in ("infrastructureRoleArn", "instanceLaunchTemplate"):
            if member not in provider:
                raise ClientError(f"managedInstancesProvider.{member} is required.")
    largest = resources["maxvCpus"]
    if largest < 1:
        raise ClientError(f"maxvCpus must be at least 1, got {largest}")
    if kind in FARGATE_TYPES:
        for member in NOT_FOR_FARGATE:
            if member in resources:
                raise ClientError(f"{member} is not applicable for Fargate.")
        if len(resources.get("subnets") or []) > 16:
            raise ClientError("Fargate supports a maximum of 16 subnets.")
        return resources
    if kind == "ECS_MANAGED_INSTANCES":
        return resources
    return _on_instances(resources, on_eks=on_eks)


def _on_instances(resources: Wire, *, on_eks: bool) -> Wire:
    if "minvCpus" not in resources:
        raise ClientError("Resource minvCpus is required.")
    if not resources.get("instanceTypes"):
        raise ClientError("Resource instanceTypes are required.")
    if not on_eks and not resources.get("instanceRole"):
        raise ClientError("Instance role is required.")
    smallest, largest = resources["minvCpus"], resources["maxvCpus"]
    if largest < smallest:
        raise ClientError("maxvCpus should be greater than or equal to minvCpus.")
    desired = resources.get("desiredvCpus", smallest)
    if not smallest <= desired <= largest:
        raise ClientError("desiredvCpus should be between minvCpus and maxvCpus.")
    check_instances(resources, on_eks=on_eks)
    if images := resources.get("ec2Configuration"):
        # batchImageStatus is for reading only, but clients send back the descriptions that they received.
        images = [{name: entry[name] for name in entry if name != "batchImageStatus"} for entry in images]
        resources = {**resources, "ec2Configuration": images}
    return {"allocationStrategy": "BEST_FIT", **resources, "desiredvCpus": desired}


def update(context: CallContext, request: Wire) -> Wire:
    """UpdateComputeEnvironment: replaces the given members and keeps the others."""
    environment = _require(context, request["computeEnvironment"])
    if environment.status in ("CREATING", "DELETING"):
        raise ClientError("Cannot update, resource is being modified")
    changes = dict(request.get("computeResources") or {})
    # AWS resets this member after the update; the engine has no newer image to update to.
    changes.pop("updateToLatestImageVersion", None)
    state, resources = _state(request, environment.state), environment.resources
    if environment.type == "MANAGED":
        check_update(environment, request)
        resources = _updated(environment, changes)
    elif changes:
        raise ClientError("computeResources cannot be updated for an UNMANAGED compute environment")
    update_policy = environment.update_policy
    if request.get("updatePolicy"):
        update_policy = {**(update_policy or {}), **request["updatePolicy"]}
    updated = replace(
        environment,
        resources=resources,
        state=state,
        status="UPDATING",
        status_reason="ComputeEnvironment is being updated",
        service_role=request.get("serviceRole") or environment.service_role,
        unmanaged_vcpus=request.get("unmanagedvCpus", environment.unmanaged_vcpus),
        update_policy=update_policy,
        extra={
            **environment.extra,
            **{member: request[member] for member in EXTRA_MEMBERS if member in request},
        },
    )
    context.put(updated)
    return {
        "computeEnvironmentName": environment.name,
        "computeEnvironmentArn": environment.arn,
    }


def _updated(environment: ComputeEnvironment, changes: Wire) -> Wire:
    merged = {**environment.resources, **changes}
    if provider := environment.resources.get("managedInstancesProvider"):
        changed = changes.get("managedInstancesProvider") or {}
        merged["managedInstancesProvider"] = _merged(provider, changed)
    if "desiredvCpus" not in changes and "desiredvCpus" in merged:
        least = max(merged["desiredvCpus"], merged.get("minvCpus", 0))
        merged["desiredvCpus"] = min(least, merged["maxvCpus"])
    return _managed(merged, on_eks=environment.eks is not None)


def delete(context: CallContext, request: Wire) -> Wire:
    """DeleteComputeEnvironment: needs DISABLED and no queue; removes the environment when its jobs are over.

    A Fargate environment with jobs turns INVALID instead.
    """
    environment = context.find_environment(request["computeEnvironment"])
    if environment is None or environment.status == "DELETING":
        return {}
    if environment.state is not State.DISABLED:
        raise ClientError("Cannot delete, compute environment must be DISABLED first")
    if context.registry.queues_of(environment.name):
        raise ClientError("Cannot delete, found existing JobQueue relationship")
    if environment.status in PASSING:
        raise ClientError("Cannot delete, resource is being modified")
    if environment.platform is Platform.FARGATE and _has_jobs(context, environment):
        status, reason = "INVALID", "CLIENT_ERROR - Cannot delete, jobs are still active on Fargate"
    else:
        status, reason = "DELETING", "ComputeEnvironment is being deleted"
    context.put(replace(environment, status=status, status_reason=reason))
    return {}


def _has_jobs(context: CallContext, environment: ComputeEnvironment) -> bool:
    return any(
        job.status.is_placed and job.attempt.compute_environment == environment.name
        for job in context.registry.jobs.values()
    )


def describe_all(context: CallContext, request: Wire) -> Wire:
    """DescribeComputeEnvironments: returns the named ones, or all; unknown names are left out."""
    if references := named(request, "computeEnvironments"):
        found = [context.find_environment(reference) for reference in references]
        shown = [wire.compute_environment(item) for item in found if item is not None]
        return whole(shown, request, member="computeEnvironments")
    everything = context.registry.compute_environments.values()
    return page(
        everything,
        request,
        member="computeEnvironments",
        by=lambda item: [item.created_order],
        show=wire.compute_environment,
    )


def _require(context: CallContext, reference: str) -> ComputeEnvironment:
    environment = context.find_environment(reference)
    if environment is None:
        raise ClientError(f"{reference} does not exist")
    return environment


OPERATIONS: dict[str, Operation] = {
    "CreateComputeEnvironment": create,
    "UpdateComputeEnvironment": update,
    "DeleteComputeEnvironment": delete,
    "DescribeComputeEnvironments": describe_all,
}
