"""Messages about failed jobs, blocked queues, alarms and undelivered events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import jsii
from aws_cdk import Annotations, ArnFormat, Aws, Duration, IStableListProducer, Lazy, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from batch_stack.common.iam import grant_with_key
from batch_stack.common.kms import grant_service_topics
from batch_stack.common.retention import DataPolicy
from batch_stack.common.sqs_queue import message_queue
from batch_stack.settings.base.errors import SettingsError
from batch_stack.settings.sections import NotificationSettings

_RETRY_ATTEMPTS = 24
_MAX_EVENT_AGE_H = 24
_EVENTS, _ALARMS, BUDGETS = "events.amazonaws.com", "cloudwatch.amazonaws.com", "budgets.amazonaws.com"


class Notification(Construct):
    """An SNS topic that receives messages about failed jobs, blocked queues, alarms and undelivered events.

    Only the rules and alarms of this construct, roles with `grant_publish`, and, if a tier has a budget, the
    budgets of this account may publish to the topic.

    Attributes:
        topic: the SNS topic, a new or an existing one.
        key: the key that encrypts the topic; None if there is none, or if CDK does not know it.
        dead_letter_queue: events that could not be published, kept for 14 days.
        dead_letter_alarms: one alarm for each dead-letter queue, including that of this construct.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        emails: Sequence[str] = (),
        data_policy: DataPolicy = DataPolicy(),
    ) -> None:
        """Creates the topic, and a queue for events that could not be published.

        Args:
            scope: the parent construct.
            construct_id: this construct's id within it.
            emails: addresses to subscribe; each has to confirm.
            data_policy: what happens to unpublished events when the stack is deleted, and which key encrypts
                them and the topic. Services that publish to the topic may use the key.
        """
        super().__init__(scope, construct_id)
        topic = sns.Topic(self, "Topic", enforce_ssl=True, master_key=data_policy.key)
        self._use(topic, emails, data_policy, topic_names=None)

    @staticmethod
    def from_topic(
        scope: Construct,
        construct_id: str,
        topic: sns.ITopic,
        *,
        emails: Sequence[str] = (),
        data_policy: DataPolicy = DataPolicy(),
    ) -> Notification:
        """Returns a notification that uses an existing topic.

        The policy of a topic that is imported or belongs to another stack cannot be changed: its owner must
        let EventBridge, CloudWatch and other services publish. Warnings list these services.

        Args:
            scope: the parent construct.
            construct_id: this construct's id within it.
            topic: the topic, which keeps its key.
            emails: addresses to subscribe; each has to confirm.
            data_policy: what happens to unpublished events when the stack is deleted, and which key encrypts
                them.
        """
        return _NotificationOfTopic(scope, construct_id, topic, emails, data_policy)

    def _use(
        self,
        topic: sns.ITopic,
        emails: Sequence[str],
        data_policy: DataPolicy,
        *,
        topic_names: str | None,
    ) -> None:
        """Sets the attributes for a topic, and creates the queue for undelivered events and its alarm.

        Args:
            topic: the topic.
            emails: addresses to subscribe.
            data_policy: the data policy for events that could not be published.
            topic_names: a pattern for the topic's name, if CloudFormation does not give it the name.
        """
        self.topic, self.key = topic, topic.master_key
        self._topic_names = topic_names
        # SNS refuses two statements with one Sid, and several notifications can use one existing topic.
        self._sid_suffix = "" if topic_names is None else self.node.addr[-8:]
        self._is_of_this_stack = Stack.of(topic).node.path == Stack.of(self).node.path
        for email in emails:
            topic.add_subscription(subscriptions.EmailSubscription(email))
        self.dead_letter_queue = message_queue(
            self, "DeadLetterQueue", data_policy=data_policy, senders=[_EVENTS]
        )
        self._dead_letter_arn = self.dead_letter_queue.queue_arn
        self.dead_letter_alarms: list[cloudwatch.Alarm] = []
        # A target or an action adds a permission without a condition to a topic, but not to an imported one.
        self._target_topic = sns.Topic.from_topic_arn(self, "TopicOfRules", topic.topic_arn)
        self._alarm_action = actions.SnsAction(self._target_topic)
        self._serves_budgets = False
        self._rule_arns = _Arns()
        self._alarm_arns = _Arns()
        self._allow_own_rules_and_alarms()
        self._keep_undelivered_events()
        self.notify_on_dead_letters("", self.dead_letter_queue)

    def notify_on_event(
        self, scope: Construct, construct_id: str, *, detail_type: str, detail: dict[str, Any], text: str
    ) -> events.Rule:
        """Creates a rule that sends a message for each matching event of AWS Batch.

        The events follow https://docs.aws.amazon.com/batch/latest/userguide/batch_cwe_events.html

        Args:
            scope: the parent construct of the rule.
            construct_id: the rule's id within it.
            detail_type: the detail type of the events.
            detail: more conditions on the events.
            text: the message; `events.EventField` inserts fields of the event.
        """
        rule = events.Rule(
            scope,
            construct_id,
            description=f"{detail_type}, for a queue of this stack",
            event_pattern=events.EventPattern(source=["aws.batch"], detail_type=[detail_type], detail=detail),
            targets=[
                targets.SnsTopic(
                    self._target_topic,
                    message=events.RuleTargetInput.from_multiline_text(text),
                    retry_attempts=_RETRY_ATTEMPTS,
                    max_event_age=Duration.hours(_MAX_EVENT_AGE_H),
                )
            ],
        )
        # The target's own property would add a statement for each rule to the queue's policy.
        cast(events.CfnRule, rule.node.default_child).add_property_override(
            "Targets.0.DeadLetterConfig.Arn", self._dead_letter_arn
        )
        self._rule_arns.add(rule.rule_arn)
        return rule

    def notify_on_alarm(self, alarm: cloudwatch.Alarm) -> None:
        """Sends a message when an alarm goes off.

        Args:
            alarm: an alarm of this stack.
        """
        alarm.add_alarm_action(self._alarm_action)
        self._alarm_arns.add(alarm.alarm_arn)

    def grant_service_budgets(self) -> None:
        """Lets the budgets of this account publish to the topic; calling it again changes nothing.

        https://docs.aws.amazon.com/cost-management/latest/userguide/budgets-sns-policy.html
        """
        if not self._serves_budgets:
            self._serves_budgets = True
            self._grant_service(publish_budgets_statement(self.topic), BUDGETS, own_budgets_conditions())

    def grant_publish(self, grantee: iam.IGrantable) -> iam.Grant:
        """Allows publishing messages to the topic.

        For an imported topic, a warning says what the topic's owner must allow.

        Args:
            grantee: the principal that may publish.

        Returns:
            The grant, which includes the use of the topic's key, if CDK knows the key.
        """
        grant = grant_with_key(
            grantee, actions=["sns:Publish"], resource=self.topic.topic_arn, key=self.key, service="sns"
        )
        if not isinstance(self.topic, sns.Topic):
            who = getattr(grantee, "node", self.node).path
            Annotations.of(self).add_warning_v2(
                f"batch-stack:topicPolicy:{who}",
                f"The policy of the existing topic, if another account has it, must let the role {who} do "
                f"sns:Publish, and its key, if it has one, must let that role do kms:Decrypt and "
                f"kms:GenerateDataKey: neither can be changed from here. At {self.node.path}",
            )
        return grant

    def notify_on_dead_letters(self, owner: str, queue: sqs.IQueue) -> None:
        """Sends a message when something could not be delivered.

        Args:
            owner: the construct id of the queue's owner, with which the alarm's id begins.
            queue: the dead-letter queue.
        """
        alarm = cloudwatch.Alarm(
            self,
            f"{owner}DeadLetterAlarm",
            alarm_description=f"Events could not be delivered; they wait in {queue.queue_name} for 14 days",
            metric=queue.metric_approximate_number_of_messages_visible(
                period=Duration.minutes(1), statistic="Maximum"
            ),
            threshold=0,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD,
            evaluation_periods=1,
            # A queue that was idle for six hours sends no metric.
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
        )
        self.notify_on_alarm(alarm)
        self.dead_letter_alarms.append(alarm)

    def _keep_undelivered_events(self) -> None:
        """Lets rules of this account use the dead-letter queue, with one statement for all of them.

        A queue's policy takes 10 conditions and 8 KiB: not enough for one condition for each rule.
        https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-policies.html
        """
        rules = Stack.of(self).format_arn(service="events", resource="rule", resource_name="*")
        self.dead_letter_queue.add_to_resource_policy(
            iam.PolicyStatement(
                sid="RulesOfThisAccount",
                principals=[iam.ServicePrincipal(_EVENTS)],
                actions=["sqs:SendMessage"],
                resources=[self._dead_letter_arn],
                conditions={"ArnLike": {"aws:SourceArn": rules}},
            )
        )

    def _allow_own_rules_and_alarms(self) -> None:
        own_account = {"StringEquals": {"aws:SourceAccount": Aws.ACCOUNT_ID}}
        alarms = Stack.of(self).format_arn(
            service="cloudwatch",
            resource="alarm",
            resource_name="*",
            arn_format=ArnFormat.COLON_RESOURCE_NAME,
        )
        of_alarms = {**own_account, "ArnLike": {"aws:SourceArn": alarms}}
        for sid, service, arns, more, of_key in (
            ("RulesOfThisStack", _EVENTS, self._rule_arns, {}, {}),
            ("AlarmsOfThisStack", _ALARMS, self._alarm_arns, own_account, of_alarms),
        ):
            statement = iam.PolicyStatement(
                sid=sid + self._sid_suffix,
                principals=[iam.ServicePrincipal(service)],
                actions=["sns:Publish"],
                resources=[self.topic.topic_arn],
                conditions={"ArnEquals": {"aws:SourceArn": Lazy.list(arns)}, **more},
            )
            self._grant_service(statement, service, of_key)

    def _grant_service(
        self, statement: iam.PolicyStatement, service: str, of_key: Mapping[str, Mapping[str, Any]]
    ) -> None:
        # A statement in another stack would refer to rules of this stack, which refers to that stack's topic.
        if self._is_of_this_stack and self.topic.add_to_resource_policy(statement).statement_added:
            if self.key is not None:
                grant_service_topics(self, self.key, service, names=self._topic_names, conditions=of_key)
            return
        Annotations.of(self).add_warning_v2(
            f"batch-stack:topicPolicy:{service}",
            f"The policy of the existing topic must let {service} do sns:Publish, and its key, if it has "
            f"one, must let it do kms:Decrypt and kms:GenerateDataKey: neither can be changed from here. "
            f"At {self.node.path}",
        )


