"""Who is told when a job fails, a queue is blocked or an event could not be delivered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aws_cdk import Aws, Duration, RemovalPolicy
from aws_cdk import aws_batch as batch
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from batch_stack.queue import message_queue

_RETRY_ATTEMPTS = 24
_MAX_EVENT_AGE = Duration.hours(24)


class Notification(Construct):
    """A topic that hears of failed jobs, blocked queues and undelivered events.

    A failed array job is one message, however many of its children failed. The events follow
    https://docs.aws.amazon.com/batch/latest/userguide/batch_cwe_events.html

    Attributes:
        topic: the SNS topic.
        dead_letter_queue: events that could not be published, kept for 14 days.
        dead_letter_alarms: one on each dead-letter queue, this one's included.
        job_failed_rule: the EventBridge rule on failed jobs.
        queue_blocked_rule: the EventBridge rule on blocked queues.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        queues: Sequence[batch.IJobQueue],
        emails: Sequence[str],
        dead_letter_queues: Mapping[str, sqs.IQueue] | None = None,
        removal_policy: RemovalPolicy = RemovalPolicy.RETAIN,
    ) -> None:
        """Create the topic, its rules and its alarms.

        Args:
            scope: the parent construct.
            construct_id: this construct's id within it.
            queues: jobs of these queues only; other queues in the account are not this platform's.
            emails: addresses to subscribe; each has to confirm.
            dead_letter_queues: where other constructs keep what they could not deliver, by their ids.
            removal_policy: what becomes of events that could not be published with the stack.
        """
        super().__init__(scope, construct_id)
        self.topic = sns.Topic(self, "Topic", enforce_ssl=True)
        for email in emails:
            self.topic.add_subscription(subscriptions.EmailSubscription(email))
        self.dead_letter_queue = message_queue(self, "DeadLetterQueue", removal_policy=removal_policy)
        # An imported topic is one to which the rule's target does not add its own, unconditional, permission.
        self._target_topic = sns.Topic.from_topic_arn(self, "TopicOfRules", self.topic.topic_arn)
        queue_arns = [queue.job_queue_arn for queue in queues]
        self.job_failed_rule = self._rule(
            "JobFailed",
            "Batch Job State Change",
            {
                "jobQueue": queue_arns,
                "status": ["FAILED"],
                # A child of an array has an index, and a parent that speaks for all of them.
                "arrayProperties": {"index": [{"exists": False}]},
            },
            _job_failed_text(),
        )
        self.queue_blocked_rule = self._rule(
            "QueueBlocked", "Batch Job Queue Blocked", {"jobQueue": queue_arns}, _queue_blocked_text()
        )
        self.dead_letter_alarms = [
            self._alarm(f"{owner}DeadLetterAlarm", queue)
            for owner, queue in {"": self.dead_letter_queue, **(dead_letter_queues or {})}.items()
        ]
        self._allow_only_these()

    def watch_dead_letters(self, owner: str, queue: sqs.IQueue) -> None:
        """Tell the topic of what another construct, made later than this one, could not deliver.

        Args:
            owner: that construct's id; it begins the alarm's.
            queue: where the undelivered waits.
        """
        alarm = self._alarm(f"{owner}DeadLetterAlarm", queue)
        self.dead_letter_alarms.append(alarm)
        self._allow_alarms(f"{owner}DeadLetterAlarm", [alarm])

    def _rule(self, construct_id: str, detail_type: str, detail: dict[str, Any], text: str) -> events.Rule:
        return events.Rule(
            self,
            construct_id,
            description=f"{detail_type}, for the queues of this stack",
            event_pattern=events.EventPattern(source=["aws.batch"], detail_type=[detail_type], detail=detail),
            targets=[
                targets.SnsTopic(
                    self._target_topic,
                    message=events.RuleTargetInput.from_multiline_text(text),
                    dead_letter_queue=self.dead_letter_queue,
                    retry_attempts=_RETRY_ATTEMPTS,
                    max_event_age=_MAX_EVENT_AGE,
                )
            ],
        )

    def _alarm(self, construct_id: str, queue: sqs.IQueue) -> cloudwatch.Alarm:
        alarm = cloudwatch.Alarm(
            self,
            construct_id,
            alarm_description=f"Events could not be delivered; they wait in {queue.queue_name} for 14 days",
            metric=queue.metric_approximate_number_of_messages_visible(
                period=Duration.minutes(1), statistic="Maximum"
            ),
            threshold=0,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD,
            evaluation_periods=1,
            # A queue that nobody has used for six hours sends no metric.
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
        )
        alarm.add_alarm_action(actions.SnsAction(self.topic))
        return alarm

    def _allow_only_these(self) -> None:
        self.topic.add_to_resource_policy(
            iam.PolicyStatement(
                sid="RulesOfThisStack",
                principals=[iam.ServicePrincipal("events.amazonaws.com")],
                actions=["sns:Publish"],
                resources=[self.topic.topic_arn],
                conditions={
                    "ArnEquals": {
                        "aws:SourceArn": [self.job_failed_rule.rule_arn, self.queue_blocked_rule.rule_arn]
                    }
                },
            )
        )
        self._allow_alarms("AlarmsOfThisStack", self.dead_letter_alarms)

    def _allow_alarms(self, sid: str, alarms: Sequence[cloudwatch.Alarm]) -> None:
        self.topic.add_to_resource_policy(
            iam.PolicyStatement(
                sid=sid,
                principals=[iam.ServicePrincipal("cloudwatch.amazonaws.com")],
                actions=["sns:Publish"],
                resources=[self.topic.topic_arn],
                conditions={
                    "StringEquals": {"aws:SourceAccount": Aws.ACCOUNT_ID},
                    "ArnEquals": {"aws:SourceArn": [alarm.alarm_arn for alarm in alarms]},
                },
            )
        )


def _job_failed_text() -> str:
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


def _queue_blocked_text() -> str:
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
