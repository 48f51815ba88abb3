"""What the instances of a tier may cost in a month, and what happens when they have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aws_cdk import Aws, Duration, RemovalPolicy
from aws_cdk import aws_budgets as budgets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from batch_stack.common.iam import function_role
from batch_stack.common.kms import WRITE, admit_to_topics, grant_key
from batch_stack.common.lambda_function import drop_redundant_dependency, python_function
from batch_stack.common.log_group import log_group
from batch_stack.common.sqs_queue import message_queue
from batch_stack.compute.base import COST_TAG
from batch_stack.monitoring.notification import BUDGETS, Notification, of_own_budgets, publishing_budgets
from batch_stack.queues.priority_tier import PriorityTier
from batch_stack.settings.base.names import construct_id as pascal
from batch_stack.settings.tiers import BudgetSettings

_FUNCTION_TIMEOUT_S = 60
_USED_UP_PERCENT = 100


class TierBudget(Construct):
    """A monthly budget for a tier's instances, and, if the settings say so, the end of its queue's intake.

    AWS bills instances and volumes, not jobs, and tells them apart by tags: the budget counts those that
    carry the tag of the tier's compute environments. Somebody has to activate the cost allocation tag
    ``batch-stack-compute-environment`` once, in the billing console of the account that pays; until then, and
    for what was spent before, the budget sees nothing. AWS updates budgets up to three times a day, hours
    behind: this is a brake for a month, not a limit to the dollar.
    https://docs.aws.amazon.com/awsaccountbilling/latest/aboutv2/activating-tags.html

    Attributes:
        budget: the budget. Its notifications cannot be changed: an edit makes another in its place.
        topic: what wakes the function when the budget is used up; None if people are told and no more.
        function: disables the queue; None likewise.
        dead_letter_queue: notices on which the function failed; None likewise.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        name: str,
        tier: PriorityTier,
        cost_tags: Sequence[str],
        settings: BudgetSettings,
        notification: Notification,
        log_retention_days: int,
        removal_policy: RemovalPolicy,
        key: kms.IKey | None = None,
    ) -> None:
        """Create the budget, and what disables the queue.

        Args:
            scope: the parent construct.
            construct_id: this construct's id within it.
            name: the tier's name, for people.
            tier: whose queue may be disabled.
            cost_tags: the values of `COST_TAG` of its compute environments, which no other tier may use.
            settings: the amount in US dollars, at which percentages people are told, and what happens at 100.
            notification: who is told.
            log_retention_days: one of the periods that CloudWatch Logs allows.
            removal_policy: what becomes of the function's log group and dead-letter queue with the stack.
            key: encrypts what wakes the function, what it failed on, and its log; must be given if the queue
                is to be disabled.

        Raises:
            ValueError: the queue is to be disabled, and there is no key.
        """
        super().__init__(scope, construct_id)
        self._notification = notification
        self.topic: sns.Topic | None = None
        self.function: lambda_.Function | None = None
        self.dead_letter_queue: sqs.Queue | None = None
        topics: dict[int, sns.ITopic] = dict.fromkeys(settings.notify_percent, notification.topic)
        notification.admit_budgets()
        disables = settings.on_exceeded == "disable_queue"
        if disables:
            if key is None:
                raise ValueError(
                    f"key must be given for on_exceeded disable_queue, got none at {self.node.path}"
                )
            # A threshold has one topic only; of this one the function tells people.
            topics[_USED_UP_PERCENT] = self.topic = self._own_topic(key)
        self.budget = self._budget(settings, cost_tags, topics)
        if self.topic is not None and key is not None:
            self.dead_letter_queue = message_queue(
                self, "DeadLetterQueue", removal_policy=removal_policy, key=key, senders=["sns.amazonaws.com"]
            )
            self.function = self._disable_queue(name, tier, log_retention_days, removal_policy, key)
            self.topic.add_subscription(
                subscriptions.LambdaSubscription(self.function, dead_letter_queue=self.dead_letter_queue)
            )
            notification.watch_dead_letters(f"{pascal(name)}Budget", self.dead_letter_queue)

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
            # AWS Budgets refuses a topic that it may not publish to yet.
            policy = topic.node.try_find_child("Policy")
            if policy is not None:
                budget.node.add_dependency(policy)
        return budget

    def _own_topic(self, key: kms.IKey) -> sns.Topic:
        admit_to_topics(self, key, BUDGETS, conditions=of_own_budgets())
        topic = sns.Topic(self, "Topic", enforce_ssl=True, master_key=key)
        topic.add_to_resource_policy(publishing_budgets(topic))
        return topic

    def _disable_queue(
        self,
        name: str,
        tier: PriorityTier,
        log_retention_days: int,
        removal_policy: RemovalPolicy,
        key: kms.IKey,
    ) -> lambda_.Function:
        logs = log_group(
            self,
            "FunctionLogGroup",
            retention_days=log_retention_days,
            removal_policy=removal_policy,
            key=key,
        )
        queue_arn = tier.queue.job_queue_arn
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
        grant_key(role, key, actions=WRITE, service="sqs")
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
