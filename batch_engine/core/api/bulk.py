"""Cancel and terminate many jobs in one call: what fails for one is told beside what succeeded.

https://docs.aws.amazon.com/batch/latest/APIReference/API_CancelJobs.html
"""

from batch_engine.core.api import jobs
from batch_engine.core.api.context import CallContext, Operation, check_reason
from batch_engine.core.model.errors import ClientError
from batch_engine.core.model.model import Wire

MAX_JOBS = 50


def _each(context: CallContext, request: Wire, operation: str) -> Wire:
    check_reason(request["reason"])
    if len(request["jobs"]) > MAX_JOBS:
        raise ClientError(f"No more than {MAX_JOBS} jobs may be named at once, got {len(request['jobs'])}")
    successful: list[str] = []
    errors: list[Wire] = []
    for job in dict.fromkeys(request["jobs"]):
        try:
            jobs.OPERATIONS[operation](context, {"jobId": job, "reason": request["reason"]})
        except ClientError as error:
            errors.append({"job": job, "code": "ClientException", "message": error.message})
        else:
            successful.append(job)
    return {"successful": successful, "errors": errors}


def cancel_many(context: CallContext, request: Wire) -> Wire:
    """CancelJobs: ids that are not known count as successful."""
    return _each(context, request, "CancelJob")


def terminate_many(context: CallContext, request: Wire) -> Wire:
    """TerminateJobs: ids that are not known count as successful."""
    return _each(context, request, "TerminateJob")


OPERATIONS: dict[str, Operation] = {"CancelJobs": cancel_many, "TerminateJobs": terminate_many}
