"""Registers, deregisters and describes job definitions.

https://docs.aws.amazon.com/batch/latest/APIReference/API_RegisterJobDefinition.html
"""

from dataclasses import replace

from batch_engine.core.api import wire as describe
from batch_engine.core.api.context import CallContext, Operation, check_name, check_tags, named
from batch_engine.core.api.paging import page, whole
from batch_engine.core.model.errors import ClientError
from batch_engine.core.model.resources import JobDefinition, Platform
from batch_engine.core.model.wire import Wire
from batch_engine.core.rules.containers import check_container, check_task
from batch_engine.core.rules.nodes import check_nodes
from batch_engine.core.rules.pods import check_pod
from batch_engine.core.rules.retry import parse_retry_strategy

MIN_TIMEOUT_S = 60
BODIES = ("containerProperties", "ecsProperties", "eksProperties", "nodeProperties")
CAPABILITIES = ("EC2", "FARGATE", "MANAGED_INSTANCES")
MAX_PRIORITY = 9999
MAX_CONSUMABLES = 5
MAX_DIGITS = 9


def register(context: CallContext, request: Wire) -> Wire:
    """RegisterJobDefinition: adds revision 1 of a new name, or the next revision of a known one."""
    name = check_name(request["jobDefinitionName"], "Job definition name")
    _check(request)
    revisions = context.registry.job_definitions.get(name, {})
    revision = max(revisions, default=0) + 1
    definition = JobDefinition(
        name=name,
        revision=revision,
        arn=context.arns.batch("job-definition", f"{name}:{revision}"),
        body=request,
    )
    context.put(definition)
    return {"jobDefinitionName": name, "jobDefinitionArn": definition.arn, "revision": revision}


def platform_of(body: Wire) -> Platform:
    """Returns the platform of a definition; EC2 if it names none."""
    capabilities = body.get("platformCapabilities") or ["EC2"]
    return Platform.FARGATE if capabilities[0] == "FARGATE" else Platform.EC2


def _check(request: Wire) -> None:
    kind = request["type"]
    if kind not in ("container", "multinode"):
        raise ClientError(f"type must be container or multinode, got {kind}")
    given = [body for body in BODIES if body in request]
    if len(given) != 1:
        raise ClientError(
            f"Exactly one of {', '.join(BODIES)} must be given, got {', '.join(given) or 'none'}"
        )
    body = given[0]
    if (kind == "multinode") != (body == "nodeProperties"):
        raise ClientError(f"A job definition of type {kind} cannot have {body}")
    _check_capabilities(request.get("platformCapabilities"), body)
    if body == "eksProperties" and request.get("propagateTags"):
        raise ClientError("propagateTags is not applicable for EKS.")
    priority = request.get("schedulingPriority", 0)
    if not 0 <= priority <= MAX_PRIORITY:
        raise ClientError(f"schedulingPriority must be between 0 and {MAX_PRIORITY}, got {priority}")
    check_tags(request.get("tags"))
    parse_retry_strategy(request.get("retryStrategy"))
    check_timeout(request.get("timeout"))
    check_consumables(request.get("consumableResourceProperties"))
    platform = platform_of(request)
    match body:
        case "containerProperties":
            check_container(request[body], platform)
        case "ecsProperties":
            check_task(request[body], platform)
        case "eksProperties":
            check_pod(request[body])
        case _:
            check_nodes(request[body])
            for entry in request[body]["nodeRangeProperties"]:
                check_consumables(entry.get("consumableResourceProperties"))


def _check_capabilities(capabilities: list[str] | None, body: str) -> None:
    if capabilities is None:
        return
    if body == "eksProperties":
        raise ClientError("platformCapabilities is not applicable for EKS.")
    if len(capabilities) != 1 or capabilities[0] not in CAPABILITIES:
        raise ClientError(
            f"platformCapabilities must be one of {', '.join(CAPABILITIES)}, got {capabilities}"
        )
    if capabilities[0] == "FARGATE" and body == "nodeProperties":
        raise ClientError("Multi-node parallel jobs are not applicable for Fargate.")
    if capabilities[0] == "MANAGED_INSTANCES" and body != "ecsProperties":
        raise ClientError(f"MANAGED_INSTANCES requires ecsProperties, got {body}")


