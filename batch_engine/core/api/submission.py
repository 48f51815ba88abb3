"""Makes a job from a SubmitJob request, and checks the request.

https://docs.aws.amazon.com/batch/latest/APIReference/API_SubmitJob.html
"""

import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from batch_engine.core.api import job_definitions
from batch_engine.core.api.context import CallContext, check_tags
from batch_engine.core.api.templates import Template
from batch_engine.core.model.errors import ClientError
from batch_engine.core.model.events import JobSubmitted
from batch_engine.core.model.jobs import Job, RetryStrategy
from batch_engine.core.model.resources import JobDefinition, JobQueue, Platform
from batch_engine.core.model.wire import Wire
from batch_engine.core.rules import ecs_tasks
from batch_engine.core.rules import nodes as node_rules
from batch_engine.core.rules.fair_share import MAX_ACTIVE_SHARES
from batch_engine.core.rules.rendering import render_container
from batch_engine.core.rules.requirements import Needs
from batch_engine.core.rules.retry import parse_retry_strategy
from batch_engine.core.scheduling import dependencies
from batch_engine.core.state import arrays

MAX_OVERRIDE_BYTES = 8192
MAX_PROPAGATED_TAGS = 50
MAX_CONSUMABLES = 5
MAX_PRIORITY = 9999
SHARE_IDENTIFIER = re.compile(r"[A-Za-z0-9]{1,255}|[A-Za-z0-9]{0,254}\*")


def _template(context: CallContext, request: Wire, body: Wire) -> Template:
    retry = parse_retry_strategy(request.get("retryStrategy") or body.get("retryStrategy"))
    common = Template(
        body=body,
        platform=job_definitions.platform_of(body),
        retry=retry or RetryStrategy(),
        parameters={**(body.get("parameters") or {}), **(request.get("parameters") or {})},
        timeout_s=job_definitions.check_timeout(request.get("timeout") or body.get("timeout")),
        propagate_tags=bool(request.get("propagateTags", body.get("propagateTags"))),
    )
    if "nodeProperties" in body:
        return common
    needed = request.get("consumableResourcePropertiesOverride") or body.get("consumableResourceProperties")
    consumed = consumables(context, needed)
    container, needs, name = _rendered(body, request, common.parameters, common.platform)
    refusal = _size_refusal(container)
    return replace(
        common,
        consumables=consumed,
        container=container,
        needs=needs,
        ecs_container=name,
        start_refusal=refusal,
    )


def new_job(context: CallContext, request: Wire, queue: JobQueue, definition: JobDefinition) -> JobSubmitted:
    """Returns the job that a request asks for, in SUBMITTED and with its nodes. It is not in the registry.

    Raises:
        ClientError: AWS Batch would refuse the request, or this engine cannot carry it out.
    """
    _check_platform(context, queue, definition)
    array_size = arrays.parse_size(request["arrayProperties"]) if "arrayProperties" in request else None
    template = context.templates.of(request, definition, partial(_template, context))
    share_identifier, priority = _share(context, request, queue, definition.body)
    job = Job(
        context.ids.uuid(),
        request["jobName"],
        queue.name,
        definition.arn,
        0,  # the order, which the scheduler sets
        context.now_ms,
        template.platform,
        template.needs.milli_vcpus,
        template.needs.memory_mib,
        template.container,
        template.retry,
        template.parameters,
        template.needs.gpus,
        template.timeout_s,
        template.propagate_tags,
        priority,
        share_identifier,
        template.consumables,
        array_size=array_size,
        ecs_container=template.ecs_container,
        start_refusal=template.start_refusal,
    )
    if "dependsOn" in request:
        job.depends_on = dependencies.parse(context.registry, request["dependsOn"], array_size)
    if "tags" in request:
        job.tags = check_tags(request["tags"])
    if "nodeProperties" in definition.body:
        return JobSubmitted(job, _nodes(context, job, request, definition.body), job.tags)
    if request.get("nodeOverrides"):
        raise ClientError(
            f"nodeOverrides is only for multi-node job definitions, and {definition.name} is not one"
        )
    if job.propagate_tags:
        job.start_refusal = job.start_refusal or _tag_refusal(job, definition.body)
    return JobSubmitted(job, tags=job.tags)


def _rendered(
    body: Wire, request: Wire, parameters: Mapping[str, str], platform: Platform
) -> tuple[Wire, Needs, str | None]:
    """Returns the container that runs, what it needs, and its name in an ECS task."""
    defined, overrides, name = _container(body, request)
    container, needs = render_container(defined, overrides, parameters, platform)
    return container, needs, name


def _size_refusal(container: Wire) -> str | None:
    if override_bytes(container) <= MAX_OVERRIDE_BYTES:
        return None
    # AWS Batch accepts such a job, and fails it only when it is dispatched.
    return f"Container Overrides length must be at most {MAX_OVERRIDE_BYTES}"


