"""Where the lines of a job go.

https://docs.aws.amazon.com/batch/latest/userguide/using_awslogs.html
"""

from dataclasses import dataclass

from batch_engine.core.model.jobs import Job

DEFAULT_GROUP = "/aws/batch/job"
MAX_PREFIX_LENGTH = 200


@dataclass(frozen=True, slots=True)
class LogDestination:
    """A log group and a stream in it."""

    group: str
    stream: str


def log_destination(job: Job) -> LogDestination | None:
    """The stream of a job's latest attempt; None where its log driver is not ``awslogs``.

    Args:
        job: a job that was placed at least once.
    """
    configuration = job.container.get("logConfiguration") or {}
    if configuration.get("logDriver", "awslogs") != "awslogs":
        return None
    options = configuration.get("options") or {}
    definition_name = job.definition_arn.rpartition("/")[2].partition(":")[0]
    prefix = options.get("awslogs-stream-prefix") or definition_name[:MAX_PREFIX_LENGTH]
    task_id = job.attempt.task_arn.rpartition("/")[2]
    return LogDestination(options.get("awslogs-group") or DEFAULT_GROUP, f"{prefix}/default/{task_id}")
