"""What is said of a tier's jobs: the texts of messages."""

from __future__ import annotations

from functools import cache

from aws_cdk import aws_events as events

# The texts are the same for every tier, and each field of one takes a call to the library.


@cache
def job_failed_text() -> str:
    """The message on a job that has failed for good."""
    field = events.EventField.from_path
    return "\n".join(
        [
            f"AWS Batch job {field('$.detail.jobName')} FAILED",
            f"Reason: {field('$.detail.statusReason')}",
            f"Exit code: {field('$.detail.container.exitCode')} {field('$.detail.container.reason')}",
            f"Job id: {field('$.detail.jobId')}",
            f"Queue: {field('$.detail.jobQueue')}",
            f"Job definition: {field('$.detail.jobDefinition')}",
            f"Log stream: {field('$.detail.container.logStreamName')}",
            f"Time: {field('$.time')}, account {field('$.account')}, Region {field('$.region')}",
        ]
    )


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
