"""The KMS key of a platform, and the permissions to use it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aws_cdk import Annotations, Aws, RemovalPolicy, Stack, Token
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from constructs import Construct

from batch_stack.common.retention import removal_policy
from batch_stack.settings.base.errors import SettingsError
from batch_stack.settings.root import Settings

READ = ("kms:Decrypt",)
WRITE = ("kms:Decrypt", "kms:GenerateDataKey")
"""Writing includes reading: S3 decrypts the data key of a multipart upload, SQS and SNS verify that a key
works. A receiver of a queue needs `READ`; a sender, or a principal that does both, `WRITE`."""
# AWS documents these as kms:Encrypt*, kms:Decrypt*, kms:ReEncrypt*, kms:GenerateDataKey* and kms:Describe*.
_LOG = (
    "kms:Decrypt",
    "kms:DescribeKey",
    "kms:Encrypt",
    "kms:GenerateDataKey",
    "kms:GenerateDataKeyWithoutPlaintext",
    "kms:ReEncryptFrom",
    "kms:ReEncryptTo",
)


def platform_key(scope: Construct, settings: Settings, given: kms.IKey | None) -> kms.IKey | None:
    """Returns the key of a platform: an existing one, or one that the settings name or ask for, or None.

    A budget that disables its queue also needs a key: AWS Budgets cannot use the AWS managed key of SNS.

    Args:
        scope: the platform.
        settings: the settings of the platform.
        given: an existing key.

    Raises:
        SettingsError: there is an existing key, and the settings name or ask for another one.
    """
    storage = settings.storage
    if given is not None and storage.has_key:
        raise SettingsError(
            "storage.kms and storage.kms_key_arn must not be given with key, an existing key, got "
            f"{storage.kms_key_arn or storage.kms} at {scope.node.path}"
        )
    if given is not None:
        return given
    if storage.kms_key_arn is not None:
        return kms.Key.from_key_arn(scope, "ExistingKey", storage.kms_key_arn)
    budgets = (tier.budget for tier in settings.tiers.values())
    disables = any(budget is not None and budget.on_exceeded == "disable_queue" for budget in budgets)
    if not storage.kms and not disables:
        return None
    return _new_key(scope, removal_policy(storage))


def _new_key(scope: Construct, policy: RemovalPolicy) -> kms.Key:
    """Returns a new key that KMS rotates every year; it costs money by the month.

    Like every default key policy, its policy lets IAM policies decide which principals may use the key. IAM
    gives AWS services no permissions: `grant_service_topics` and the functions below add statements for
    services to the key's policy.
    https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-default.html
    """
    return kms.Key(
        scope,
        "Key",
        description=f"Data of the batch platform {Stack.of(scope).stack_name}",
        enable_key_rotation=True,
        removal_policy=policy,
    )


def grant_key(
    grantee: iam.IGrantable, key: kms.IKey | None, *, actions: Sequence[str], service: str
) -> iam.Grant | None:
    """Allows using a key through one AWS service only.

    Args:
        grantee: the principal that may use it.
        key: the key; without one there is nothing to allow.
        actions: `READ` or `WRITE`.
        service: the service whose data the key encrypts, as its endpoint begins: ``s3``.

    Returns:
        The grant; None without a key.
    """
    if key is None:
        return None
    return iam.Grant.add_to_principal(
        grantee=grantee,
        actions=list(actions),
        resource_arns=[key.key_arn],
        conditions={"StringEquals": {"kms:ViaService": f"{service}.{Aws.REGION}.{Aws.URL_SUFFIX}"}},
    )


def grant_service_topics(
    scope: Construct,
    key: kms.IKey,
    service: str,
    *,
    names: str | None = None,
    conditions: Mapping[str, Mapping[str, Any]] | None = None,
) -> None:
    """Lets an AWS service use a key for messages that it publishes to encrypted topics.

    SNS binds each data key to its topic, so the key can be used for these topics only. For EventBridge this
    is the only condition: AWS supports none on the source.
    https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html#compatibility-with-aws-services

    Args:
        scope: a construct of the stack. If the key's policy cannot be changed from here, a warning says so.
        key: the key that encrypts the topics.
        service: the service's principal: ``events.amazonaws.com``.
        names: the topics' names, with wildcards; by default those that CloudFormation gives in this stack.
        conditions: more conditions, on the source.
    """
    topics = Stack.of(scope).format_arn(service="sns", resource=names or _own_names(scope, key))
    what = _sid_of("Topics" if names is None else "NamedTopics", scope, key)
    context = {"aws:sns:topicArn": topics}
    _grant_service(key, service, WRITE, what=what, context=context, conditions=conditions)


def grant_service_queues(scope: Construct, key: kms.IKey, service: str) -> None:
    """Lets an AWS service use a key for messages that it sends to encrypted queues of this account.

    https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-key-management.html

    Args:
        scope: a construct of the stack. If the key's policy cannot be changed from here, a warning says so.
        key: the key that encrypts the queues.
        service: the service's principal: ``events.amazonaws.com``.
    """
    # Any queue: names have at most 80 characters, so CloudFormation may cut the stack's name in them.
    queues = Stack.of(scope).format_arn(service="sqs", resource="*")
    _grant_service(key, service, WRITE, what=_sid_of("Queues", scope, key), context={"aws:sqs:arn": queues})


def grant_service_logs(scope: Construct, key: kms.IKey, *, names: str | None = None) -> None:
    """Lets CloudWatch Logs use a key for log groups.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html

    Args:
        scope: a construct of the stack. If the key's policy cannot be changed from here, a warning says so.
        key: the key that encrypts the log groups.
        names: the log groups' names, with wildcards; by default those that CloudFormation gives in this
            stack.
    """
    names_or_own = names or _own_names(scope, key)
    groups = Stack.of(scope).format_arn(service="logs", resource=f"log-group:{names_or_own}")
    what = _sid_of("LogGroups" if names is None else "NamedLogGroups", scope, key)
    service = f"logs.{Aws.REGION}.{Aws.URL_SUFFIX}"
    _grant_service(key, service, _LOG, what=what, context={"aws:logs:arn": groups})


def _own_names(scope: Construct, key: kms.IKey) -> str:
    """Returns a pattern for the names that CloudFormation gives in the stack of a construct.

    A key's policy cannot refer to resources that refer to the key, so it has a pattern.
    """
    if _is_of_same_stack(scope, key):
        return f"{Aws.STACK_NAME}-*"
    # In the template of the key's stack, AWS::StackName would be that stack's name.
    name = Stack.of(scope).stack_name
    return "*" if Token.is_unresolved(name) else f"{name}-*"


def _sid_of(what: str, scope: Construct, key: kms.IKey) -> str:
    """Returns a part of a Sid that differs between stacks, because each Sid of a policy must be unique."""
    if _is_of_same_stack(scope, key):
        return what
    return f"{what}Of{''.join(filter(str.isalnum, Stack.of(scope).node.path))}"


def _is_of_same_stack(scope: Construct, key: kms.IKey) -> bool:
    return Stack.of(scope).node.path == Stack.of(key).node.path


def _grant_service(
    key: kms.IKey,
    service: str,
    actions: Sequence[str],
    *,
    what: str,
    context: Mapping[str, str],
    conditions: Mapping[str, Mapping[str, Any]] | None = None,
) -> None:
    """Adds a statement to a key's policy; adding it again changes nothing."""
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
        # The warning is on the key, so that it appears once for each service, not for each topic or queue.
        shown = f"{name}.amazonaws.com" if not Token.is_unresolved(service) else f"{name} of the Region"
        Annotations.of(key).add_warning_v2(
            f"batch-stack:keyPolicy:{name}",
            f"The policy of the existing key must let {shown} do {', '.join(actions)}: it cannot be "
            f"changed from here. At {key.node.path}",
        )
