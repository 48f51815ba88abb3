"""The one table of legal moves between job states.

https://docs.aws.amazon.com/batch/latest/userguide/job_states.html
"""

from collections.abc import Mapping

from batch_engine.core.model.errors import IllegalTransitionError
from batch_engine.core.model.jobs import Job, JobStatus, move_of

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

LEGAL_ARRAY: Mapping[JobStatus, frozenset[JobStatus]] = {
    **dict.fromkeys(JobStatus, frozenset()),
    _S.SUBMITTED: frozenset({_S.PENDING}),
    _S.PENDING: frozenset({_S.SUCCEEDED, _S.FAILED}),
}
"""An array's parent never runs: its children do."""

LEGAL_NODE: Mapping[JobStatus, frozenset[JobStatus]] = {
    **LEGAL,
    _S.SUCCEEDED: frozenset({_S.RUNNABLE}),
    _S.FAILED: frozenset({_S.RUNNABLE}),
}
"""A node may have ended while its job goes on, and runs again when the main node is retried."""


def legal_moves(job: Job) -> Mapping[JobStatus, frozenset[JobStatus]]:
    """Returns the table that holds for a job."""
    if job.node_index is not None:
        return LEGAL_NODE
    return LEGAL_ARRAY if job.is_array else LEGAL


def move(job: Job, status: JobStatus, now_ms: int, reason: str | None = None) -> None:
    """Moves a job to another state; this is the only code that writes ``job.status``.

    Args:
        job: the job to move.
        status: the new state.
        now_ms: the time, in epoch milliseconds.
        reason: the new ``statusReason``; None clears it.

    Raises:
        IllegalTransitionError: AWS Batch has no such move.
    """
    is_plain = job.node_index is None and (job.array_size is None or job.array_index is not None)
    if status not in (LEGAL if is_plain else legal_moves(job))[job.status]:
        history = " -> ".join(f"{past}@{at_ms}" for at_ms, past in job.history)
        raise IllegalTransitionError(
            f"job {job.id} cannot go from {job.status} to {status}; history: {history}"
        )
    job.moves.append(move_of(now_ms, status))  # the history is first: it decides whether the move counts
    job.status = status
    job.status_reason = reason
    if status is JobStatus.RUNNING:
        job.started_at_ms = now_ms
    elif status.is_terminal:
        job.stopped_at_ms = now_ms