def check_consumables(properties: Wire | None) -> None:
    """Checks ``consumableResourceProperties``.

    Raises:
        ClientError: there are more than 5, a name is absent or given twice, or a quantity is below 1.
    """
    entries = (properties or {}).get("consumableResourceList") or []
    if len(entries) > MAX_CONSUMABLES:
        raise ClientError(
            f"A job can name at most {MAX_CONSUMABLES} consumable resources, got {len(entries)}"
        )
    names = [entry.get("consumableResource") or "" for entry in entries]
    if len(set(names)) < len(names):
        raise ClientError("Duplicate consumable resources are not allowed.")
    for entry, name in zip(entries, names, strict=True):
        quantity = entry.get("quantity")
        if not name:
            raise ClientError("consumableResource is required.")
        if quantity is None or quantity < 1:
            raise ClientError(f"quantity of {name} must be at least 1, got {quantity}")


def check_timeout(wire: Wire | None) -> int | None:
    """Returns ``attemptDurationSeconds`` of a timeout, or None if there is none.

    Raises:
        ClientError: it is less than a minute.
    """
    duration_s = (wire or {}).get("attemptDurationSeconds")
    if duration_s is not None and duration_s < MIN_TIMEOUT_S:
        raise ClientError(f"attemptDurationSeconds must be at least {MIN_TIMEOUT_S}, got {duration_s}")
    return duration_s


def find(context: CallContext, reference: str) -> JobDefinition | None:
    """Returns a definition by ``name``, ``name:revision`` or ARN; by default the latest ACTIVE revision."""
    name, _, revision = context.arns.name_of(reference, "job-definition").partition(":")
    revisions = context.registry.job_definitions.get(name, {})
    if not revision:
        latest = revisions[max(revisions)] if revisions else None
        if latest is None or latest.active:
            return latest
        return next(
            (revisions[number] for number in sorted(revisions, reverse=True) if revisions[number].active),
            None,
        )
    is_number = revision.isascii() and revision.isdigit() and len(revision) <= MAX_DIGITS
    return revisions.get(int(revision)) if is_number else None


def deregister(context: CallContext, request: Wire) -> Wire:
    """DeregisterJobDefinition: the revision becomes INACTIVE; jobs that use it go on."""
    reference = request["jobDefinition"]
    if ":" not in context.arns.name_of(reference, "job-definition"):
        raise ClientError(f"jobDefinition must be name:revision or an ARN with a revision, got {reference}")
    definition = find(context, reference)
    if definition is not None and definition.active:
        context.put(replace(definition, active=False, inactive_since_ms=context.now_ms))
    return {}


def describe_all(context: CallContext, request: Wire) -> Wire:
    """DescribeJobDefinitions: returns definitions by list, by name or by status."""
    references = named(request, "jobDefinitions")
    if references:
        if request.get("jobDefinitionName") or request.get("status"):
            raise ClientError("jobDefinitions cannot be combined with other parameters")
        named_items = (find(context, reference) for reference in references)
        shown = [describe.job_definition(item) for item in named_items if item is not None]
        return whole(shown, request, member="jobDefinitions")
    found = [item for revisions in context.registry.job_definitions.values() for item in revisions.values()]
    if wanted := request.get("jobDefinitionName"):
        found = [item for item in found if item.name == context.arns.name_of(wanted, "job-definition")]
    if status := request.get("status"):
        found = [item for item in found if item.active == (status == "ACTIVE")]
    return page(
        found,
        request,
        member="jobDefinitions",
        by=lambda item: [item.name, -item.revision],
        show=describe.job_definition,
        kinds=(str, int),
    )


OPERATIONS: dict[str, Operation] = {
    "RegisterJobDefinition": register,
    "DeregisterJobDefinition": deregister,
    "DescribeJobDefinitions": describe_all,
}
