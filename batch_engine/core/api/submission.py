"""From a SubmitJob request to a job: everything that is checked before it is accepted.

https://docs.aws.amazon.com/batch/latest/APIReference/API_SubmitJob.html
"""

import json
import re
from collections import Counter
from dataclasses import replace

from batch_engine.core.api import job_definitions
from batch_engine.core.api.context import CallContext, check_tags
from batch_engine.core.model.errors import ClientError
from batch_engine.core.model.events import JobSubmitted
from batch_engine.core.model.jobs import Job, RetryStrategy
from batch_engine.core.model.resources import JobDefinition, JobQueue, Platform
from batch_engine.core.model.wire import Wire
from batch_engine.core.rules import ecs_tasks
from batch_engine.core.rules import nodes as node_rules
from batch_engine.core.rules.fair_share import MAX_ACTIVE_SHARES
from batch_engine.core.rules.rendering import render_container
from batch_engine.core.rules.retry import parse_retry_strategy
from batch_engine.core.scheduling import dependencies
from batch_engine.core.state import arrays

MAX_OVERRIDE_BYTES = 8192
MAX_PROPAGATED_TAGS = 50
MAX_CONSUMABLES = 5
MAX_PRIORITY = 9999
SHARE_IDENTIFIER = re.compile(r"[A-Za-z0-9]{1,255}|[A-Za-z0-9]{0,254}\*")


def new_job(context: CallContext, request: Wire, queue: JobQueue, definition: JobDefinition) -> JobSubmitted:
    """The job that a request asks for, with its nodes if it has any, in SUBMITTED and known to nobody yet.

    Raises:
        ClientError: AWS Batch would refuse it, or this engine cannot do it.
    """
    job = _base(context, request, queue, definition)
    if "nodeProperties" in definition.body:
        return JobSubmitted(job, _nodes(context, job, request, definition.body))
    if request.get("nodeOverrides"):
        raise ClientError(f"nodeOverrides is only for multi-node job definitions, {definition.name} is none")
    needed = definition.body.get("consumableResourceProperties")
    job.consumables = consumables(context, request.get("consumableResourcePropertiesOverride") or needed)
    _fill(job, request, definition.body)
    job.start_refusal = job.start_refusal or _tag_refusal(job, definition.body)
    return JobSubmitted(job)


def _base(context: CallContext, request: Wire, queue: JobQueue, definition: JobDefinition) -> Job:
    """Everything but what runs."""
    body = definition.body
    platform = _platform(context, queue, definition)
    array_size = arrays.parse_size(request.get("arrayProperties"))
    retry = parse_retry_strategy(request.get("retryStrategy") or body.get("retryStrategy"))
    share_identifier, priority = _share(context, request, queue, body)
    job_id = context.ids.uuid()
    return Job(
        id=job_id,
        arn=context.arns.batch("job", job_id),
        name=request["jobName"],
        queue=queue.name,
        definition_arn=definition.arn,
        order=context.registry.next_order(),
        created_at_ms=context.now_ms,
        platform=platform,
        milli_vcpus=0,
        memory_mib=0,
        retry=retry or RetryStrategy(),
        parameters={**(body.get("parameters") or {}), **(request.get("parameters") or {})},
        timeout_s=job_definitions.check_timeout(request.get("timeout") or body.get("timeout")),
        propagate_tags=bool(request.get("propagateTags", body.get("propagateTags"))),
        scheduling_priority=priority,
        share_identifier=share_identifier,
        depends_on=dependencies.parse(context.registry, request.get("dependsOn"), array_size),
        array_size=array_size,
        tags=check_tags(request.get("tags")),
    )


def _fill(job: Job, request: Wire, body: Wire) -> None:
    """What a job, or a node of one, runs and needs."""
    defined, overrides, job.ecs_container = _container(body, request)
    job.container, needs = render_container(defined, overrides, job.parameters, job.platform)
    job.milli_vcpus, job.memory_mib, job.gpus = needs.milli_vcpus, needs.memory_mib, needs.gpus
    if override_bytes(job.container) > MAX_OVERRIDE_BYTES:
        # AWS Batch accepts such a job, and finds out only when it is dispatched.
        job.start_refusal = f"Container Overrides length must be at most {MAX_OVERRIDE_BYTES}"


def _nodes(context: CallContext, job: Job, request: Wire, body: Wire) -> tuple[Job, ...]:
    """The nodes of a multi-node parallel job."""
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
            arn=f"{job.arn}#{index}",
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
            history=[],
        )
        kind, word = ("containerProperties", "container") if "container" in entry else ("ecsProperties",) * 2
        _fill(node, change, {kind: entry[word]})
        together.update(node.consumables)
        job.start_refusal = job.start_refusal or node.start_refusal
        nodes.append(node)
    job.consumables = dict(together)
    job.start_refusal = job.start_refusal or _tag_refusal(job, body)
    return tuple(nodes)


def _platform(context: CallContext, queue: JobQueue, definition: JobDefinition) -> Platform:
    platform = job_definitions.platform_of(definition.body)
    offered = {context.registry.compute_environments[name].platform for name in queue.compute_environments}
    if platform not in offered:
        raise ClientError(
            f"JobDefinition {definition.name} needs {platform}, "
            f"but the compute environments of JobQueue {queue.name} are {'/'.join(sorted(offered))}"
        )
    return platform


def _container(body: Wire, request: Wire) -> tuple[Wire, Wire, str | None]:
    """The defined container and its overrides, whichever words they are in."""
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
    """``shareIdentifier`` and the priority within it: needed on fair-share queues, refused on others."""
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
    """How much of which consumable resources a job locks while it runs, by name.

    Raises:
        ClientError: more than five, or one twice.
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
    """How long the override is that Batch hands to ECS: command, environment and resources."""
    rendered = {member: container[member] for member in ("command", "environment", "resourceRequirements")}
    return len(json.dumps(rendered, separators=(",", ":"), ensure_ascii=False).encode())
