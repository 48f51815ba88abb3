"""Who is told when a job fails, a queue is blocked or an event could not be delivered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import jsii
from aws_cdk import Annotations, ArnFormat, Aws, Duration, IStableListProducer, Lazy, RemovalPolicy, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from batch_stack.common.kms import WRITE, admit_to_topics, grant_key
from batch_stack.common.sqs_queue import message_queue

_RETRY_ATTEMPTS = 24
_MAX_EVENT_AGE_H = 24
_EVENTS, _ALARMS, BUDGETS = "events.amazonaws.com", "cloudwatch.amazonaws.com", "budgets.amazonaws.com"


class Notification(Construct):
    """A topic that hears of what others watch: failed jobs, blocked queues, alarms, undelivered events.

    Only the rules and alarms that are given to it may publish there, budgets of this account, if a tier has
    one, and roles by `grant_publish`.

    Attributes:
        topic: the SNS topic, of this construct or of others.
        key: what the topic is encrypted with; None if it is not, or if it is not known, of a topic of others.
        dead_letter_queue: events that could not be published, kept for 14 days.
        dead_letter_alarms: one on each dead-letter queue, this one's included.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        emails: Sequence[str] = (),
        topic: sns.ITopic | None = None,
        removal_policy: RemovalPolicy = RemovalPolicy.RETAIN,
        key: kms.IKey | None = None,
    ) -> None:
        """Create the topic, and a queue for what does not reach it.

        Args:
            scope: the parent construct.
            construct_id: this construct's id within it.
            emails: addresses to subscribe; each has to confirm.
            topic: an existing topic; by default one is made. The policy of one that is imported, or of
                another stack, is its owner's, who must admit what publishes here; warnings say what.
            removal_policy: what becomes of events that could not be published with the stack.
            key: encrypts the topic that is made, and events that could not be published; what publishes here
                may use it. An existing topic keeps the one that it has.
        """
        super().__init__(scope, construct_id)
        self.topic: sns.ITopic = topic or sns.Topic(self, "Topic", enforce_ssl=True, master_key=key)
        self.key = self.topic.master_key
        # A topic of others may have any name.
        self._topic_names = None if topic is None else "*"
        self._is_of_this_stack = Stack.of(self.topic).node.path == Stack.of(self).node.path
        for email in emails:
            self.topic.add_subscription(subscriptions.EmailSubscription(email))
        self.dead_letter_queue = message_queue(
            self, "DeadLetterQueue", removal_policy=removal_policy, key=key, senders=[_EVENTS]
        )
        self._dead_letter_arn = self.dead_letter_queue.queue_arn
        self.dead_letter_alarms: list[cloudwatch.Alarm] = []
        # An imported topic is one to which a target or an action adds no, unconditional, permission.
        self._target_topic = sns.Topic.from_topic_arn(self, "TopicOfRules", self.topic.topic_arn)
        self._alarm_action = actions.SnsAction(self._target_topic)
        self._admits_budgets = False
        self._rule_arns = _Arns()
        self._alarm_arns = _Arns()
        self._allow_only_these()
        self._keep_what_rules_cannot_deliver()
        self.watch_dead_letters("", self.dead_letter_queue)

    def tell_of(
        self, scope: Construct, construct_id: str, *, detail_type: str, detail: dict[str, Any], text: str
    ) -> events.Rule:
        """Create a rule that sends a message for each of some events of AWS Batch.

        The events follow https://docs.aws.amazon.com/batch/latest/userguide/batch_cwe_events.html

        Args:
            scope: the rule's parent.
            construct_id: its id there.
            detail_type: of the events.
            detail: what must match besides.
            text: the message; fields of the event by `events.EventField`.
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

    def raise_alarm(self, alarm: cloudwatch.Alarm) -> None:
        """Send a message when an alarm goes off.

        Args:
            alarm: any alarm of this stack.
        """
        alarm.add_alarm_action(self._alarm_action)
        self._alarm_arns.add(alarm.alarm_arn)

    def admit_budgets(self) -> None:
        """Let the budgets of this account publish here; calling it twice does no harm.

        https://docs.aws.amazon.com/cost-management/latest/userguide/budgets-sns-policy.html
        """
        if not self._admits_budgets:
            self._admits_budgets = True
            self._admit(publishing_budgets(self.topic), BUDGETS, of_own_budgets())

    def grant_publish(self, grantee: iam.IGrantable) -> None:
        """Allow publishing messages here; a warning says what the owner of an imported topic has to allow.

        Args:
            grantee: who may.
        """
        grantee.grant_principal.add_to_principal_policy(
            iam.PolicyStatement(actions=["sns:Publish"], resources=[self.topic.topic_arn])
        )
        grant_key(grantee, self.key, actions=WRITE, service="sns")
        if not isinstance(self.topic, sns.Topic):
            who = getattr(grantee, "node", self.node).path
            Annotations.of(self).add_warning_v2(
                f"batch-stack:topicPolicy:{who}",
                f"The policy of the existing topic, if another account has it, must let the role {who} do "
                f"sns:Publish, and its key, if it has one, must let that role do kms:Decrypt and "
                f"kms:GenerateDataKey: neither can be changed from here. At {self.node.path}",
            )

    def watch_dead_letters(self, owner: str, queue: sqs.IQueue) -> None:
        """Send a message when something could not be delivered.

        Args:
            owner: whose queue it is: a construct's id; it begins the alarm's.
            queue: where the undelivered waits.
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
            # A queue that nobody has used for six hours sends no metric.
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
        )
        self.raise_alarm(alarm)
        self.dead_letter_alarms.append(alarm)

    def _keep_what_rules_cannot_deliver(self) -> None:
        """Let rules of this account use the dead-letter queue, all by one statement.

        A queue's policy has room for 10 conditions and 8 KiB: not for those of five tiers, one by one.
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

    def _allow_only_these(self) -> None:
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
                sid=sid,
                principals=[iam.ServicePrincipal(service)],
                actions=["sns:Publish"],
                resources=[self.topic.topic_arn],
                conditions={"ArnEquals": {"aws:SourceArn": Lazy.list(arns)}, **more},
            )
            self._admit(statement, service, of_key)

    def _admit(
        self, statement: iam.PolicyStatement, service: str, of_key: Mapping[str, Mapping[str, Any]]
    ) -> None:
        # A statement in another stack would name rules of this one, which names that stack's topic.
        if self._is_of_this_stack and self.topic.add_to_resource_policy(statement).statement_added:
            if self.key is not None:
                admit_to_topics(self, self.key, service, names=self._topic_names, conditions=of_key)
            return
        Annotations.of(self).add_warning_v2(
            f"batch-stack:topicPolicy:{service}",
            f"The policy of the existing topic must let {service} do sns:Publish, and its key, if it has "
            f"one, must let it do kms:Decrypt and kms:GenerateDataKey: neither can be changed from here. "
            f"At {self.node.path}",
        )


def of_own_budgets() -> dict[str, dict[str, str]]:
    """When AWS Budgets acts for a budget of this account: conditions of a policy's statement."""
    # A budget's own ARN has its name, which only CloudFormation knows, after the topic is there.
    account = Aws.ACCOUNT_ID
    return {
        "StringEquals": {"aws:SourceAccount": account},
        "ArnLike": {"aws:SourceArn": f"arn:{Aws.PARTITION}:budgets::{account}:*"},
    }


def publishing_budgets(topic: sns.ITopic) -> iam.PolicyStatement:
    """What a topic's policy says so that budgets of this account can publish to it.

    Args:
        topic: the topic.
    """
    return iam.PolicyStatement(
        sid="BudgetsOfThisAccount",
        principals=[iam.ServicePrincipal(BUDGETS)],
        actions=["sns:Publish"],
        resources=[topic.topic_arn],
        conditions=of_own_budgets(),
    )


@jsii.implements(IStableListProducer)
class _Arns:
    """ARNs that are known only when the template is written."""

    def __init__(self) -> None:
        self._arns: list[str] = []

    def add(self, arn: str) -> None:
        self._arns.append(arn)

    def produce(self) -> list[str]:
        """Return all of them, as CDK asks for it."""
        return self._arns
