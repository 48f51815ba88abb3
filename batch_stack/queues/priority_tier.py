"""Priority tiers: job queues and the compute environments that they use, in order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from aws_cdk import Duration, Token
from aws_cdk import aws_batch as batch
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_events as events
from constructs import Construct

from batch_stack.common.retention import DataPolicy
from batch_stack.compute.base import ComputeEnvironment
from batch_stack.monitoring.notification import Notification
from batch_stack.preflight.preflight import TierAlone, preflight_tier
from batch_stack.queues.messages import job_failed_text, queue_blocked_text
from batch_stack.settings.base.values import SHARE
from batch_stack.settings.tiers import (
    AlarmSettings,
    FairShareSettings,
    TierSettings,
    TimeLimitSettings,
    budget_problems,
    compute_problems,
)
from batch_stack.validation.constructs import report

if TYPE_CHECKING:
    from batch_stack.queues.budget import TierBudget


class PriorityTier(Construct):
    """A priority tier: a job queue over one to three compute environments, and the rules of its jobs.

    A queue has no retry policy. The definitions of jobs for this tier (`ContainerJob`) get the policy of the
    settings, and triggers and schedules submit with it.

    A job at the head of the queue that can never start would block all jobs behind it. So each reason that
    AWS Batch can detect has a time limit, after which AWS Batch cancels that job:
    https://docs.aws.amazon.com/batch/latest/userguide/job_stuck_in_runnable.html

    Attributes:
        name: its name, for messages.
        settings: the settings from which it was created.
        alone: its settings and those of its compute environments, for the checks before deployment.
        queue: the job queue. It has no name of its own, so that CloudFormation can replace it.
        compute_environments: the compute environments, in the order in which AWS Batch tries them.
        platform_capability: ``ec2``, ``fargate`` ...: the platform capability of its job definitions.
        architecture: the CPU architecture that a job's image must have.
        retry: the retry policy of its jobs, unless they have their own.
        efa_interfaces: the number of Elastic Fabric Adapters that every instance has.
        scheduling_policy: the fair-share policy; None if the queue is first in, first out.
        job_failed_rule: the EventBridge rule for failed jobs; None without a notification.
        queue_blocked_rule: the EventBridge rule for a first job that cannot start; None without a
            notification.
        failed_jobs_alarm: the alarm for many failed jobs; None if the settings have none.
        budget: the monthly budget of its instances; None if the settings have none.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        compute_environments: Mapping[str, ComputeEnvironment],
        settings: TierSettings,
        name: str | None = None,
        notification: Notification | None = None,
        data_policy: DataPolicy = DataPolicy(),
        is_checked: bool = False,
    ) -> None:
        """Creates the queue, its fair-share policy, its rules and alarms, and its budget.

        Args:
            scope: the parent construct.
            construct_id: this construct's id within it.
            compute_environments: compute environments by the names in `compute` of the settings, which takes
                one to three of them, of one platform and one CPU architecture.
            settings: priority, compute environments, retry, time limits, alarms, fair share, budget, state.
            name: its name, for messages; by default its construct id.
            notification: sends messages about failed jobs, a blocked queue, alarms and the budget.
            data_policy: how long the log of the function that disables the queue is kept, and which key
                encrypts its log and its messages; see `TierBudget`.
            is_checked: whether the checks before deployment have run, as a `BatchPlatform` runs them.

        Raises:
            ValueError: the settings name a compute environment that is not given, or a mixture that AWS Batch
                refuses; or they have alarms or a budget, and there is no notification; or the budget disables
                the queue, and there is no key; or a check before deployment found something that cannot work.
        """
        super().__init__(scope, construct_id)
        self.name, self.settings = name or construct_id, settings
        self.compute_environments = _chosen(self, settings.compute, compute_environments)
        by_path = {one.node.path: one.settings for one in self.compute_environments}
        self.alone = TierAlone(self.node.path, settings, by_path)
        paths = [one.node.path for one in self.compute_environments]
        self._refuse(compute_problems(paths, by_path))
        if notification is None:
            _check_notified(self, settings)
        elif settings.budget is not None:
            self._refuse(budget_problems(paths, by_path))
        if not is_checked:
            report(self, preflight_tier(self.alone))
        first = self.compute_environments[0]
        self.platform_capability, self.architecture = first.platform_capability, first.architecture
        self.retry = settings.retry
        self.efa_interfaces = min(one.efa_interfaces for one in self.compute_environments)
        self.scheduling_policy = self._scheduling_policy(settings.fair_share)
        self.queue = batch.JobQueue(
            self,
            "Queue",
            priority=settings.priority,
            enabled=settings.state == "enabled",
            scheduling_policy=self.scheduling_policy,
            compute_environments=[
                batch.OrderedComputeEnvironment(compute_environment=environment.resource, order=order)
                for order, environment in enumerate(self.compute_environments, start=1)
            ],
            job_state_time_limit_actions=_time_limit_actions(settings.time_limits),
        )
        self.job_failed_rule: events.Rule | None = None
        self.queue_blocked_rule: events.Rule | None = None
        self.failed_jobs_alarm: cloudwatch.Alarm | None = None
        self.budget: TierBudget | None = None
        if notification is not None:
            self._watch(notification, settings.alarms)
            self.budget = self._budget(notification, data_policy)

    def _refuse(self, problems: Iterable[str]) -> None:
        for problem in problems:
            raise ValueError(f"settings.{problem} at {self.alone.path}")

    def check_share(self, share: str | None, *, at: str) -> None:
        """Checks that jobs name a share if and only if the queue has fair share, as AWS Batch does.

        Args:
            share: the share identifier of the jobs; None for none.
            at: the path of the construct that submits them, for the error.

        Raises:
            ValueError: there is a share and the tier has no fair share, or the other way round; or the share
                is not of letters and digits.
        """
        problem = self.settings.share_problem(share, "the tier")
        if problem is not None:
            raise ValueError(f"{problem}, got {share!r} at {at}")
        if share is not None and not Token.is_unresolved(share) and not SHARE.fullmatch(share):
            raise ValueError(f"share must be 1 to 255 letters and digits, got {share!r} at {at}")

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
        self.job_failed_rule = notification.notify_on_event(
            self,
            "JobFailed",
            detail_type="Batch Job State Change",
            detail={
                "jobQueue": [queue_arn],
                "status": ["FAILED"],
                # A child of an array has an index; the event of its parent counts for all children.
                "arrayProperties": {"index": [{"exists": False}]},
            },
            text=job_failed_text(self.platform_capability),
        )
        self.queue_blocked_rule = notification.notify_on_event(
            self,
            "QueueBlocked",
            detail_type="Batch Job Queue Blocked",
            detail={"jobQueue": [queue_arn]},
            text=queue_blocked_text(),
        )
        if alarms is not None:
            self.failed_jobs_alarm = self._failed_jobs_alarm(self.job_failed_rule, alarms)
            notification.notify_on_alarm(self.failed_jobs_alarm)

    def _budget(self, notification: Notification, data_policy: DataPolicy) -> TierBudget | None:
        if self.settings.budget is None:
            return None
        # Imported here, because few tiers have a budget, and its module of aws_cdk loads slowly.
        from batch_stack.queues.budget import TierBudget  # noqa: PLC0415

        return TierBudget(
            self,
            "Budget",
            name=self.name,
            queue=self.queue,
            cost_tags=[one.cost_tag for one in self.compute_environments if one.cost_tag is not None],
            settings=self.settings.budget,
            notification=notification,
            data_policy=data_policy,
        )

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


def _chosen(
    scope: Construct, names: Sequence[str], given: Mapping[str, ComputeEnvironment]
) -> tuple[ComputeEnvironment, ...]:
    for index, name in enumerate(names):
        if name not in given:
            raise ValueError(
                f"settings.compute[{index}] must be one of compute_environments, "
                f"{', '.join(given) or '(none given)'}, got {name!r} at {scope.node.path}"
            )
    return tuple(given[name] for name in names)


def _check_notified(scope: Construct, settings: TierSettings) -> None:
    """Refuses settings that need a notification; alarms count only if the settings name them."""
    asked = {
        "alarms": settings.alarms is not None and "alarms" in settings.model_fields_set,
        "budget": settings.budget is not None,
    }
    for name, wanted in asked.items():
        if wanted:
            raise ValueError(f"notification must be given for settings.{name}, got none at {scope.node.path}")


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
