"""GetJobQueueSnapshot: the first jobs of a queue, and the capacity that its jobs use.

https://docs.aws.amazon.com/batch/latest/userguide/job_queue_viewing_status.html
"""

from itertools import islice

from batch_engine.core.api import quota_shares
from batch_engine.core.api.context import CallContext, Operation
from batch_engine.core.model.errors import ClientError
from batch_engine.core.model.jobs import Job, JobStatus
from batch_engine.core.model.resources import JobQueue
from batch_engine.core.model.wire import Wire

FRONT = 100
TOP_SHARES = 20


def snapshot(context: CallContext, request: Wire) -> Wire:
    """GetJobQueueSnapshot: returns the first jobs of a queue and the capacity in use."""
    queue = context.find_queue(request["jobQueue"])
    if queue is None:
        raise ClientError(f"JobQueue {request['jobQueue']} not found.")
    front = [_in_front(context, job) for job in islice(context.waiting(queue.name), FRONT)]
    result: Wire = {
        "frontOfQueue": {"jobs": front, "lastUpdatedAt": context.now_ms},
        "queueUtilization": {**_utilisation(context, queue), "lastUpdatedAt": context.now_ms},
    }
    if _policy_kind(context, queue) == "quotaSharePolicy":
        shares: dict[str, list[Wire]] = {
            share.name: [] for share in quota_shares.of_queue(context, queue.name)
        }
        result["frontOfQuotaShares"] = {"quotaShares": shares, "lastUpdatedAt": context.now_ms}
    return result


def _in_front(context: CallContext, job: Job) -> Wire:
    since_ms = next(
        (at_ms for at_ms, status in reversed(job.history) if status is JobStatus.RUNNABLE), job.created_at_ms
    )
    return {
        "jobArn": job.arn,
        "earliestTimeAtPosition": context.registry.index.at_position_since(job, since_ms),
    }


def _policy_kind(context: CallContext, queue: JobQueue) -> str | None:
    policy = context.registry.scheduling_policies.get(queue.scheduling_policy_arn or "")
    return None if policy is None else next(iter(policy.body), None)


def _utilisation(context: CallContext, queue: JobQueue) -> Wire:
    if queue.queue_type == "SAGEMAKER_TRAINING":
        usage: Wire = {"totalCapacityUsage": []}
        if _policy_kind(context, queue) == "quotaSharePolicy":
            usage["quotaShareUtilization"] = {"topCapacityUtilization": []}
        return usage
    environments = (context.registry.compute_environments.get(name) for name in queue.compute_environments)
    on_eks = any(environment is not None and environment.eks for environment in environments)
    unit = "cpu" if on_eks else "VCPU"
    by_share = context.registry.index.milli_vcpus_by_share(queue.name)
    result: Wire = {"totalCapacityUsage": [_quantity(unit, sum(by_share.values()))]}
    if _policy_kind(context, queue) == "fairsharePolicy":
        shares = sorted((-milli, share) for share, milli in by_share.items() if share)
        result["fairshareUtilization"] = {
            "activeShareCount": len(context.active_shares(queue.name)),
            "topCapacityUtilization": [
                {"shareIdentifier": share, "capacityUsage": [_quantity(unit, -negative)]}
                for negative, share in shares[:TOP_SHARES]
            ],
        }
    return result


def _quantity(unit: str, milli_vcpus: int) -> Wire:
    return {"capacityUnit": unit, "quantity": milli_vcpus / 1000}


OPERATIONS: dict[str, Operation] = {"GetJobQueueSnapshot": snapshot}
