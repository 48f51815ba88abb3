"""The texts of messages about a tier's jobs."""

from __future__ import annotations

from functools import cache

from aws_cdk import aws_events as events

from batch_stack.settings.base.values import PlatformCapability

# The path of a job's container: https://docs.aws.amazon.com/batch/latest/APIReference/API_JobDetail.html
_CONTAINERS: dict[PlatformCapability, str] = {
    "ec2": "container",
    "fargate": "container",
    "managed_instances": "ecsProperties.taskProperties[0].containers[0]",
    "eks": "eksProperties.podProperties.containers[0]",
}

# Cached, because the texts are the same for every tier and each field takes a call to the library.


@cache
def job_failed_text(platform_capability: PlatformCapability) -> str:
    """Returns the message about a job that has failed for good.

    Args:
        platform_capability: the tier's platform capability.
    """
    field = events.EventField.from_path
    container = f"$.detail.{_CONTAINERS[platform_capability]}"
    return "\n".join(
        [
            f"AWS Batch job {field('$.detail.jobName')} FAILED",
            f"Reason: {field('$.detail.statusReason')}",
            f"Exit code: {field(f'{container}.exitCode')} {field(f'{container}.reason')}",
            f"Job id: {field('$.detail.jobId')}",
            f"Queue: {field('$.detail.jobQueue')}",
            f"Job definition: {field('$.detail.jobDefinition')}",
            f"Log stream: {field(f'{container}.logStreamName')}",
            f"Time: {field('$.time')}, account {field('$.account')}, Region {field('$.region')}",
        ]
    )


@cache
def queue_blocked_text() -> str:
    """Returns the message about a queue whose first job cannot start."""
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
