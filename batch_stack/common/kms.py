"""A KMS key of the platform's own, and what may be done with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aws_cdk import Annotations, Aws, RemovalPolicy, Stack, Token
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from constructs import Construct

READ = ("kms:Decrypt",)
WRITE = ("kms:Decrypt", "kms:GenerateDataKey")
"""Writing takes reading, too: S3 decrypts the key of an upload in parts, SQS and SNS prove that one works.
Of a queue, who receives needs `READ`; who sends, or does both, `WRITE`."""
# What AWS writes as kms:Encrypt*, kms:Decrypt*, kms:ReEncrypt*, kms:GenerateDataKey* and kms:Describe*.
_LOG = (
    "kms:Decrypt",
    "kms:DescribeKey",
    "kms:Encrypt",
    "kms:GenerateDataKey",
    "kms:GenerateDataKeyWithoutPlaintext",
    "kms:ReEncryptFrom",
    "kms:ReEncryptTo",
)


def encryption_key(scope: Construct, construct_id: str, *, removal_policy: RemovalPolicy) -> kms.Key:
    """Create a key that is rotated every year. It costs money by the month.

    Its policy leaves to IAM who may use it, as KMS itself does unless told otherwise; services of AWS, which
    have no permissions of IAM, are admitted by `admit_to_topics` and the others here.
    https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-default.html

    Args:
        scope: the parent construct.
        construct_id: the key's id within it.
        removal_policy: what becomes of it with the stack; nothing that it encrypted can be read without it.
    """
    return kms.Key(
        scope,
        construct_id,
        description=f"Data of the batch platform {Stack.of(scope).stack_name}",
        enable_key_rotation=True,
        removal_policy=removal_policy,
    )


def grant_key(grantee: iam.IGrantable, key: kms.IKey | None, *, actions: Sequence[str], service: str) -> None:
    """Allow using a key through one AWS service, and no other way.

    Args:
        grantee: who may.
        key: the key; without one there is nothing to allow.
        actions: `READ` or `WRITE`.
        service: the service whose data it encrypts, as its endpoint begins: ``s3``.
    """
    if key is None:
        return
    grantee.grant_principal.add_to_principal_policy(
        iam.PolicyStatement(
            actions=list(actions),
            resources=[key.key_arn],
            conditions={"StringEquals": {"kms:ViaService": f"{service}.{Aws.REGION}.{Aws.URL_SUFFIX}"}},
        )
    )


def admit_to_topics(
    scope: Construct,
    key: kms.IKey,
    service: str,
    *,
    names: str | None = None,
    conditions: Mapping[str, Mapping[str, Any]] | None = None,
) -> None:
    """Let a service of AWS use a key for messages that it publishes to encrypted topics.

    SNS binds each data key to its topic, so that the key serves for these topics only. For EventBridge that
    has to do: AWS supports no condition on the source there.
    https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html#compatibility-with-aws-services

    Args:
        scope: a construct of the stack. If the key's policy cannot be changed from here, a warning says so.
        key: encrypts the topics.
        service: its principal: ``events.amazonaws.com``.
        names: of the topics, with wildcards; those that CloudFormation gives in this stack, if none.
        conditions: more that must hold, on the source.
    """
    topics = Stack.of(scope).format_arn(service="sns", resource=names or _of_stack(scope, key))
    what = _part_of_sid("Topics" if names is None else "NamedTopics", scope, key)
    context = {"aws:sns:topicArn": topics}
    _admit(key, service, WRITE, what=what, context=context, conditions=conditions)


def admit_to_queues(scope: Construct, key: kms.IKey, service: str) -> None:
    """Let a service of AWS use a key for messages that it sends to encrypted queues of this account.

    https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-key-management.html

    Args:
        scope: a construct of the stack. If the key's policy cannot be changed from here, a warning says so.
        key: encrypts the queues.
        service: its principal: ``events.amazonaws.com``.
    """
    # A queue's name has 80 characters at most: CloudFormation leaves less than a stack's name of a long one.
    queues = Stack.of(scope).format_arn(service="sqs", resource="*")
    _admit(key, service, WRITE, what=_part_of_sid("Queues", scope, key), context={"aws:sqs:arn": queues})


def admit_logs(scope: Construct, key: kms.IKey, *, names: str | None = None) -> None:
    """Let CloudWatch Logs use a key for log groups.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html

    Args:
        scope: a construct of the stack. If the key's policy cannot be changed from here, a warning says so.
        key: encrypts the log groups.
        names: of the log groups, with wildcards; those that CloudFormation gives in this stack, if none.
    """
    names_or_own = names or _of_stack(scope, key)
    groups = Stack.of(scope).format_arn(service="logs", resource=f"log-group:{names_or_own}")
    what = _part_of_sid("LogGroups" if names is None else "NamedLogGroups", scope, key)
    service = f"logs.{Aws.REGION}.{Aws.URL_SUFFIX}"
    _admit(key, service, _LOG, what=what, context={"aws:logs:arn": groups})


def _of_stack(scope: Construct, key: kms.IKey) -> str:
    """Names as CloudFormation gives them: a key's policy cannot refer to resources that refer to the key."""
    if _is_of_same_stack(scope, key):
        return f"{Aws.STACK_NAME}-*"
    # In the template of another stack that parameter is the name of that one.
    name = Stack.of(scope).stack_name
    return "*" if Token.is_unresolved(name) else f"{name}-*"


def _part_of_sid(what: str, scope: Construct, key: kms.IKey) -> str:
    """What a statement is for; not the same for things of two stacks, since a policy has each Sid once."""
    if _is_of_same_stack(scope, key):
        return what
    return f"{what}Of{''.join(filter(str.isalnum, Stack.of(scope).node.path))}"


def _is_of_same_stack(scope: Construct, key: kms.IKey) -> bool:
    return Stack.of(scope).node.path == Stack.of(key).node.path


def _admit(
    key: kms.IKey,
    service: str,
    actions: Sequence[str],
    *,
    what: str,
    context: Mapping[str, str],
    conditions: Mapping[str, Mapping[str, Any]] | None = None,
) -> None:
    """Add a statement to a key's policy; one that is there already changes nothing."""
    more = dict(conditions or {})
    bound = {f"kms:EncryptionContext:{name}": pattern for name, pattern in context.items()}
    name = service.partition(".")[0]
    statement = iam.PolicyStatement(
        sid=f"{name.title()}To{what}",
        principals=[iam.ServicePrincipal(service)],
        actions=list(actions),
        resources=["*"],
        conditions={**more, "ArnLike": {**more.get("ArnLike", {}), **bound}},
    )
    if not key.add_to_resource_policy(statement).statement_added:
        # On the key, not on what it encrypts: once for each service, however many things there are.
        shown = f"{name}.amazonaws.com" if not Token.is_unresolved(service) else f"{name} of the Region"
        Annotations.of(key).add_warning_v2(
            f"batch-stack:keyPolicy:{name}",
            f"The policy of the existing key must let {shown} do {', '.join(actions)}: it cannot be "
            f"changed from here. At {key.node.path}",
        )
