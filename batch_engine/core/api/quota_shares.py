"""Creates, updates, deletes and lists the quota shares of a queue of service jobs.

https://docs.aws.amazon.com/batch/latest/userguide/quota-shares.html
"""

from dataclasses import replace

from batch_engine.core.api.context import CallContext, Operation, check_name, check_tags
from batch_engine.core.api.paging import page
from batch_engine.core.api.queue_types import SAGEMAKER_ONLY, SAGEMAKER_TRAINING
from batch_engine.core.api.service_environments import check_capacity_limits
from batch_engine.core.model.errors import ClientError
from batch_engine.core.model.resources import JobQueue, QuotaShare, State
from batch_engine.core.model.wire import Wire

MAX_SHARES = 20
STRATEGIES = ("RESERVE", "LEND", "LEND_AND_BORROW")
UNLIMITED = -1
BODY = ("capacityLimits", "resourceSharingConfiguration", "preemptionConfiguration")


def create(context: CallContext, request: Wire) -> Wire:
    """CreateQuotaShare: checks the request, and adds the share to its queue."""
    name = check_name(request["quotaShareName"], "Quota share name")
    queue = _queue(context, request["jobQueue"])
    shares = of_queue(context, queue.name)
    arn = f"{queue.arn}/quota-share/{name}"
    if arn in context.registry.quota_shares:
        raise ClientError(f"{arn} already exists")
    if len(shares) >= MAX_SHARES:
        raise ClientError(f"No more than {MAX_SHARES} quota shares are allowed in a job queue")
    share = QuotaShare(
        name=name,
        arn=arn,
        queue=queue.name,
        state=_state(request, State.ENABLED),
        body=_body({member: request[member] for member in BODY}),
        tags=check_tags(request.get("tags")),
    )
    context.put(share)
    return {"quotaShareName": name, "quotaShareArn": arn}


def of_queue(context: CallContext, queue: str) -> list[QuotaShare]:
    """Returns the quota shares of a queue, oldest first."""
    return [share for share in context.registry.quota_shares.values() if share.queue == queue]


def _queue(context: CallContext, reference: str) -> JobQueue:
    queue = context.find_queue(reference)
    if queue is None:
        raise ClientError(f"JobQueue {reference} not found.")
    if queue.status != "VALID":
        raise ClientError(f"JobQueue {reference} must be VALID to have quota shares, it is {queue.status}")
    if queue.queue_type != SAGEMAKER_TRAINING:
        raise ClientError(SAGEMAKER_ONLY)
    policy = context.registry.scheduling_policies.get(queue.scheduling_policy_arn or "")
    if policy is None or "quotaSharePolicy" not in policy.body:
        raise ClientError(f"JobQueue {reference} has no scheduling policy with a quotaSharePolicy")
    return queue


def _state(request: Wire, default: State) -> State:
    state = request.get("state") or default
    if state not in State.__members__:
        raise ClientError(f"state must be ENABLED or DISABLED, got {state}")
    return State(state)


def _body(body: Wire) -> Wire:
    check_capacity_limits(body["capacityLimits"], of_share=True)
    sharing = body["resourceSharingConfiguration"]
    strategy, limit = sharing["strategy"], sharing.get("borrowLimit")
    if strategy not in STRATEGIES:
        raise ClientError(f"strategy must be one of {', '.join(STRATEGIES)}, got {strategy}")
    if limit is not None and strategy != "LEND_AND_BORROW":
        raise ClientError(f"borrowLimit can only be applied to LEND_AND_BORROW, got {strategy}")
    if limit is not None and limit < UNLIMITED:
        raise ClientError(f"borrowLimit must be a percentage, or {UNLIMITED} for no limit, got {limit}")
    preemption = body["preemptionConfiguration"]["inSharePreemption"]
    if preemption not in State.__members__:
        raise ClientError(f"inSharePreemption must be ENABLED or DISABLED, got {preemption}")
    if strategy == "LEND_AND_BORROW" and limit is None:
        return {**body, "resourceSharingConfiguration": {**sharing, "borrowLimit": UNLIMITED}}
    return body


def _require(context: CallContext, arn: str) -> QuotaShare:
    share = context.registry.quota_shares.get(arn)
    if share is None:
        raise ClientError(f"QuotaShare {arn} not found.")
    return share


def update(context: CallContext, request: Wire) -> Wire:
    """UpdateQuotaShare: replaces the given members and keeps the others."""
    share = _require(context, request["quotaShareArn"])
    body = {**share.body, **{member: request[member] for member in BODY if member in request}}
    context.put(replace(share, state=_state(request, share.state), body=_body(body)))
    return {"quotaShareName": share.name, "quotaShareArn": share.arn}


def delete(context: CallContext, request: Wire) -> Wire:
    """DeleteQuotaShare: needs DISABLED."""
    share = context.registry.quota_shares.get(request["quotaShareArn"])
    if share is None:
        return {}
    if share.state is not State.DISABLED:
        raise ClientError("Cannot delete, quota share must be DISABLED first")
    context.remove(share)
    return {}


def _detail(context: CallContext, share: QuotaShare) -> Wire:
    return {
        "quotaShareName": share.name,
        "quotaShareArn": share.arn,
        "jobQueueArn": context.arns.batch("job-queue", share.queue),
        **share.body,
        "state": share.state.value,
        "status": share.status,
    }


def describe_one(context: CallContext, request: Wire) -> Wire:
    """DescribeQuotaShare: returns one share."""
    share = _require(context, request["quotaShareArn"])
    return {**_detail(context, share), "tags": share.tags}


def list_all(context: CallContext, request: Wire) -> Wire:
    """ListQuotaShares: returns the quota shares of one queue."""
    queue = context.find_queue(request["jobQueue"])
    if queue is None:
        raise ClientError(f"JobQueue {request['jobQueue']} not found.")
    return page(
        of_queue(context, queue.name),
        request,
        member="quotaShares",
        by=lambda share: [share.created_order],
        show=lambda share: _detail(context, share),
    )


OPERATIONS: dict[str, Operation] = {
    "CreateQuotaShare": create,
    "UpdateQuotaShare": update,
    "DeleteQuotaShare": delete,
    "DescribeQuotaShare": describe_one,
    "ListQuotaShares": list_all,
}
