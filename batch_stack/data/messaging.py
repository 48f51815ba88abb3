"""How jobs tell others of what they did: an event bus, and a queue of work."""

from __future__ import annotations

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from batch_stack.common.job_access import JobResources
from batch_stack.common.kms import WRITE, grant_key
from batch_stack.common.sqs_queue import message_queue

# Long enough for a step of work; whoever needs more says so by ChangeMessageVisibility as it goes on.
_VISIBILITY_TIMEOUT_MINUTES = 15
_MAX_RECEIVES = 5


class EventBus(Construct):
    """An EventBridge bus of the platform's own. Only principals of this account reach it, by their roles.

    Attributes:
        bus: the bus.
    """

    def __init__(self, scope: Construct, construct_id: str) -> None:
        """Create the bus.

        Args:
            scope: the parent construct.
            construct_id: this construct's id within it.
        """
        super().__init__(scope, construct_id)
        self.bus = events.EventBus(self, "Bus", description="Events of batch jobs")

    def for_jobs(self) -> JobResources:
        """What a job gets of it: ``EVENT_BUS_NAME``, and leave to put events."""
        return JobResources(
            environment={"EVENT_BUS_NAME": self.bus.event_bus_name}, grants=[self.grant_put_events]
        )

    def grant_put_events(self, grantee: iam.IGrantable) -> None:
        """Allow putting events, of any source, on this bus only.

        Args:
            grantee: who may.
        """
        iam.Grant.add_to_principal(
            grantee=grantee, actions=["events:PutEvents"], resource_arns=[self.bus.event_bus_arn]
        )


class WorkQueue(Construct):
    """An SQS queue of work that jobs give each other. What was taken five times in vain is set aside.

    Attributes:
        queue: the queue; a message that was received stays hidden from others for 15 minutes.
        dead_letter_queue: messages set aside, kept for 14 days.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        removal_policy: RemovalPolicy,
        key: kms.IKey | None = None,
    ) -> None:
        """Create both queues.

        Args:
            scope: the parent construct.
            construct_id: this construct's id within it.
            removal_policy: what becomes of them, and of the messages in them, with the stack.
            key: encrypts them; by default that of SQS.
        """
        super().__init__(scope, construct_id)
        self._key = key
        self.dead_letter_queue = message_queue(
            self, "DeadLetterQueue", removal_policy=removal_policy, key=key
        )
        self.queue = message_queue(
            self,
            "Queue",
            removal_policy=removal_policy,
            visibility_timeout=Duration.minutes(_VISIBILITY_TIMEOUT_MINUTES),
            dead_letter_queue=sqs.DeadLetterQueue(
                queue=self.dead_letter_queue, max_receive_count=_MAX_RECEIVES
            ),
            key=key,
        )

    def for_jobs(self) -> JobResources:
        """What a job gets of it: ``WORK_QUEUE_URL``, and leave to send, take and finish messages."""
        return JobResources(environment={"WORK_QUEUE_URL": self.queue.queue_url}, grants=[self.grant_use])

    def grant_use(self, grantee: iam.IGrantable) -> None:
        """Allow sending messages, taking them, and saying that they are done or still in work.

        Args:
            grantee: who may.
        """
        iam.Grant.add_to_principal(
            grantee=grantee,
            actions=[
                "sqs:ChangeMessageVisibility",
                "sqs:DeleteMessage",
                "sqs:ReceiveMessage",
                "sqs:SendMessage",
            ],
            resource_arns=[self.queue.queue_arn],
        )
        grant_key(grantee, self._key, actions=WRITE, service="sqs")
