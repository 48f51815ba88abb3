"""Submit, describe, list, cancel and terminate jobs.

https://docs.aws.amazon.com/batch/latest/APIReference/API_SubmitJob.html
"""

import re

from batch_engine.core import describe, job_definitions
from batch_engine.core.context import CallContext, Operation, page
from batch_engine.core.errors import ClientError
from batch_engine.core.events import JobCancelled, JobSubmitted, JobTerminated
from batch_engine.core.model import Job, JobDefinition, JobQueue, JobStatus, RetryStrategy, State, Wire
from batch_engine.core.rendering import render_container
from batch_engine.core.retry import parse_retry_strategy

JOB_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}")
MAX_DESCRIBED = 100
MAX_LISTED = 1000
MAX_REASON_LENGTH = 1024
NOT_YET = (
    "arrayProperties",
    "dependsOn",
    "nodeOverrides",
    "ecsPropertiesOverride",
    "eksPropertiesOverride",
    "shareIdentifier",
    "schedulingPriorityOverride",
    "consumableResourcePropertiesOverride",
)


def submit(context: CallContext, request: Wire) -> Wire:
    """SubmitJob."""
    if not JOB_NAME.fullmatch(request["jobName"]):
        raise ClientError("Job name should match valid pattern")
    for member in NOT_YET:
        if request.get(member):
            raise ClientError(
                f"{member} is not supported by this engine: it would be ignored, so it is refused"
            )
    queue = _queue(context, request["jobQueue"])
    definition = _definition(context, request["jobDefinition"])
    job = _new_job(context, request, queue, definition)
    context.emit(JobSubmitted(job))
    return {"jobArn": job.arn, "jobName": job.name, "jobId": job.id}


def _queue(context: CallContext, reference: str) -> JobQueue:
    queue = context.find_queue(reference)
    if queue is None or queue.status != "VALID":
        raise ClientError(f"JobQueue {reference} not found.")
    if queue.state is not State.ENABLED:
        raise ClientError(f"JobQueue {reference} is DISABLED and takes no new jobs.")
    return queue


def _definition(context: CallContext, reference: str) -> JobDefinition:
    definition = job_definitions.find(context, reference)
    if definition is None or not definition.active:
        raise ClientError(f"JobDefinition name {reference} does not exist or is not in ACTIVE status")
    if "containerProperties" not in definition.body:
        raise ClientError(
            f"JobDefinition {definition.name} has no containerProperties: "
            "this engine runs jobs of one container, not ECS tasks of several, EKS pods or node groups"
        )
    return definition


def _new_job(context: CallContext, request: Wire, queue: JobQueue, definition: JobDefinition) -> Job:
    body = definition.body
    platform = job_definitions.platform_of(body)
    offered = {context.registry.compute_environments[name].platform for name in queue.compute_environments}
    if platform not in offered:
        raise ClientError(
            f"JobDefinition {definition.name} needs {platform}, "
            f"but the compute environments of JobQueue {queue.name} are {'/'.join(sorted(offered))}"
        )
    parameters = {**(body.get("parameters") or {}), **(request.get("parameters") or {})}
    container, needs = render_container(
        body["containerProperties"], request.get("containerOverrides") or {}, parameters, platform
    )
    timeout_s = job_definitions.check_timeout(request.get("timeout") or body.get("timeout"))
    retry = parse_retry_strategy(request.get("retryStrategy") or body.get("retryStrategy"))
    job_id = context.ids.uuid()
    return Job(
        id=job_id,
        arn=context.arns.batch("job", job_id),
        name=request["jobName"],
        queue=queue.name,
        definition_arn=definition.arn,
        order=context.registry.next_order(),
        created_at_ms=context.now_ms,
        container=container,
        platform=platform,
        milli_vcpus=needs.milli_vcpus,
        memory_mib=needs.memory_mib,
        gpus=needs.gpus,
        retry=retry or RetryStrategy(),
        parameters=parameters,
        timeout_s=timeout_s,
        propagate_tags=bool(request.get("propagateTags", body.get("propagateTags"))),
        scheduling_priority=body.get("schedulingPriority"),
        tags=request.get("tags") or {},
    )


def describe_jobs(context: CallContext, request: Wire) -> Wire:
    """DescribeJobs: ids that are not known are left out."""
    if len(request["jobs"]) > MAX_DESCRIBED:
        raise ClientError(f"Maximum number of jobs supported is {MAX_DESCRIBED}")
    found = [_find(context, reference) for reference in request["jobs"]]
    return {"jobs": [describe.job_detail(job, context.registry) for job in found if job is not None]}


def _find(context: CallContext, reference: str) -> Job | None:
    return context.registry.jobs.get(context.arns.name_of(reference, "job"))


def list_jobs(context: CallContext, request: Wire) -> Wire:
    """ListJobs: the jobs of a queue in one status, RUNNING where none is named."""
    given = [member for member in ("jobQueue", "arrayJobId", "multiNodeJobId") if request.get(member)]
    if len(given) != 1:
        raise ClientError(
            f"Exactly one of jobQueue, arrayJobId, multiNodeJobId must be given, got {len(given)}"
        )
    if given != ["jobQueue"] or request.get("filters"):
        member = "filters" if request.get("filters") else given[0]
        raise ClientError(
            f"{member} is not supported by this engine: it has neither arrays nor node groups to list"
            if member != "filters"
            else "filters is not supported by this engine"
        )
    queue = context.find_queue(request["jobQueue"])
    if queue is None:
        raise ClientError(f"JobQueue {request['jobQueue']} not found.")
    status = request.get("jobStatus") or JobStatus.RUNNING
    if status not in JobStatus.__members__:
        raise ClientError(f"jobStatus must be one of {', '.join(JobStatus)}, got {status}")
    found = [
        job for job in context.registry.jobs.values() if job.queue == queue.name and job.status == status
    ]
    summaries = [describe.job_summary(job) for job in found]
    return page(summaries, request, key="jobSummaryList", default=MAX_LISTED, largest=MAX_LISTED)


def cancel(context: CallContext, request: Wire) -> Wire:
    """CancelJob: ends a job that has not reached STARTING; a later one is left alone."""
    job = _find(context, request["jobId"])
    _check_reason(request["reason"])
    if job is not None:
        context.emit(JobCancelled(job.id, request["reason"]))
    return {}


def terminate(context: CallContext, request: Wire) -> Wire:
    """TerminateJob: stops a running job and cancels a waiting one; a finished one is left alone."""
    job = _find(context, request["jobId"])
    _check_reason(request["reason"])
    if job is not None:
        context.emit(JobTerminated(job.id, request["reason"]))
    return {}


def _check_reason(reason: str) -> None:
    if len(reason) > MAX_REASON_LENGTH:
        raise ClientError(f"reason must not exceed {MAX_REASON_LENGTH} characters, got {len(reason)}")


OPERATIONS: dict[str, Operation] = {
    "SubmitJob": submit,
    "DescribeJobs": describe_jobs,
    "ListJobs": list_jobs,
    "CancelJob": cancel,
    "TerminateJob": terminate,
}
