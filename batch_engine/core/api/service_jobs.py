"""Service jobs: the engine refuses them, because there is no SageMaker here.

https://docs.aws.amazon.com/batch/latest/userguide/service-jobs.html
"""

from typing import NoReturn

from batch_engine.core.api.context import CallContext, Operation, check_name, check_reason
from batch_engine.core.api.listing import check_filters
from batch_engine.core.api.paging import page
from batch_engine.core.model.errors import ClientError
from batch_engine.core.model.resources import State
from batch_engine.core.model.wire import Wire

MAX_TERMINATED = 50
MAX_PAYLOAD_BYTES = 10 * 1024
STATUSES = ("SUBMITTED", "PENDING", "RUNNABLE", "SCHEDULED", "STARTING", "RUNNING", "SUCCEEDED", "FAILED")
FILTERS = ("JOB_NAME", "BEFORE_CREATED_AT", "AFTER_CREATED_AT", "SHARE_IDENTIFIER", "QUOTA_SHARE_NAME")


def submit(context: CallContext, request: Wire) -> NoReturn:
    """SubmitServiceJob: checks the request as AWS Batch does, then refuses it."""
    check_name(request["jobName"], "Job name")
    queue = context.find_queue(request["jobQueue"])
    if queue is None:
        raise ClientError(f"JobQueue {request['jobQueue']} not found.")
    if queue.queue_type != "SAGEMAKER_TRAINING":
        raise ClientError(
            f"JobQueue {queue.name} is not of type SAGEMAKER_TRAINING and takes no service jobs"
        )
    if queue.state is not State.ENABLED:
        raise ClientError(f"JobQueue {queue.name} is DISABLED and takes no new jobs.")
    size = len(request["serviceRequestPayload"].encode(errors="replace"))
    if size > MAX_PAYLOAD_BYTES:
        raise ClientError(f"serviceRequestPayload must not exceed {MAX_PAYLOAD_BYTES} bytes, got {size}")
    raise ClientError("SubmitServiceJob is not supported by this engine: service jobs need SageMaker")


def _unknown(context: CallContext, request: Wire) -> NoReturn:
    job_id = context.arns.name_of(request["jobId"], "service-job")
    raise ClientError(f"Service job {job_id} not found.")


def terminate(context: CallContext, request: Wire) -> NoReturn:
    """TerminateServiceJob: fails, because there are no service jobs."""
    check_reason(request["reason"])
    _unknown(context, request)


def update(context: CallContext, request: Wire) -> NoReturn:
    """UpdateServiceJob: fails, because there are no service jobs."""
    priority = request["schedulingPriority"]
    if not 0 <= priority <= 9999:
        raise ClientError(f"schedulingPriority must be between 0 and 9999, got {priority}")
    _unknown(context, request)


def terminate_many(context: CallContext, request: Wire) -> Wire:
    """TerminateServiceJobs: unknown ids count as successful, as in TerminateJobs."""
    del context
    check_reason(request["reason"])
    if len(request["jobs"]) > MAX_TERMINATED:
        raise ClientError(
            f"No more than {MAX_TERMINATED} jobs may be named at once, got {len(request['jobs'])}"
        )
    return {"successful": list(dict.fromkeys(request["jobs"])), "errors": []}


def list_all(context: CallContext, request: Wire) -> Wire:
    """ListServiceJobs: checks the request, and returns an empty list."""
    if request.get("jobQueue") and context.find_queue(request["jobQueue"]) is None:
        raise ClientError(f"JobQueue {request['jobQueue']} not found.")
    status = request.get("jobStatus") or "RUNNING"
    if status not in STATUSES:
        raise ClientError(f"jobStatus must be one of {', '.join(STATUSES)}, got {status}")
    check_filters(request.get("filters"), FILTERS)
    none: list[Wire] = []
    return page(none, request, member="jobSummaryList", by=lambda _: [0], show=lambda job: job)


OPERATIONS: dict[str, Operation] = {
    "SubmitServiceJob": submit,
    "DescribeServiceJob": _unknown,
    "ListServiceJobs": list_all,
    "TerminateServiceJob": terminate,
    "TerminateServiceJobs": terminate_many,
    "UpdateServiceJob": update,
}
