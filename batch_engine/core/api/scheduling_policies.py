"""Creates, updates, deletes and lists scheduling policies.

https://docs.aws.amazon.com/batch/latest/APIReference/API_CreateSchedulingPolicy.html
"""

from dataclasses import replace

from batch_engine.core.api import wire
from batch_engine.core.api.context import CallContext, Operation, check_name, check_tags
from batch_engine.core.api.paging import page
from batch_engine.core.model.errors import ClientError
from batch_engine.core.model.resources import SchedulingPolicy
from batch_engine.core.model.wire import Wire
from batch_engine.core.rules import fair_share

KINDS = ("fairsharePolicy", "quotaSharePolicy")


def create(context: CallContext, request: Wire) -> Wire:
    """CreateSchedulingPolicy: the kind, fair share or quota share, is fixed."""
    name = check_name(request["name"], "Scheduling policy name")
    arn = context.arns.batch("scheduling-policy", name)
    if arn in context.registry.scheduling_policies:
        raise ClientError(f"{arn} already exists")
    body = {kind: request[kind] for kind in KINDS if kind in request}
    if len(body) > 1:
        raise ClientError("Only one of fairsharePolicy and quotaSharePolicy may be given")
    _check(body)
    policy = SchedulingPolicy(
        name=name,
        arn=arn,
        body=body or {"fairsharePolicy": {}},
        tags=check_tags(request.get("tags")),
    )
    context.put(policy)
    return {"name": name, "arn": arn}


def _check(body: Wire) -> None:
    if "fairsharePolicy" in body:
        fair_share.parse(body["fairsharePolicy"])


def update(context: CallContext, request: Wire) -> Wire:
    """UpdateSchedulingPolicy: replaces the parameters with others of the same kind."""
    policy = context.registry.scheduling_policies.get(request["arn"])
    if policy is None:
        raise ClientError(f"SchedulingPolicy {request['arn']} not found.")
    changes = {kind: request[kind] for kind in KINDS if kind in request}
    for kind in changes:
        if kind not in policy.body:
            raise ClientError(
                f"{request['arn']} cannot become a {kind}: the kind of a scheduling policy is fixed"
            )
    _check(changes)
    context.put(replace(policy, body={**policy.body, **changes}))
    return {}


def delete(context: CallContext, request: Wire) -> Wire:
    """DeleteSchedulingPolicy: refused while a queue uses it."""
    arn = request["arn"]
    policy = context.registry.scheduling_policies.get(arn)
    users = [
        queue.name for queue in context.registry.job_queues.values() if queue.scheduling_policy_arn == arn
    ]
    if users:
        raise ClientError(f"Cannot delete, {arn} is used by JobQueue {', '.join(users)}")
    if policy is not None:
        context.remove(policy)
    return {}


def describe_named(context: CallContext, request: Wire) -> Wire:
    """DescribeSchedulingPolicies: returns policies by ARN; unknown ARNs are left out."""
    if len(request["arns"]) > 100:
        raise ClientError(
            f"No more than 100 scheduling policies may be described at once, got {len(request['arns'])}"
        )
    found = [context.registry.scheduling_policies.get(arn) for arn in request["arns"]]
    return {"schedulingPolicies": [wire.scheduling_policy(item) for item in found if item is not None]}


def list_all(context: CallContext, request: Wire) -> Wire:
    """ListSchedulingPolicies: returns the ARNs of all policies."""
    return page(
        context.registry.scheduling_policies.values(),
        request,
        member="schedulingPolicies",
        by=lambda policy: [policy.created_order],
        show=lambda policy: {"arn": policy.arn},
    )


OPERATIONS: dict[str, Operation] = {
    "CreateSchedulingPolicy": create,
    "UpdateSchedulingPolicy": update,
    "DeleteSchedulingPolicy": delete,
    "DescribeSchedulingPolicies": describe_named,
    "ListSchedulingPolicies": list_all,
}