def _nodes(context: CallContext, job: Job, request: Wire, body: Wire) -> tuple[Job, ...]:
    """Returns the nodes of a multi-node parallel job."""
    for member in ("arrayProperties", "containerOverrides", "ecsPropertiesOverride"):
        if request.get(member):
            raise ClientError(f"{member} is not applicable for multi-node parallel jobs")
    overrides, properties = request.get("nodeOverrides") or {}, body["nodeProperties"]
    job.node_properties = node_rules.overridden(properties, overrides)
    job.num_nodes, job.main_node = job.node_properties["numNodes"], job.node_properties["mainNode"]
    nodes = []
    together: Counter[str] = Counter()
    for index, (entry, change) in enumerate(node_rules.plan(properties, overrides)):
        node = replace(
            job,
            id=f"{job.id}#{index}",
            parent_id=job.id,
            node_index=index,
            node_properties=None,
            consumables=consumables(
                context,
                change.get("consumableResourcePropertiesOverride")
                or entry.get("consumableResourceProperties"),
            ),
            depends_on=(),
            timeout_s=None,
            tags={},
            attempts=[],
            moves=[],
        )
        kind, word = ("containerProperties", "container") if "container" in entry else ("ecsProperties",) * 2
        node.container, needs, node.ecs_container = _rendered(
            {kind: entry[word]}, change, node.parameters, node.platform
        )
        node.milli_vcpus, node.memory_mib, node.gpus = needs.milli_vcpus, needs.memory_mib, needs.gpus
        node.start_refusal = _size_refusal(node.container)
        together.update(node.consumables)
        job.start_refusal = job.start_refusal or node.start_refusal
        nodes.append(node)
    job.consumables = dict(together)
    job.start_refusal = job.start_refusal or _tag_refusal(job, body)
    return tuple(nodes)


def _check_platform(context: CallContext, queue: JobQueue, definition: JobDefinition) -> None:
    platform, environments = (
        job_definitions.platform_of(definition.body),
        context.registry.compute_environments,
    )
    for name in queue.compute_environments:
        if environments[name].platform is platform:
            return
    offered = {environments[name].platform for name in queue.compute_environments}
    raise ClientError(
        f"JobDefinition {definition.name} needs {platform}, "
        f"but the compute environments of JobQueue {queue.name} are {'/'.join(sorted(offered))}"
    )


def _container(body: Wire, request: Wire) -> tuple[Wire, Wire, str | None]:
    """Returns the defined container and its overrides, from ``containerProperties`` or ``ecsProperties``."""
    by_container, by_task = (
        request.get("containerOverrides") or {},
        request.get("ecsPropertiesOverride") or {},
    )
    if "containerProperties" in body:
        if by_task:
            raise ClientError("ecsPropertiesOverride is only for job definitions with ecsProperties")
        return body["containerProperties"], by_container, None
    if by_container:
        raise ClientError("containerOverrides cannot be used with ecsProperties: use ecsPropertiesOverride")
    name = ecs_tasks.container_name(body["ecsProperties"])
    overrides = ecs_tasks.container_overrides(by_task, name)
    return ecs_tasks.container_properties(body["ecsProperties"]), overrides, name


def _share(context: CallContext, request: Wire, queue: JobQueue, body: Wire) -> tuple[str | None, int | None]:
    """Returns the share of a job and the priority within it; only fair-share queues have shares."""
    share, override = request.get("shareIdentifier"), request.get("schedulingPriorityOverride")
    if override is not None and not 0 <= override <= MAX_PRIORITY:
        raise ClientError(f"schedulingPriorityOverride must be between 0 and {MAX_PRIORITY}, got {override}")
    if queue.scheduling_policy_arn is None:
        for member, value in (("shareIdentifier", share), ("schedulingPriorityOverride", override)):
            if value is not None:
                raise ClientError(
                    f"{member} cannot be specified: JobQueue {queue.name} has no scheduling policy"
                )
        return None, body.get("schedulingPriority")
    if not share:
        raise ClientError(f"shareIdentifier must be specified: JobQueue {queue.name} has a scheduling policy")
    if not SHARE_IDENTIFIER.fullmatch(share):
        raise ClientError(
            f"shareIdentifier must be at most 255 letters and digits, optionally ending in *, got {share}"
        )
    active = context.active_shares(queue.name)
    if share not in active and len(active) >= MAX_ACTIVE_SHARES:
        raise ClientError(
            f"JobQueue {queue.name} has {MAX_ACTIVE_SHARES} active share identifiers already, "
            f"{share} is a new one"
        )
    return share, body.get("schedulingPriority") if override is None else override


def consumables(context: CallContext, wire: Wire | None) -> dict[str, int]:
    """Returns the quantity of each consumable resource that a job locks while it runs, by name.

    Raises:
        ClientError: there are more than five, a name is absent or given twice, or a quantity is below 1.
    """
    wanted: dict[str, int] = {}
    listed = (wire or {}).get("consumableResourceList") or []
    if len(listed) > MAX_CONSUMABLES:
        raise ClientError(f"A job may use at most {MAX_CONSUMABLES} consumable resources, got {len(listed)}")
    for item in listed:
        name = context.arns.name_of(item.get("consumableResource") or "", "consumable-resource")
        if not name or name in wanted:
            what = f"{name} is named twice" if name else "consumableResource is required"
            raise ClientError(f"consumableResourceProperties: {what}")
        quantity = item.get("quantity", 0)
        if quantity < 1:
            raise ClientError(f"quantity of consumable resource {name} must be at least 1, got {quantity}")
        wanted[name] = int(quantity)
    return wanted


def _tag_refusal(job: Job, body: Wire) -> str | None:
    tags = {**(body.get("tags") or {}), **job.tags}
    if not job.propagate_tags or len(tags) <= MAX_PROPAGATED_TAGS:
        return None
    return f"Tags propagated to the ECS task must be at most {MAX_PROPAGATED_TAGS}, got {len(tags)}"


def override_bytes(container: Wire) -> int:
    """Returns the length of the override that Batch passes to ECS: command, environment and resources."""
    rendered = {member: container[member] for member in ("command", "environment", "resourceRequirements")}
    return len(json.dumps(rendered, separators=(",", ":"), ensure_ascii=False).encode())
