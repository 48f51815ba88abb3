"""SQS queues, which hold what has not been delivered yet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from batch_stack.common.kms import admit_to_queues

_RETENTION_DAYS = 14  # the longest that SQS allows


def message_queue(
    scope: Construct,
    construct_id: str,
    *,
    removal_policy: RemovalPolicy,
    visibility_timeout: Duration | None = None,
    dead_letter_queue: sqs.DeadLetterQueue | None = None,
    key: kms.IKey | None = None,
    senders: Sequence[str] = (),
    closed: bool = False,
) -> sqs.Queue:
    """Create a queue: encrypted, TLS only, messages kept for 14 days.

    Its key is that of SQS, unless one is given: EventBridge and SNS could not use the AWS managed key of KMS.

    Args:
        scope: the parent construct.
        construct_id: the queue's id within it.
        removal_policy: what becomes of it, and of the messages in it, with the stack.
        visibility_timeout: how long a message that was received stays hidden from others; by default 30 s.
        dead_letter_queue: where messages go that were received too often; a dead-letter queue has none.
        key: encrypts its messages; by default that of SQS.
        senders: services of AWS that send to it, by their principals; they may use the key.
        closed: whether only they, and who has `encryption.grant_key`, use the queue. The L2 then does not
            learn of its key: it would let targets and sources of events use it without any condition.
    """
    known = key is not None and not closed
    queue = sqs.Queue(
        scope,
        construct_id,
        encryption=sqs.QueueEncryption.KMS if known else sqs.QueueEncryption.SQS_MANAGED,
        encryption_master_key=key if known else None,
        enforce_ssl=True,
        retention_period=Duration.days(_RETENTION_DAYS),
        removal_policy=removal_policy,
        visibility_timeout=visibility_timeout,
        dead_letter_queue=dead_letter_queue,
    )
    if key is not None:
        if closed:
            cfn = cast(sqs.CfnQueue, queue.node.default_child)
            cfn.sqs_managed_sse_enabled, cfn.kms_master_key_id = None, key.key_arn
        for service in senders:
            admit_to_queues(queue, key, service)
    return queue
