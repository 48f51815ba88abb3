"""Submits jobs for new objects of a bucket, through EventBridge, SQS and Lambda."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aws_cdk import Duration, Token
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_lambda_event_sources as sources
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sqs as sqs
from aws_cdk.aws_logs import ILogGroup
from constructs import Construct

from batch_stack.common.iam import function_role
from batch_stack.common.kms import READ, grant_key
from batch_stack.common.lambda_function import drop_redundant_dependency, python_function
from batch_stack.common.log_group import log_group
from batch_stack.common.retention import DataPolicy
from batch_stack.common.sqs_queue import message_queue
from batch_stack.jobs.container_job import ContainerJob
from batch_stack.queues.priority_tier import PriorityTier
from batch_stack.settings.retry import retry_text
from batch_stack.settings.triggers import check_parameters_fit, check_texts, overlap, trigger_options

_EVENTS = "events.amazonaws.com"
# From EventBridge to SQS: EventBridge's own defaults.
_DELIVERY_ATTEMPTS = 185
_MAX_EVENT_AGE_H = 24

_FUNCTION_TIMEOUT_S = 60
# Six times the function's timeout, as Lambda recommends, so that no message is received twice at a time.
_VISIBILITY_TIMEOUT_S = 6 * _FUNCTION_TIMEOUT_S
# With the visibility timeout: a message is tried for two hours before it is set aside.
_MAX_RECEIVES = 20
_BATCH_SIZE = 10
# The minimum of Lambda. An account may submit 50 jobs a second; two callers stay below that.
_MAX_CONCURRENCY = 2


class ObjectTrigger(Construct):
    """Submits a job for each object created under a prefix of a bucket.

    Events of a burst of uploads wait in a queue until their jobs are submitted at the rate that AWS Batch
    allows (docs/adr/014). Events that could not be queued, or whose jobs could not be submitted within two
    hours, are kept in one dead-letter queue until 14 days after the upload. S3, EventBridge and SQS deliver
    at least once, so a job may rarely run twice; workers replace their results in one step.

    While the tier's queue is disabled, by hand or by its budget, uploads end in the dead-letter queue, and an
    alarm of the platform goes off. When the queue is enabled again, move them back:
    ``aws sqs start-message-move-task --source-arn DEAD_LETTER_QUEUE_ARN --destination-arn QUEUE_ARN``.
    Moved messages count as new: if the queue is still disabled, they return after two hours, for another 14
    days. To submit a job for a lost event, copy the object onto itself.
    https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-configure-dead-letter-queue-redrive.html

    Attributes:
        function: the function that calls SubmitJob.
        rule: the EventBridge rule.
        queue: events for which jobs are to be submitted.
        dead_letter_queue: events for which no job could be submitted.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        bucket: s3.IBucket,
        output_bucket: s3.IBucket,
        job: ContainerJob,
        tier: PriorityTier,
        prefix: str = "",
        share: str | None = None,
        parameters: Mapping[str, str] | None = None,
        output_prefix: str = "",
        data_policy: DataPolicy = DataPolicy(),
    ) -> None:
        """Creates the rule, its queue and its function.

        Args:
            scope: the parent construct.
            construct_id: this construct's id within it.
            bucket: the bucket in which objects are created; its EventBridge notifications must be on.
            output_bucket: the bucket for the job's results, which it writes to the folder that the object's
                key has in `bucket`.
            job: the job to submit, with the parameters ``input`` and ``output``. A job with an array size is
                submitted as an array.
            tier: the tier to submit to, which also sets the retry policy, unless the job has its own.
            prefix: the prefix of the objects' keys; by default all objects.
            share: the share identifier of the jobs, which a tier with a fair-share policy needs.
            parameters: more of the job's parameters, by their names.
            output_prefix: the first part of the folder in `output_bucket`; it ends in a slash, unless it is
                empty. Two triggers on the same objects need different ones, because their jobs would write
                the same keys.
            data_policy: how long the function's log and undelivered events are kept, and which key encrypts
                them and the events in the queue.

        Raises:
            ValueError: the job is for another platform or CPU architecture than the tier; or there is a share
                and the tier has no fair share, or the other way round; or the parameters or the tier's retry
                policy do not fit the function's environment, of which Lambda takes 4 KB; or a parameter is
                not a text; or each result would become a job again.
        """
        super().__init__(scope, construct_id)
        job.check_tier(tier, at=self.node.path)
        tier.check_share(share, at=self.node.path)
        check_texts(parameters or {}, at=self.node.path)
        self._check_output(bucket, output_bucket, prefix, output_prefix)
        self.dead_letter_queue = message_queue(
            self, "DeadLetterQueue", data_policy=data_policy, senders=[_EVENTS]
        )
        self.queue = self._queue(data_policy)
        logs = log_group(self, "FunctionLogGroup", data_policy=data_policy)
        environment = {
            "JOB_QUEUE": tier.queue.job_queue_arn,
            # Without a revision: SubmitJob takes the latest, so a new revision needs no new function.
            "JOB_DEFINITION": job.unversioned_arn,
            "OUTPUT_BUCKET": output_bucket.bucket_name,
            **self._options(job, tier, share, parameters or {}, output_prefix),
        }
        role = function_role(self, "FunctionRole", description="Submits jobs for new objects")
        job.grant_submit(role, tier, shares=[share] if share is not None else [])
        logs.grant_write(role)
        grant_key(role, data_policy.key, actions=READ, service="sqs")
        self.function = self._function(role, environment, logs)
        self.rule = self._rule(bucket, prefix)

    def _check_output(
        self, bucket: s3.IBucket, output_bucket: s3.IBucket, prefix: str, output_prefix: str
    ) -> None:
        if Token.is_unresolved(prefix) or Token.is_unresolved(output_prefix):
            return
        if output_prefix and not output_prefix.endswith("/"):
            raise ValueError(f"output_prefix must end in a slash, got {output_prefix!r} at {self.node.path}")
        if bucket.bucket_name == output_bucket.bucket_name and overlap(prefix, output_prefix):
            raise ValueError(
                f"output_prefix must not overlap prefix, which is {prefix!r}, because bucket and "
                f"output_bucket are one, and each result would become a job again, got {output_prefix!r} at "
                f"{self.node.path}"
            )

    def _options(
        self,
        job: ContainerJob,
        tier: PriorityTier,
        share: str | None,
        parameters: Mapping[str, str],
        output_prefix: str,
    ) -> dict[str, str]:
        policy = job.retry_in(tier)
        retry = retry_text(policy, job.platform_capability) if policy is not None else None
        try:
            check_parameters_fit(share, parameters, output_prefix, retry)
        except ValueError as error:
            raise ValueError(f"{error} at {self.node.path}") from None
        return trigger_options(
            array_size=job.array_size,
            share=share,
            parameters=parameters,
            output_prefix=output_prefix,
            retry=retry,
        )

    def _queue(self, data_policy: DataPolicy) -> sqs.Queue:
        return message_queue(
            self,
            "Queue",
            data_policy=data_policy,
            visibility_timeout=Duration.seconds(_VISIBILITY_TIMEOUT_S),
            dead_letter_queue=sqs.DeadLetterQueue(
                queue=self.dead_letter_queue, max_receive_count=_MAX_RECEIVES
            ),
            senders=[_EVENTS],
            closed=True,
        )

    def _rule(self, bucket: s3.IBucket, prefix: str) -> events.Rule:
        return events.Rule(
            self,
            "ObjectCreated",
            description="Objects created in the input bucket become jobs",
            event_pattern=events.EventPattern(
                source=["aws.s3"], detail_type=["Object Created"], detail=_detail(bucket, prefix)
            ),
            targets=[
                targets.SqsQueue(
                    self.queue,
                    dead_letter_queue=self.dead_letter_queue,
                    retry_attempts=_DELIVERY_ATTEMPTS,
                    max_event_age=Duration.hours(_MAX_EVENT_AGE_H),
                )
            ],
        )

    def _function(self, role: iam.Role, environment: Mapping[str, str], logs: ILogGroup) -> lambda_.Function:
        function = python_function(
            self,
            "SubmitJob",
            name="submit_job",
            description="Submits an AWS Batch job for an object created in S3",
            role=role,
            log_group=logs,
            timeout=Duration.seconds(_FUNCTION_TIMEOUT_S),
            environment=environment,
        )
        function.add_event_source(
            sources.SqsEventSource(
                self.queue,
                batch_size=_BATCH_SIZE,
                max_concurrency=_MAX_CONCURRENCY,
                report_batch_item_failures=True,
            )
        )
        drop_redundant_dependency(function, role)
        return function


def _detail(bucket: s3.IBucket, prefix: str) -> dict[str, Any]:
    detail: dict[str, Any] = {"bucket": {"name": [bucket.bucket_name]}}
    if prefix:
        detail["object"] = {"key": [{"prefix": prefix}]}
    return detail
