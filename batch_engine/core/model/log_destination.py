"""The log group and the log stream of a job.

https://docs.aws.amazon.com/batch/latest/userguide/using_awslogs.html
"""

from dataclasses import dataclass

from batch_engine.core.model.jobs import Attempt, Job
from batch_engine.core.model.tasks import task_id

DEFAULT_GROUP = "/aws/batch/job"
MAX_PREFIX_LENGTH = 200


@dataclass(frozen=True, slots=True)
class LogDestination:
    """A log group and a stream in it."""

    group: str
    stream: str


def log_destination(job: Job) -> LogDestination | None:
    """Returns the stream of a job's latest attempt, or None if its log driver is not ``awslogs``.

    Args:
        job: a job that was placed at least once.
    """
    return destination_of(job, job.attempt)


def destination_of(job: Job, attempt: Attempt) -> LogDestination | None:
    """Returns the stream of an attempt, or None if the job's log driver is not ``awslogs``."""
    configuration = job.container.get("logConfiguration") or {}
    if configuration.get("logDriver", "awslogs") != "awslogs":
        return None
    options = configuration.get("options") or {}
    definition_name = job.definition_arn.rpartition("/")[2].partition(":")[0]
    prefix = options.get("awslogs-stream-prefix") or definition_name[:MAX_PREFIX_LENGTH]
    stream = f"{prefix}/default/{task_id(job, attempt)}"
    return LogDestination(options.get("awslogs-group") or DEFAULT_GROUP, stream)


def log_stream(job: Job, attempt: Attempt) -> str | None:
    """Returns the name of an attempt's log stream; None before its container is up, and for other drivers."""
    if attempt.started_at_ms is None:
        return None
    destination = destination_of(job, attempt)
    return None if destination is None else destination.stream
