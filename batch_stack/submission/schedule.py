"""Jobs by the clock: EventBridge Scheduler calls SubmitJob."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from aws_cdk import Aws, RemovalPolicy, Stack, Token
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_scheduler as scheduler
from constructs import Construct

from batch_stack.common.kms import WRITE, grant_key
from batch_stack.common.sqs_queue import message_queue
from batch_stack.jobs.container_job import ContainerJob
from batch_stack.queues.priority_tier import PriorityTier
from batch_stack.settings.retry import retry_strategy
from batch_stack.settings.schedules import ScheduleSettings

_SUBMIT_JOB = f"arn:{Aws.PARTITION}:scheduler:::aws-sdk:batch:submitJob"
# https://docs.aws.amazon.com/batch/latest/APIReference/API_SubmitJob.html
_JOB_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}")
_ATTEMPTS = 185
# A nightly job that a day of trying could not submit comes too late: the next one is due.
_MAX_AGE_S = 24 * 3600


class JobSchedule(Construct):
    """Submits a job by the clock: EventBridge Scheduler calls SubmitJob, with nothing in between.

    What could not be submitted in a day of trying is kept in a dead-letter queue for 14 days. EventBridge
    Scheduler delivers at least once, so a job may rarely run twice. It does not wait for the run before: a
    job that takes longer than its interval runs beside itself, unless the tier has no room for both.
    https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-targets-universal.html

    Attributes:
        schedule: the schedule.
        role: what it submits with: this job, to this queue.
        dead_letter_queue: requests that became no job, as they would have been sent to AWS Batch: submit
            them by hand, for nothing takes them from here.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        name: str,
        settings: ScheduleSettings,
        job: ContainerJob,
        tier: PriorityTier,
        removal_policy: RemovalPolicy = RemovalPolicy.RETAIN,
        key: kms.IKey | None = None,
    ) -> None:
        """Create the schedule, its role and its dead-letter queue.

        Args:
            scope: the parent construct.
            construct_id: this construct's id within it.
            name: the name of its jobs: 1 to 128 letters, digits, hyphens and underscores, of which the first
                is a letter or a digit.
            settings: when, and with which parameters and share. `job` and `tier`, which are names in the
                settings of a platform, are not looked at.
            job: what to submit; one with an array size is submitted as an array.
            tier: the queue to submit to, and whose retry policy its jobs have, unless the job has its own.
            removal_policy: what becomes of undelivered requests with the stack.
            key: encrypts undelivered requests; by default SQS uses its own.

        Raises:
            ValueError: the job is for another platform or CPU architecture than the tier; or there is a share
                and the tier has no fair share, or the other way round; or jobs cannot have the name.
        """
        super().__init__(scope, construct_id)
        job.check_tier(tier, at=self.node.path)
        tier.check_share(settings.share, at=self.node.path)
        if not Token.is_unresolved(name) and not _JOB_NAME.fullmatch(name):
            raise ValueError(
                "name must be 1 to 128 letters, digits, hyphens and underscores, first a letter or a digit, "
                f"got {name!r} at {self.node.path}"
            )
        self.dead_letter_queue = message_queue(
            self, "DeadLetterQueue", removal_policy=removal_policy, key=key, closed=True
        )
        self.role = self._role()
        job.grant_submit(self.role, tier, shares=[settings.share] if settings.share is not None else [])
        iam.Grant.add_to_principal(
            grantee=self.role,
            actions=["sqs:SendMessage"],
            resource_arns=[self.dead_letter_queue.queue_arn],
        )
        grant_key(self.role, key, actions=WRITE, service="sqs")
        self.schedule = self._schedule(name, settings, job, tier)
        # CloudFormation would create the schedule as soon as the role is there, and a rate's first run is due
        # at once: with no permission yet it would go to the dead-letter queue.
        self.schedule.node.add_dependency(self.role.node.find_child("DefaultPolicy"))

    def _schedule(
        self, name: str, settings: ScheduleSettings, job: ContainerJob, tier: PriorityTier
    ) -> scheduler.CfnSchedule:
        # The L2's universal target would let its role submit any job to any queue.
        return scheduler.CfnSchedule(
            self,
            "Schedule",
            description=f"Submits the job {name}",
            flexible_time_window=scheduler.CfnSchedule.FlexibleTimeWindowProperty(mode="OFF"),
            schedule_expression=settings.expression,
            schedule_expression_timezone=settings.time_zone,
            state=settings.state.upper(),
            target=scheduler.CfnSchedule.TargetProperty(
                arn=_SUBMIT_JOB,
                role_arn=self.role.role_arn,
                input=Stack.of(self).to_json_string(_request(name, settings, job, tier)),
                dead_letter_config=scheduler.CfnSchedule.DeadLetterConfigProperty(
                    arn=self.dead_letter_queue.queue_arn
                ),
                retry_policy=scheduler.CfnSchedule.RetryPolicyProperty(
                    maximum_event_age_in_seconds=_MAX_AGE_S, maximum_retry_attempts=_ATTEMPTS
                ),
            ),
        )

    def _role(self) -> iam.Role:
        # The group, not the schedule: that is what EventBridge Scheduler names as the source.
        # https://docs.aws.amazon.com/scheduler/latest/UserGuide/cross-service-confused-deputy-prevention.html
        group = Stack.of(self).format_arn(
            service="scheduler", resource="schedule-group", resource_name="default"
        )
        return iam.Role(
            self,
            "Role",
            description="Submits jobs by the clock",
            assumed_by=iam.ServicePrincipal(
                "scheduler.amazonaws.com",
                conditions={
                    "StringEquals": {"aws:SourceAccount": Aws.ACCOUNT_ID},
                    "ArnEquals": {"aws:SourceArn": group},
                },
            ),
        )


def _request(
    name: str, settings: ScheduleSettings, job: ContainerJob, tier: PriorityTier
) -> Mapping[str, Any]:
    request: dict[str, Any] = {
        "JobName": name,
        "JobQueue": tier.queue.job_queue_arn,
        # Without a revision: SubmitJob takes the latest, so a new revision needs no new schedule.
        "JobDefinition": job.unversioned_arn,
    }
    if settings.parameters:
        request["Parameters"] = settings.parameters
    if settings.share is not None:
        request["ShareIdentifier"] = settings.share
    if job.array_size is not None:
        request["ArrayProperties"] = {"Size": job.array_size}
    retry = job.retry_in(tier)
    if retry is not None:
        strategy = retry_strategy(retry, job.platform_capability)
        request["RetryStrategy"] = {
            "Attempts": strategy["attempts"],
            "EvaluateOnExit": [
                {member[:1].upper() + member[1:]: value for member, value in rule.items()}
                for rule in strategy["evaluateOnExit"]
            ],
        }
    return request
