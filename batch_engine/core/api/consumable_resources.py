"""Creates, updates, deletes and lists consumable resources, and lists the jobs that use them.

https://docs.aws.amazon.com/batch/latest/userguide/resource-aware-scheduling.html
"""

from dataclasses import replace

from batch_engine.core.api.context import CallContext, Operation, check_name, check_tags
from batch_engine.core.api.paging import page
from batch_engine.core.capacity.consumable_locks import NON_REPLENISHABLE
from batch_engine.core.model.errors import ClientError
from batch_engine.core.model.jobs import Job, JobStatus
from batch_engine.core.model.resources import ConsumableResource
from batch_engine.core.model.wire import Wire

MAX_RESOURCES = 50_000
TYPES = ("REPLENISHABLE", NON_REPLENISHABLE)
OPERATIONS_OF_UPDATE = ("SET", "ADD", "REMOVE")
TOKEN_LIFE_MS = 8 * 3600 * 1000


def create(context: CallContext, request: Wire) -> Wire:
    """CreateConsumableResource: checks the request, and adds the resource."""
    name = check_name(request["consumableResourceName"], "Consumable Resource name")
    registry = context.registry
    if name in registry.consumable_resources:
        raise ClientError(f"Consumable Resource {name} already exists")
    if len(registry.consumable_resources) >= MAX_RESOURCES:
        raise ClientError(f"No more than {MAX_RESOURCES} consumable resources are allowed")
    kind = request.get("resourceType") or TYPES[0]
    if kind not in TYPES:
        raise ClientError(f"resourceType must be one of {', '.join(TYPES)}, got {kind}")
    resource = ConsumableResource(
        name=name,
        arn=context.arns.batch("consumable-resource", name),
        total=_not_negative("totalQuantity", request.get("totalQuantity") or 0),
        type=kind,
        created_at_ms=context.now_ms,
        tags=check_tags(request.get("tags")),
    )
    context.put(resource)
    return {"consumableResourceName": name, "consumableResourceArn": resource.arn}


def _not_negative(member: str, value: int) -> int:
    if value < 0:
        raise ClientError(f"{member} must be at least 0, got {value}")
    return value


def _require(context: CallContext, reference: str) -> ConsumableResource:
    name = context.arns.name_of(reference, "consumable-resource")
    resource = context.registry.consumable_resources.get(name)
    if resource is None:
        raise ClientError(f"Consumable Resource {reference} does not exist")
    return resource


def update(context: CallContext, request: Wire) -> Wire:
    """UpdateConsumableResource: sets, adds or takes away; a repeated clientToken changes nothing."""
    resource = _require(context, request["consumableResource"])
    operation = request.get("operation") or "SET"
    if operation not in OPERATIONS_OF_UPDATE:
        raise ClientError(f"operation must be one of {', '.join(OPERATIONS_OF_UPDATE)}, got {operation}")
    quantity = _not_negative("quantity", request.get("quantity") or 0)
    token = request.get("clientToken")
    if token is not None and not 1 <= len(token) <= 64:
        raise ClientError(f"clientToken must have 1 to 64 characters, got {len(token)}")
    fresh = {key: at_ms for key, at_ms in resource.tokens.items() if context.now_ms - at_ms < TOKEN_LIFE_MS}
    if token is None or token not in fresh:
        total = {"SET": quantity, "ADD": resource.total + quantity, "REMOVE": resource.total - quantity}
        resource = replace(
            resource,
            total=_not_negative("totalQuantity", total[operation]),
            tokens=fresh if token is None else {**fresh, token: context.now_ms},
        )
        context.put(resource)
        resource = _require(context, request["consumableResource"])
    return {
        "consumableResourceName": resource.name,
        "consumableResourceArn": resource.arn,
        "totalQuantity": _total(resource),
    }


def _total(resource: ConsumableResource) -> int:
    """Returns the total, which is at least the quantity in use."""
    return max(resource.total, resource.in_use)


def delete(context: CallContext, request: Wire) -> Wire:
    """DeleteConsumableResource: refused while a job holds some; AWS does not document this."""
    resource = _require(context, request["consumableResource"])
    if resource.in_use:
        raise ClientError(
            f"Cannot delete, {resource.in_use} of Consumable Resource {resource.name} are in use"
        )
    context.remove(resource)
    return {}


