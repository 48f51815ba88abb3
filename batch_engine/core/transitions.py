"""The one table of legal moves between job states.

https://docs.aws.amazon.com/batch/latest/userguide/job_states.html
"""

from collections.abc import Mapping

from batch_engine.core.errors import IllegalTransitionError
from batch_engine.core.model import Job, JobStatus

_S = JobStatus

LEGAL: Mapping[JobStatus, frozenset[JobStatus]] = {
    _S.SUBMITTED: frozenset({_S.PENDING, _S.RUNNABLE, _S.FAILED}),
    _S.PENDING: frozenset({_S.RUNNABLE, _S.FAILED}),
    _S.RUNNABLE: frozenset({_S.STARTING, _S.FAILED}),
    _S.STARTING: frozenset({_S.RUNNING, _S.RUNNABLE, _S.FAILED}),
    _S.RUNNING: frozenset({_S.SUCCEEDED, _S.RUNNABLE, _S.FAILED}),
    _S.SUCCEEDED: frozenset(),
    _S.FAILED: frozenset(),
}


def move(job: Job, status: JobStatus, now_ms: int, reason: str | None = None) -> None:
    """Take a job to another state; this is the only code that writes ``job.status``.

    Args:
        job: the job to move.
        status: where to.
        now_ms: the time, in epoch milliseconds.
        reason: the new ``statusReason``; None clears it.

    Raises:
        IllegalTransitionError: AWS Batch knows no such move.
    """
    if status not in LEGAL[job.status]:
        history = " -> ".join(f"{past}@{at_ms}" for at_ms, past in job.history)
        raise IllegalTransitionError(
            f"job {job.id} cannot go from {job.status} to {status}; history: {history}"
        )
    job.status = status
    job.status_reason = reason
    job.history.append((now_ms, status))
    if status is JobStatus.RUNNING:
        job.started_at_ms = now_ms
    elif status.is_terminal:
        job.stopped_at_ms = now_ms
