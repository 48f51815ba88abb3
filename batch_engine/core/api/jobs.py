"""Submits, describes, lists, cancels and terminates jobs.

https://docs.aws.amazon.com/batch/latest/APIReference/API_SubmitJob.html
"""

import re

from batch_engine.core.api import job_definitions, wire
from batch_engine.core.api.context import CallContext, Operation, check_reason
from batch_engine.core.api.errors import ServerError
from batch_engine.core.api.submission import new_job
from batch_engine.core.model.errors import ClientError
from batch_engine.core.model.events import JobCancelled, JobTerminated
from batch_engine.core.model.jobs import Job
from batch_engine.core.model.resources import JobDefinition, JobQueue, State
from batch_engine.core.model.wire import Wire
from batch_engine.core.state import arrays

JOB_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}")
MAX_DESCRIBED = 100
MAX_ENDED = 50
NOT_YET = ("eksPropertiesOverride",)


def submit(context: CallContext, request: Wire) -> Wire:
    """SubmitJob: checks the request, and hands the new job to the scheduler."""
    if not JOB_NAME.fullmatch(request["jobName"]):
        raise ClientError("Job name should match valid pattern")
    for member in NOT_YET:
        if request.get(member):
            raise ClientError(
                f"{member} is not supported by this engine: it would be ignored, so it is refused"
            )
    queue = _queue(context, request["jobQueue"])
    definition = _definition(context, request["jobDefinition"])
    submitted = new_job(context, request, queue, definition)
    job = submitted.job
    context.emit(submitted)
    return {"jobArn": job.arn, "jobName": job.name, "jobId": job.id}


def _queue(context: CallContext, reference: str) -> JobQueue:
    queue = context.find_queue(reference)
    if queue is None or not queue.is_usable:
        raise ClientError(f"JobQueue {reference} not found.")
    if queue.state is not State.ENABLED:
        raise ClientError(f"JobQueue {reference} is DISABLED and takes no new jobs.")
    return queue


def _definition(context: CallContext, reference: str) -> JobDefinition:
    definition = job_definitions.find(context, reference)
    if definition is None or not definition.active:
        raise ClientError(f"JobDefinition name {reference} does not exist or is not in ACTIVE status")
    if "eksProperties" in definition.body:
        raise ClientError(f"JobDefinition {definition.name} has eksProperties: this engine runs no EKS pods")
    return definition


def describe_jobs(context: CallContext, request: Wire) -> Wire:
    """DescribeJobs: returns jobs by id; unknown ids are left out."""
    if len(request["jobs"]) > MAX_DESCRIBED:
        raise ClientError(f"Maximum number of jobs supported is {MAX_DESCRIBED}")
    found = [_find(context, reference) for reference in request["jobs"]]
    return {"jobs": [wire.job_detail(job, context.registry) for job in found if job is not None]}


def _find(context: CallContext, reference: str) -> Job | None:
    return arrays.find(context.registry, context.arns.name_of(reference, "job"))


def _find_whole(context: CallContext, reference: str) -> Job | None:
    """Returns a job that can be ended by itself; refuses a node, which ends with its job."""
    job = _find(context, reference)
    if job is not None and job.node_index is not None:
        raise ClientError(f"{job.id} is a node: only the whole job {job.parent_id} can be ended")
    return job


def cancel(context: CallContext, request: Wire) -> Wire:
    """CancelJob: ends a job that has not reached STARTING; a later one is left alone."""
    job = _find_whole(context, request["jobId"])
    check_reason(request["reason"])
    if job is not None:
        context.emit(JobCancelled(job.id, request["reason"]))
    return {}


def terminate(context: CallContext, request: Wire) -> Wire:
    """TerminateJob: stops a running job and cancels a waiting one; a finished one is left alone."""
    job = _find_whole(context, request["jobId"])
    check_reason(request["reason"])
    if job is not None:
        context.emit(JobTerminated(job.id, request["reason"]))
    return {}


def _end_each(context: CallContext, request: Wire, operation: Operation) -> Wire:
    check_reason(request["reason"])
    if len(request["jobs"]) > MAX_ENDED:
        raise ClientError(f"No more than {MAX_ENDED} jobs may be named at once, got {len(request['jobs'])}")
    successful: list[str] = []
    errors: list[Wire] = []
    for job in dict.fromkeys(request["jobs"]):
        try:
            operation(context, {"jobId": job, "reason": request["reason"]})
        except ClientError as error:
            errors.append({"job": job, "code": "ClientException", "message": error.message})
        except ServerError as error:
            errors.append({"job": job, "code": "ServerException", "message": error.message})
        else:
            successful.append(job)
    return {"successful": successful, "errors": errors}


def cancel_many(context: CallContext, request: Wire) -> Wire:
    """CancelJobs: cancels several jobs; unknown ids count as successful."""
    return _end_each(context, request, cancel)


def terminate_many(context: CallContext, request: Wire) -> Wire:
    """TerminateJobs: terminates several jobs; unknown ids count as successful."""
    return _end_each(context, request, terminate)


OPERATIONS: dict[str, Operation] = {
    "SubmitJob": submit,
    "DescribeJobs": describe_jobs,
    "CancelJob": cancel,
    "TerminateJob": terminate,
    "CancelJobs": cancel_many,
    "TerminateJobs": terminate_many,
}