def describe_one(context: CallContext, request: Wire) -> Wire:
    """DescribeConsumableResource: returns one resource with its quantities."""
    resource = _require(context, request["consumableResource"])
    return {
        **_summary(resource),
        "availableQuantity": resource.available,
        "createdAt": resource.created_at_ms,
        "tags": resource.tags,
    }


def _summary(resource: ConsumableResource) -> Wire:
    return {
        "consumableResourceName": resource.name,
        "consumableResourceArn": resource.arn,
        "totalQuantity": _total(resource),
        "inUseQuantity": resource.in_use,
        "resourceType": resource.type,
    }


def list_all(context: CallContext, request: Wire) -> Wire:
    """ListConsumableResources: returns all, or those whose names match a filter."""
    wanted = _filters(request, ("CONSUMABLE_RESOURCE_NAME",))
    found = [
        resource
        for resource in context.registry.consumable_resources.values()
        if _matches(resource.name, wanted.get("CONSUMABLE_RESOURCE_NAME"))
    ]
    return page(
        found,
        request,
        member="consumableResources",
        by=lambda resource: [resource.created_order],
        show=_summary,
    )


def _filters(request: Wire, allowed: tuple[str, ...]) -> dict[str, list[str]]:
    wanted: dict[str, list[str]] = {}
    for item in request.get("filters") or []:
        if item.get("name") not in allowed:
            raise ClientError(f"filter name must be one of {', '.join(allowed)}, got {item.get('name')}")
        wanted[item["name"]] = item.get("values") or []
    return wanted


def _matches(name: str, patterns: list[str] | None) -> bool:
    """Returns whether a name matches a pattern, in any case; a trailing ``*`` matches any end."""
    if patterns is None:
        return True
    folded = name.casefold()
    return any(
        folded.startswith(pattern[:-1].casefold()) if pattern.endswith("*") else folded == pattern.casefold()
        for pattern in patterns
    )


def list_jobs(context: CallContext, request: Wire) -> Wire:
    """ListJobsByConsumableResource: returns every known job that names the resource."""
    resource = _require(context, request["consumableResource"])
    wanted = _filters(request, ("JOB_STATUS", "JOB_NAME"))
    for status in wanted.get("JOB_STATUS", []):
        if status not in JobStatus.__members__:
            raise ClientError(f"JOB_STATUS must be one of {', '.join(JobStatus)}, got {status}")
    found = [
        job
        for job in context.registry.jobs.values()
        if resource.name in job.consumables
        and ("JOB_STATUS" not in wanted or job.status in wanted["JOB_STATUS"])
        and _matches(job.name, wanted.get("JOB_NAME"))
    ]
    return page(
        found,
        request,
        member="jobs",
        by=lambda job: [job.serial],
        show=lambda job: _job(context, job, resource.name),
    )


def _job(context: CallContext, job: Job, name: str) -> Wire:
    queue = context.registry.job_queues.get(job.queue)
    listed = [
        {"consumableResource": context.arns.batch("consumable-resource", each), "quantity": quantity}
        for each, quantity in job.consumables.items()
    ]
    optional = {
        "jobDefinitionArn": job.definition_arn,
        "shareIdentifier": job.share_identifier,
        "statusReason": job.status_reason,
        "startedAt": job.started_at_ms,
    }
    return {
        "jobArn": job.arn,
        "jobQueueArn": job.queue if queue is None else queue.arn,
        "jobName": job.name,
        "jobStatus": job.status.value,
        "quantity": job.consumables[name],
        "createdAt": job.created_at_ms,
        "consumableResourceProperties": {"consumableResourceList": listed},
        **{member: value for member, value in optional.items() if value is not None},
    }


OPERATIONS: dict[str, Operation] = {
    "CreateConsumableResource": create,
    "UpdateConsumableResource": update,
    "DeleteConsumableResource": delete,
    "DescribeConsumableResource": describe_one,
    "ListConsumableResources": list_all,
    "ListJobsByConsumableResource": list_jobs,
}
