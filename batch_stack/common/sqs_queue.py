"""SQS queues for messages that have not been delivered yet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from aws_cdk import Duration
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from batch_stack.common.kms import grant_service_queues
from batch_stack.common.retention import DataPolicy

_RETENTION_DAYS = 14  # the longest that SQS allows


def message_queue(
    scope: Construct,
    construct_id: str,
    *,
    data_policy: DataPolicy,
    visibility_timeout: Duration | None = None,
    dead_letter_queue: sqs.DeadLetterQueue | None = None,
    senders: Sequence[str] = (),
    closed: bool = False,
) -> sqs.Queue:
    """Creates a queue that is encrypted, allows TLS only and keeps messages for 14 days.

    Without a key of the policy, SQS uses its own key: EventBridge and SNS could not use the AWS managed key.

    Args:
        scope: the parent construct.
        construct_id: the queue's id within it.
        data_policy: what happens to the queue and its messages when the stack is deleted, and which key
            encrypts them.
        visibility_timeout: how long a received message stays hidden from other receivers; by default 30 s.
        dead_letter_queue: the queue for messages that were received too often; None for a dead-letter queue.
        senders: AWS services that send to it, by their principals; they may use the key.
        closed: whether only these senders, and principals with `grant_key`, use the queue. The L2 then does
            not know the queue's key, because it would let targets and sources of events use the key without
            any condition.
    """
    key = data_policy.key
    known = key is not None and not closed
    queue = sqs.Queue(
        scope,
        construct_id,
        encryption=sqs.QueueEncryption.KMS if known else sqs.QueueEncryption.SQS_MANAGED,
        encryption_master_key=key if known else None,
        enforce_ssl=True,
        retention_period=Duration.days(_RETENTION_DAYS),
        removal_policy=data_policy.removal_policy,
        visibility_timeout=visibility_timeout,
        dead_letter_queue=dead_letter_queue,
    )
    if key is not None:
        if closed:
            cfn = cast(sqs.CfnQueue, queue.node.default_child)
            cfn.sqs_managed_sse_enabled, cfn.kms_master_key_id = None, key.key_arn
        for service in senders:
            grant_service_queues(queue, key, service)
    return queue
