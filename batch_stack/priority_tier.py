"""A priority tier: a job queue and the compute environments it may use, in order."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import Duration
from aws_cdk import aws_batch as batch
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_events as events
from constructs import Construct

from batch_stack.compute_environment import ComputeEnvironment
from batch_stack.notification import Notification
from batch_stack.settings import AlarmSettings, FairShareSettings, TierSettings, TimeLimitSettings
from batch_stack.tier_messages import job_failed_text, queue_blocked_text

_MAX_COMPUTE_ENVIRONMENTS = 3


class PriorityTier(Construct):
    """A job queue over one to three compute environments.

    A job at the head of the queue that can never start would block all behind it, so each reason that AWS
    Batch can detect has a time limit, after which that job is cancelled:
    https://docs.aws.amazon.com/batch/latest/userguide/job_stuck_in_runnable.html

    Attributes:
        queue: the job queue. It has no name of its own, so that it can be replaced.
        platform: ``ec2``, ``fargate`` ...: what a job definition for it must be made for.
        architecture: the CPU architecture that a job's image must have.
        retry: how often its jobs are tried again: what a job definition made for it has, unless it has its own.
        efa_interfaces: how many Elastic Fabric Adapters every instance has, on each compute environment.
        scheduling_policy: how the queue is shared; None if it is first in, first out.
        job_failed_rule: the EventBridge rule on jobs that failed; None if nobody is to be told.
        queue_blocked_rule: the EventBridge rule on a first job that cannot start; None likewise.
        failed_jobs_alarm: goes off when many jobs fail; None if the settings want none.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        compute_environments: Sequence[ComputeEnvironment],
        settings: TierSettings,
        notification: Notification | None = None,
    ) -> None:
        """Create the queue, what shares it and what watches it.

        Args:
            scope: the parent construct.
            construct_id: this construct's id within it.
            compute_environments: one to three, tried in this order; of one platform and one CPU architecture.
            settings: priority, time limits, fair share, alarms.
            notification: who is told of failed jobs, a blocked queue and alarms.

        Raises:
            ValueError: too many compute environments, or a mixture that AWS Batch refuses.
        """
        super().__init__(scope, construct_id)
        _check(self, compute_environments)
        self.platform = compute_environments[0].platform
        self.architecture = compute_environments[0].architecture
        self.retry = settings.retry
        self.efa_interfaces = min(environment.efa_interfaces for environment in compute_environments)
        self.scheduling_policy = self._scheduling_policy(settings.fair_share)
        self.queue = batch.JobQueue(
            self,
            "Queue",
            priority=settings.priority,
            enabled=settings.state == "enabled",
            scheduling_policy=self.scheduling_policy,
            compute_environments=[
                batch.OrderedComputeEnvironment(compute_environment=environment.resource, order=order)
                for order, environment in enumerate(compute_environments, start=1)
            ],
            job_state_time_limit_actions=_time_limit_actions(settings.time_limits),
        )
        self.job_failed_rule: events.Rule | None = None
        self.queue_blocked_rule: events.Rule | None = None
        self.failed_jobs_alarm: cloudwatch.Alarm | None = None
        if notification is not None:
            self._watch(notification, settings.alarms)

    def _scheduling_policy(
        self, settings: FairShareSettings | None
    ) -> batch.FairshareSchedulingPolicy | None:
        if settings is None:
            return None
        return batch.FairshareSchedulingPolicy(
            self,
            "FairShare",
            compute_reservation=settings.compute_reservation_percent,
            share_decay=Duration.seconds(settings.decay_s),
            shares=[
                batch.Share(share_identifier=name, weight_factor=weight)
                for name, weight in settings.shares.items()
            ],
        )

    def _watch(self, notification: Notification, alarms: AlarmSettings | None) -> None:
        queue_arn = self.queue.job_queue_arn
        self.job_failed_rule = notification.tell_of(
            self,
            "JobFailed",
            detail_type="Batch Job State Change",
            detail={
                "jobQueue": [queue_arn],
                "status": ["FAILED"],
                # A child of an array has an index, and a parent that speaks for all of them.
                "arrayProperties": {"index": [{"exists": False}]},
            },
            text=job_failed_text(),
        )
        self.queue_blocked_rule = notification.tell_of(
            self,
            "QueueBlocked",
            detail_type="Batch Job Queue Blocked",
            detail={"jobQueue": [queue_arn]},
            text=queue_blocked_text(),
        )
        if alarms is not None:
            self.failed_jobs_alarm = self._failed_jobs_alarm(self.job_failed_rule, alarms)
            notification.raise_alarm(self.failed_jobs_alarm)

    def _failed_jobs_alarm(self, rule: events.Rule, settings: AlarmSettings) -> cloudwatch.Alarm:
        # AWS Batch has no metric of failed jobs; EventBridge counts how often a rule matched.
        metric = cloudwatch.Metric(
            namespace="AWS/Events",
            metric_name="TriggeredRules",
            dimensions_map={"RuleName": rule.rule_name},
            statistic="Sum",
            period=Duration.minutes(settings.within_minutes),
        )
        return cloudwatch.Alarm(
            self,
            "FailedJobsAlarm",
            alarm_description=(
                f"{settings.failed_jobs} jobs or more of {self.queue.job_queue_arn} failed within "
                f"{settings.within_minutes} minutes"
            ),
            metric=metric,
            threshold=settings.failed_jobs,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
            evaluation_periods=1,
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
        )


def _check(scope: Construct, compute_environments: Sequence[ComputeEnvironment]) -> None:
    count = len(compute_environments)
    if not 1 <= count <= _MAX_COMPUTE_ENVIRONMENTS:
        raise ValueError(
            f"compute_environments must have 1 to {_MAX_COMPUTE_ENVIRONMENTS} entries, got {count} "
            f"at {scope.node.path}"
        )
    for quality in ("platform", "architecture"):
        values = sorted({getattr(environment, quality) for environment in compute_environments})
        if len(values) > 1:
            raise ValueError(
                f"compute_environments of a queue must have one {quality}, "
                f"got {' and '.join(values)} at {scope.node.path}"
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
