"""Submits jobs at fixed times, through EventBridge Scheduler."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, get_args

from aws_cdk import Aws, Stack, Token
from aws_cdk import aws_iam as iam
from aws_cdk import aws_scheduler as scheduler
from constructs import Construct

from batch_stack.common.iam import grant_with_key
from batch_stack.common.retention import DataPolicy
from batch_stack.common.sqs_queue import message_queue
from batch_stack.jobs.container_job import ContainerJob
from batch_stack.queues.priority_tier import PriorityTier
from batch_stack.settings.base.values import State
from batch_stack.settings.retry import retry_strategy
from batch_stack.settings.schedule_expressions import check_timing
from batch_stack.settings.triggers import check_texts

_SUBMIT_JOB = f"arn:{Aws.PARTITION}:scheduler:::aws-sdk:batch:submitJob"
# https://docs.aws.amazon.com/batch/latest/APIReference/API_SubmitJob.html
_JOB_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}")
_ATTEMPTS = 185
# One day: after that, the next nightly job is due.
_MAX_AGE_S = 24 * 3600


class JobSchedule(Construct):
    """Submits a job at fixed times: EventBridge Scheduler calls SubmitJob, with nothing in between.

    Requests that could not be submitted within a day are kept in a dead-letter queue for 14 days.
    EventBridge Scheduler delivers at least once, so a job may rarely run twice. It does not wait for the
    previous run: a job that takes longer than its interval runs several times at once, unless the tier has no
    room.
    https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-targets-universal.html

    Attributes:
        schedule: the schedule.
        role: the role with which it submits this job to this queue, and nothing else.
        dead_letter_queue: requests that were not submitted, as AWS Batch takes them. Submit them by hand:
            nothing reads this queue.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        name: str,
        expression: str,
        job: ContainerJob,
        tier: PriorityTier,
        time_zone: str | None = None,
        share: str | None = None,
        parameters: Mapping[str, str] | None = None,
        state: State = "enabled",
        data_policy: DataPolicy = DataPolicy(),
    ) -> None:
        """Creates the schedule, its role and its dead-letter queue.

        Args:
            scope: the parent construct.
            construct_id: this construct's id within it.
            name: the name of its jobs: 1 to 128 letters, digits, hyphens and underscores, of which the first
                is a letter or a digit.
            expression: the times: ``cron(0 3 * * ? *)``, ``rate(6 hours)`` or ``at(2030-12-31T23:00:00)``.
            job: the job to submit; one with an array size is submitted as an array.
            tier: the tier to submit to, which also sets the retry policy, unless the job has its own.
            time_zone: the time zone of a cron or at expression, such as ``Europe/Zurich``; by default UTC.
            share: the share identifier of the jobs, which a tier with a fair-share policy needs.
            parameters: the job's parameters, by their names.
            state: ``enabled``, or ``disabled`` to submit nothing.
            data_policy: what happens to unsubmitted requests when the stack is deleted, and which key
                encrypts them.

        Raises:
            ValueError: the job is for another platform or CPU architecture than the tier; or there is a share
                and the tier has no fair share, or the other way round; or EventBridge Scheduler does not take
                the expression or the time zone; or jobs cannot have the name; or a parameter is not a text.
        """
        super().__init__(scope, construct_id)
        job.check_tier(tier, at=self.node.path)
        tier.check_share(share, at=self.node.path)
        self._check(name, expression, time_zone)
        if state not in get_args(State):
            raise ValueError(f"state must be enabled or disabled, got {state!r} at {self.node.path}")
        check_texts(parameters or {}, at=self.node.path)
        self.dead_letter_queue = message_queue(self, "DeadLetterQueue", data_policy=data_policy, closed=True)
        self.role = self._role()
        job.grant_submit(self.role, tier, shares=[share] if share is not None else [])
        grant_with_key(
            self.role,
            actions=["sqs:SendMessage"],
            resource=self.dead_letter_queue.queue_arn,
            key=data_policy.key,
            service="sqs",
        )
        self.schedule = self._schedule(
            name,
            expression,
            time_zone or "UTC",
            state,
            request=_request(name, job, tier, share=share, parameters=parameters or {}),
        )
        # CloudFormation would create the schedule before the role's policy, and the first run of a rate,
        # which is due at once, would go to the dead-letter queue.
        self.schedule.node.add_dependency(self.role.node.find_child("DefaultPolicy"))

    def _check(self, name: str, expression: str, time_zone: str | None) -> None:
        if not Token.is_unresolved(name) and not _JOB_NAME.fullmatch(name):
            raise ValueError(
                "name must be 1 to 128 letters, digits, hyphens and underscores, first a letter or a digit, "
                f"got {name!r} at {self.node.path}"
            )
        if Token.is_unresolved(expression) or Token.is_unresolved(time_zone):
            return
        try:
            check_timing(expression, time_zone)
        except ValueError as error:
            raise ValueError(f"{error} at {self.node.path}") from None

    def _schedule(
        self, name: str, expression: str, time_zone: str, state: State, *, request: Mapping[str, Any]
    ) -> scheduler.CfnSchedule:
        # The L2's universal target would let its role submit any job to any queue.
        return scheduler.CfnSchedule(
            self,
            "Schedule",
            description=f"Submits the job {name}",
            flexible_time_window=scheduler.CfnSchedule.FlexibleTimeWindowProperty(mode="OFF"),
            schedule_expression=expression,
            schedule_expression_timezone=time_zone,
            state=state.upper(),
            target=scheduler.CfnSchedule.TargetProperty(
                arn=_SUBMIT_JOB,
                role_arn=self.role.role_arn,
                input=Stack.of(self).to_json_string(request),
                dead_letter_config=scheduler.CfnSchedule.DeadLetterConfigProperty(
                    arn=self.dead_letter_queue.queue_arn
                ),
                retry_policy=scheduler.CfnSchedule.RetryPolicyProperty(
                    maximum_event_age_in_seconds=_MAX_AGE_S, maximum_retry_attempts=_ATTEMPTS
                ),
            ),
        )

    def _role(self) -> iam.Role:
        # The schedule's group, because EventBridge Scheduler names the group as the source, not the schedule.
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
    name: str, job: ContainerJob, tier: PriorityTier, *, share: str | None, parameters: Mapping[str, str]
) -> Mapping[str, Any]:
    request: dict[str, Any] = {
        "JobName": name,
        "JobQueue": tier.queue.job_queue_arn,
        # Without a revision: SubmitJob takes the latest, so a new revision needs no new schedule.
        "JobDefinition": job.unversioned_arn,
    }
    if parameters:
        request["Parameters"] = parameters
    if share is not None:
        request["ShareIdentifier"] = share
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
