"""Monthly budgets for the instances of a tier."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aws_cdk import Aws, Duration
from aws_cdk import aws_batch as batch
from aws_cdk import aws_budgets as budgets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from batch_stack.common.iam import function_role
from batch_stack.common.kms import WRITE, grant_key, grant_service_topics
from batch_stack.common.lambda_function import drop_redundant_dependency, python_function
from batch_stack.common.log_group import log_group
from batch_stack.common.retention import DataPolicy
from batch_stack.common.sqs_queue import message_queue
from batch_stack.compute.base import COST_TAG
from batch_stack.monitoring.notification import (
    BUDGETS,
    Notification,
    own_budgets_conditions,
    publish_budgets_statement,
)
from batch_stack.settings.base.names import construct_id as pascal
from batch_stack.settings.tiers import BudgetSettings

_FUNCTION_TIMEOUT_S = 60
_USED_UP_PERCENT = 100


class TierBudget(Construct):
    """A monthly budget for a tier's instances, which can disable the tier's queue when it is used up.

    AWS bills instances and volumes, not jobs, and separates them by tags: the budget counts those with the
    tag of the tier's compute environments. The cost allocation tag ``batch-stack-compute-environment`` has to
    be activated once, in the billing console of the account that pays; until then, and for earlier costs, the
    budget counts nothing. AWS updates budgets up to three times a day, and hours late, so the costs of a
    month may exceed the budget somewhat.
    https://docs.aws.amazon.com/awsaccountbilling/latest/aboutv2/activating-tags.html

    Attributes:
        budget: the budget. Its notifications cannot be changed: an edit replaces the budget.
        topic: the topic that calls the function when the budget is used up; None if the budget only sends
            messages.
        function: the function that disables the queue; None if the budget only sends messages.
        dead_letter_queue: notices that the function failed to process; None if the budget only sends
            messages.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        name: str,
        queue: batch.IJobQueue,
        cost_tags: Sequence[str],
        settings: BudgetSettings,
        notification: Notification,
        data_policy: DataPolicy = DataPolicy(),
    ) -> None:
        """Creates the budget and, if the settings say so, the function that disables the queue.

        Args:
            scope: the parent construct.
            construct_id: this construct's id within it.
            name: the tier's name, for messages.
            queue: the queue that the function disables.
            cost_tags: the values of `COST_TAG` of the tier's compute environments, which no other tier may
                use.
            settings: the amount in US dollars, the percentages at which messages are sent, and what happens
                at 100 per cent.
            notification: sends the messages.
            data_policy: how long the function's log and the notices that it failed to process are kept, and
                which key encrypts them and the topic. The function needs a key.

        Raises:
            ValueError: the queue is to be disabled, and there is no key.
        """
        super().__init__(scope, construct_id)
        self._notification, self._data_policy = notification, data_policy
        self.topic: sns.Topic | None = None
        self.function: lambda_.Function | None = None
        self.dead_letter_queue: sqs.Queue | None = None
        topics: dict[int, sns.ITopic] = dict.fromkeys(settings.notify_percent, notification.topic)
        notification.grant_service_budgets()
        if settings.on_exceeded == "disable_queue":
            # AWS Budgets takes one topic for a threshold; the function forwards the notices of this topic.
            topics[_USED_UP_PERCENT] = self.topic = self._own_topic()
        self.budget = self._budget(settings, cost_tags, topics)
        if self.topic is not None:
            self.dead_letter_queue = message_queue(
                self, "DeadLetterQueue", data_policy=data_policy, senders=["sns.amazonaws.com"]
            )
            self.function = self._disable_queue(name, queue)
            self.topic.add_subscription(
                subscriptions.LambdaSubscription(self.function, dead_letter_queue=self.dead_letter_queue)
            )
            notification.notify_on_dead_letters(f"{pascal(name)}Budget", self.dead_letter_queue)

    def _budget(
        self, settings: BudgetSettings, cost_tags: Sequence[str], topics: Mapping[int, sns.ITopic]
    ) -> budgets.CfnBudget:
        cfn = budgets.CfnBudget
        budget = cfn(
            self,
            "Budget",
            budget=cfn.BudgetDataProperty(
                budget_type="COST",
                time_unit="MONTHLY",
                budget_limit=cfn.SpendProperty(amount=settings.usd_per_month, unit="USD"),
                cost_filters={"TagKeyValue": [f"user:{COST_TAG}${value}" for value in cost_tags]},
            ),
            notifications_with_subscribers=[
                cfn.NotificationWithSubscribersProperty(
                    notification=cfn.NotificationProperty(
                        notification_type="ACTUAL",
                        comparison_operator="GREATER_THAN",
                        threshold=percent,
                        threshold_type="PERCENTAGE",
                    ),
                    subscribers=[cfn.SubscriberProperty(subscription_type="SNS", address=topic.topic_arn)],
                )
                for percent, topic in sorted(topics.items())
            ],
        )
        for topic in topics.values():
            # AWS Budgets refuses a topic whose policy does not let it publish yet.
            policy = topic.node.try_find_child("Policy")
            if policy is not None:
                budget.node.add_dependency(policy)
        return budget

    def _own_topic(self) -> sns.Topic:
        key = self._data_policy.key
        if key is None:
            raise ValueError(
                f"data_policy.key must be given for on_exceeded disable_queue, got none at {self.node.path}"
            )
        grant_service_topics(self, key, BUDGETS, conditions=own_budgets_conditions())
        topic = sns.Topic(self, "Topic", enforce_ssl=True, master_key=key)
        topic.add_to_resource_policy(publish_budgets_statement(topic))
        return topic

    def _disable_queue(self, name: str, queue: batch.IJobQueue) -> lambda_.Function:
        logs = log_group(self, "FunctionLogGroup", data_policy=self._data_policy)
        queue_arn = queue.job_queue_arn
        role = function_role(
            self, "FunctionRole", description=f"Disables the queue of tier {name} when its budget is used up"
        )
        budget_arn = f"arn:{Aws.PARTITION}:budgets::{Aws.ACCOUNT_ID}:budget/{self.budget.ref}"
        for action, resource in (
            ("batch:UpdateJobQueue", queue_arn),
            ("budgets:ViewBudget", budget_arn),
        ):
            role.add_to_policy(iam.PolicyStatement(actions=[action], resources=[resource]))
        self._notification.grant_publish(role)
        grant_key(role, self._data_policy.key, actions=WRITE, service="sqs")
        logs.grant_write(role)
        function = python_function(
            self,
            "DisableQueue",
            name="disable_queue",
            description=f"Disables the queue of tier {name} when its budget is used up",
            role=role,
            log_group=logs,
            timeout=Duration.seconds(_FUNCTION_TIMEOUT_S),
            environment={
                "BUDGET_NAME": self.budget.ref,
                "JOB_QUEUE": queue_arn,
                "NOTIFICATION_TOPIC": self._notification.topic.topic_arn,
                "TIER": name,
            },
            dead_letter_queue=self.dead_letter_queue,
        )
        drop_redundant_dependency(function, role)
        return function
