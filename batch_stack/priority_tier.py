"""A priority tier: a job queue and the compute environments it may use, in order."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import Duration
from aws_cdk import aws_batch as batch
from constructs import Construct

from batch_stack.compute_environment import ComputeEnvironment
from batch_stack.settings import TierSettings, TimeLimitSettings

_MAX_COMPUTE_ENVIRONMENTS = 3


class PriorityTier(Construct):
    """A job queue over one to three compute environments.

    A job at the head of the queue that can never start would block all behind it, so each reason that AWS
    Batch can detect has a time limit, after which that job is cancelled:
    https://docs.aws.amazon.com/batch/latest/userguide/job_stuck_in_runnable.html

    Attributes:
        queue: the job queue. It has no name of its own, so that it can be replaced.
        platform: ``ec2`` or ``fargate``: what a job definition for it must be made for.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        compute_environments: Sequence[ComputeEnvironment],
        settings: TierSettings,
    ) -> None:
        """Create the queue.

        Args:
            scope: the parent construct.
            construct_id: this construct's id within it.
            compute_environments: one to three, tried in this order; of one platform and one CPU architecture.
            settings: priority and time limits.

        Raises:
            ValueError: too many compute environments, or a mixture that AWS Batch refuses.
        """
        super().__init__(scope, construct_id)
        _check(self.node.path, compute_environments)
        self.platform = compute_environments[0].platform
        self.queue = batch.JobQueue(
            self,
            "Queue",
            priority=settings.priority,
            compute_environments=[
                batch.OrderedComputeEnvironment(compute_environment=environment.resource, order=order)
                for order, environment in enumerate(compute_environments, start=1)
            ],
            job_state_time_limit_actions=_time_limit_actions(settings.time_limits),
        )


def _check(path: str, compute_environments: Sequence[ComputeEnvironment]) -> None:
    count = len(compute_environments)
    if not 1 <= count <= _MAX_COMPUTE_ENVIRONMENTS:
        raise ValueError(
            f"compute_environments must have 1 to {_MAX_COMPUTE_ENVIRONMENTS} entries, got {count} at {path}"
        )
    for quality in ("platform", "architecture"):
        values = sorted({getattr(environment, quality) for environment in compute_environments})
        if len(values) > 1:
            raise ValueError(
                f"compute_environments of a queue must have one {quality}, "
                f"got {' and '.join(values)} at {path}"
            )


def _time_limit_actions(time_limits: TimeLimitSettings) -> list[batch.JobStateTimeLimitAction]:
    reasons = batch.JobStateTimeLimitActionsReason
    limits_s = {
        reasons.INSUFFICIENT_INSTANCE_CAPACITY: time_limits.insufficient_instance_capacity_s,
        reasons.COMPUTE_ENVIRONMENT_MAX_RESOURCE: time_limits.compute_environment_max_resource_s,
        reasons.JOB_RESOURCE_REQUIREMENT: time_limits.job_resource_requirement_s,
    }
    return [
        batch.JobStateTimeLimitAction(
            reason=reason,
            max_time=Duration.seconds(limit_s),
            action=batch.JobStateTimeLimitActionsAction.CANCEL,
            state=batch.JobStateTimeLimitActionsState.RUNNABLE,
        )
        for reason, limit_s in limits_s.items()
    ]
