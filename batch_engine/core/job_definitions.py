"""Register, deregister and describe job definitions.

https://docs.aws.amazon.com/batch/latest/APIReference/API_RegisterJobDefinition.html
"""

from batch_engine.core import describe, resources
from batch_engine.core.context import CallContext, Operation, check_name, page
from batch_engine.core.errors import ClientError
from batch_engine.core.model import JobDefinition, Platform, Wire
from batch_engine.core.retry import parse_retry_strategy

MIN_TIMEOUT_S = 60
BODIES = ("containerProperties", "ecsProperties", "eksProperties", "nodeProperties")
FARGATE_ONLY = ("networkConfiguration", "fargatePlatformConfiguration", "runtimePlatform")
NOT_ON_FARGATE = ("devices", "tmpfs", "sharedMemorySize", "swappiness", "maxSwap")
FARGATE_LOG_DRIVERS = ("awslogs", "splunk", "awsfirelens")


def register(context: CallContext, request: Wire) -> Wire:
    """RegisterJobDefinition: revision 1 of a new name, one more of a known one."""
    name = check_name(request["jobDefinitionName"], "Job definition name")
    _check(request)
    revisions = context.registry.job_definitions.get(name, {})
    revision = max(revisions, default=0) + 1
    definition = JobDefinition(
        name=name,
        revision=revision,
        arn=context.arns.batch("job-definition", f"{name}:{revision}"),
        body=request,
        created_order=context.registry.next_order(),
    )
    context.registry.add(definition)
    context.registry.touch(definition)
    return {"jobDefinitionName": name, "jobDefinitionArn": definition.arn, "revision": revision}


def platform_of(body: Wire) -> Platform:
    """What a definition runs on; EC2 where it does not say."""
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
    if (kind == "multinode") != (given[0] == "nodeProperties"):
        raise ClientError(f"A job definition of type {kind} cannot have {given[0]}")
    capabilities = request.get("platformCapabilities") or ["EC2"]
    if len(capabilities) != 1 or capabilities[0] not in ("EC2", "FARGATE", "MANAGED_INSTANCES"):
        raise ClientError(
            f"platformCapabilities must be one of EC2, FARGATE, MANAGED_INSTANCES, got {capabilities}"
        )
    parse_retry_strategy(request.get("retryStrategy"))
    check_timeout(request.get("timeout"))
    if given[0] == "containerProperties":
        _check_container(request["containerProperties"], platform_of(request))


def check_timeout(wire: Wire | None) -> int | None:
    """``attemptDurationSeconds`` of a timeout, or None where none is given.

    Raises:
        ClientError: less than a minute.
    """
    duration_s = (wire or {}).get("attemptDurationSeconds")
    if duration_s is not None and duration_s < MIN_TIMEOUT_S:
        raise ClientError(f"attemptDurationSeconds must be at least {MIN_TIMEOUT_S}, got {duration_s}")
    return duration_s


def _check_container(container: Wire, platform: Platform) -> None:
    if not container.get("image"):
        raise ClientError("Container image is required.")
    if container.get("resourceRequirements") and ("vcpus" in container or "memory" in container):
        raise ClientError("vcpus and memory cannot be combined with resourceRequirements.")
    declared = container.get("resourceRequirements") or []
    if len({wire["type"] for wire in declared}) < len(declared):
        raise ClientError("Cannot provide duplicates in resourceRequirements.")
    resources.parse(resources.merge(container, {}), platform)
    for variable in container.get("environment") or []:
        if str(variable.get("name", "")).startswith("AWS_BATCH"):
            raise ClientError(
                f"Environment variable names cannot start with AWS_BATCH, got {variable['name']}"
            )
    if container.get("secrets") and not container.get("executionRoleArn"):
        raise ClientError("executionRoleArn is required when secrets are given.")
    if platform is Platform.FARGATE:
        _check_fargate(container)
        return
    for member in FARGATE_ONLY:
        if member in container:
            verb = "is not" if member == "runtimePlatform" else "not"
            raise ClientError(f"{member} {verb} applicable for EC2.")


def _check_fargate(container: Wire) -> None:
    if not container.get("executionRoleArn"):
        raise ClientError("executionRoleArn is required for Fargate.")
    if container.get("ulimits"):
        raise ClientError("ulimits is not applicable for Fargate.")
    for member in NOT_ON_FARGATE:
        if member in (container.get("linuxParameters") or {}):
            raise ClientError(f"linuxParameter.{member} is not allowed for Fargate.")
    if any((volume.get("host") or {}).get("sourcePath") for volume in container.get("volumes") or []):
        raise ClientError("host.sourcePath should not be set for volumes in Fargate.")
    size_gib = (container.get("ephemeralStorage") or {}).get("sizeInGiB", 21)
    if not 21 <= size_gib <= 200:
        raise ClientError("Ephemeral storage for Fargate tasks can be only between range 21 GiB to 200 GiB")
    driver = (container.get("logConfiguration") or {}).get("logDriver", "awslogs")
    if driver not in FARGATE_LOG_DRIVERS:
        raise ClientError(f"Log driver for Fargate is not valid: {driver}")


def find(context: CallContext, reference: str) -> JobDefinition | None:
    """A definition by ``name``, ``name:revision`` or ARN; without a revision, the latest ACTIVE one."""
    name, _, revision = context.arns.name_of(reference, "job-definition").partition(":")
    revisions = context.registry.job_definitions.get(name, {})
    if not revision:
        return max(
            (item for item in revisions.values() if item.active), key=lambda item: item.revision, default=None
        )
    return revisions.get(int(revision)) if revision.isascii() and revision.isdigit() else None


def deregister(context: CallContext, request: Wire) -> Wire:
    """DeregisterJobDefinition: the revision becomes INACTIVE; jobs that use it go on."""
    reference = request["jobDefinition"]
    if ":" not in context.arns.name_of(reference, "job-definition"):
        raise ClientError(f"jobDefinition must be name:revision or an ARN with a revision, got {reference}")
    definition = find(context, reference)
    if definition is not None and definition.active:
        definition.active = False
        context.registry.touch(definition)
    return {}


def describe_all(context: CallContext, request: Wire) -> Wire:
    """DescribeJobDefinitions: by list, by name, by status."""
    named = request.get("jobDefinitions")
    if named:
        if len(named) > 100:
            raise ClientError(f"No more than 100 job definitions may be described at once, got {len(named)}")
        if request.get("jobDefinitionName") or request.get("status"):
            raise ClientError("jobDefinitions cannot be combined with other parameters")
        found = [item for item in (find(context, reference) for reference in named) if item is not None]
    else:
        found = [
            item for revisions in context.registry.job_definitions.values() for item in revisions.values()
        ]
        if wanted := request.get("jobDefinitionName"):
            found = [item for item in found if item.name == context.arns.name_of(wanted, "job-definition")]
        if status := request.get("status"):
            found = [item for item in found if item.active == (status == "ACTIVE")]
        found.sort(key=lambda item: (item.name, -item.revision))
    return page([describe.job_definition(item) for item in found], request, key="jobDefinitions")


OPERATIONS: dict[str, Operation] = {
    "RegisterJobDefinition": register,
    "DeregisterJobDefinition": deregister,
    "DescribeJobDefinitions": describe_all,
}