class _NotificationOfTopic(Notification):
    """A notification that uses an existing topic."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        topic: sns.ITopic,
        emails: Sequence[str],
        data_policy: DataPolicy,
    ) -> None:
        # Not the constructor of Notification, which creates a topic.
        super(Notification, self).__init__(scope, construct_id)
        self._use(topic, emails, data_policy, topic_names="*")


def notification_of(
    scope: Construct, settings: NotificationSettings, *, topic: sns.ITopic | None, data_policy: DataPolicy
) -> Notification:
    """Creates the notification of a platform, with a new topic or an existing one.

    Args:
        scope: the parent construct.
        settings: addresses to subscribe, and the ARN of an existing topic.
        topic: an existing topic.
        data_policy: what happens to unpublished events when the stack is deleted, and which key encrypts
            them.

    Raises:
        SettingsError: there are two existing topics.
    """
    arn, construct_id = settings.topic_arn, "Notification"
    if topic is not None and arn is not None:
        raise SettingsError(
            f"notifications.topic_arn must not be given with topic, an existing topic, got {arn!r} "
            f"at {scope.node.path}"
        )
    if arn is not None:
        topic = sns.Topic.from_topic_arn(scope, "ExistingTopic", arn)
    if topic is None:
        return Notification(scope, construct_id, emails=settings.emails, data_policy=data_policy)
    return Notification.from_topic(
        scope, construct_id, topic, emails=settings.emails, data_policy=data_policy
    )


def own_budgets_conditions() -> dict[str, dict[str, str]]:
    """Returns the conditions of a statement that allows AWS Budgets to act for this account's budgets."""
    # A budget's own ARN contains its name, which only CloudFormation knows, after it has created the topic.
    account = Aws.ACCOUNT_ID
    return {
        "StringEquals": {"aws:SourceAccount": account},
        "ArnLike": {"aws:SourceArn": f"arn:{Aws.PARTITION}:budgets::{account}:*"},
    }


def publish_budgets_statement(topic: sns.ITopic) -> iam.PolicyStatement:
    """Returns the statement of a topic's policy that lets budgets of this account publish to it.

    Args:
        topic: the topic.
    """
    return iam.PolicyStatement(
        sid="BudgetsOfThisAccount",
        principals=[iam.ServicePrincipal(BUDGETS)],
        actions=["sns:Publish"],
        resources=[topic.topic_arn],
        conditions=own_budgets_conditions(),
    )


@jsii.implements(IStableListProducer)
class _Arns:
    """ARNs that are known only when CDK writes the template."""

    def __init__(self) -> None:
        self._arns: list[str] = []

    def add(self, arn: str) -> None:
        self._arns.append(arn)

    def produce(self) -> list[str]:
        """Returns all ARNs when CDK resolves the list."""
        return self._arns
