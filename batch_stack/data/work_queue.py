"""A queue of work that jobs pass to other jobs."""

from __future__ import annotations

from aws_cdk import Duration
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from batch_stack.common.iam import grant_with_key
from batch_stack.common.job_access import JobResources
from batch_stack.common.retention import DataPolicy
from batch_stack.common.sqs_queue import message_queue

# Long enough for a step of work; a receiver that needs longer calls ChangeMessageVisibility while it works.
_VISIBILITY_TIMEOUT_MINUTES = 15
_MAX_RECEIVES = 5


class WorkQueue(Construct):
    """An SQS queue of work that jobs pass to other jobs. A message that failed five times is set aside.

    Attributes:
        queue: the queue; a received message stays hidden from other receivers for 15 minutes.
        dead_letter_queue: messages that were set aside, kept for 14 days.
    """

    def __init__(
        self, scope: Construct, construct_id: str, *, data_policy: DataPolicy = DataPolicy()
    ) -> None:
        """Creates both queues.

        Args:
            scope: the parent construct.
            construct_id: this construct's id within it.
            data_policy: what happens to the queues and their messages when the stack is deleted, and which
                key encrypts them.
        """
        super().__init__(scope, construct_id)
        self._key = data_policy.key
        self.dead_letter_queue = message_queue(self, "DeadLetterQueue", data_policy=data_policy)
        self.queue = message_queue(
            self,
            "Queue",
            data_policy=data_policy,
            visibility_timeout=Duration.minutes(_VISIBILITY_TIMEOUT_MINUTES),
            dead_letter_queue=sqs.DeadLetterQueue(
                queue=self.dead_letter_queue, max_receive_count=_MAX_RECEIVES
            ),
        )

    def for_jobs(self) -> JobResources:
        """Returns ``WORK_QUEUE_URL`` and the permissions of `grant_use`, for jobs that use the queue."""
        return JobResources(environment={"WORK_QUEUE_URL": self.queue.queue_url}, grants=[self.grant_use])

    def grant_use(self, grantee: iam.IGrantable) -> iam.Grant:
        """Allows sending and receiving messages, deleting them, and changing how long they stay hidden.

        Args:
            grantee: the principal that may use the queue.

        Returns:
            The grant, which includes the use of the queue's key.
        """
        return grant_with_key(
            grantee,
            actions=[
                "sqs:ChangeMessageVisibility",
                "sqs:DeleteMessage",
                "sqs:ReceiveMessage",
                "sqs:SendMessage",
            ],
            resource=self.queue.queue_arn,
            key=self._key,
            service="sqs",
        )
