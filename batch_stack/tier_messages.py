"""What is said of a tier's jobs: the texts of messages."""

from __future__ import annotations

from functools import cache

from aws_cdk import aws_events as events

# As DescribeJobs shows them: https://docs.aws.amazon.com/batch/latest/APIReference/API_JobDetail.html
_CONTAINERS = (
    "container",
    "ecsProperties.taskProperties[0].containers[0]",
    "eksProperties.podProperties.containers[0]",
)

# The texts are the same for every tier, and each field of one takes a call to the library.


@cache
def job_failed_text() -> str:
    """The message on a job that has failed for good."""
    field = events.EventField.from_path
    return "\n".join(
        [
            f"AWS Batch job {field('$.detail.jobName')} FAILED",
            f"Reason: {field('$.detail.statusReason')}",
            f"Exit code: {_of_container('exitCode')} {_of_container('reason')}",
            f"Job id: {field('$.detail.jobId')}",
            f"Queue: {field('$.detail.jobQueue')}",
            f"Job definition: {field('$.detail.jobDefinition')}",
            f"Log stream: {_of_container('logStreamName')}",
            f"Time: {field('$.time')}, account {field('$.account')}, Region {field('$.region')}",
        ]
    )


def _of_container(name: str) -> str:
    """A field of the job's container, which is elsewhere in a job of `ecsProperties` or on EKS.

    What an event lacks is empty in its message, so that of the three places only one shows.
    """
    return "".join(events.EventField.from_path(f"$.detail.{place}.{name}") for place in _CONTAINERS)


@cache
def queue_blocked_text() -> str:
    """The message on a queue whose first job cannot start."""
    field = events.EventField.from_path
    return "\n".join(
        [
            f"AWS Batch queue is blocked by job {field('$.detail.jobName')}, which cannot start",
            f"Reason: {field('$.detail.statusReason')}",
            f"Job id: {field('$.detail.jobId')}",
            f"Queue: {field('$.detail.jobQueue')}",
            f"Time: {field('$.time')}, account {field('$.account')}, Region {field('$.region')}",
        ]
    )
