"""A KMS key of the platform's own, and what may be done with it."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import Aws, RemovalPolicy, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from constructs import Construct

READ = ("kms:Decrypt",)
WRITE = ("kms:Decrypt", "kms:GenerateDataKey")
"""Writing takes reading, too: S3 decrypts the key of an upload in parts, SQS proves that a key works."""


def encryption_key(scope: Construct, construct_id: str, *, removal_policy: RemovalPolicy) -> kms.Key:
    """Create a key that is rotated every year. It costs money by the month.

    Its policy leaves to IAM who may use it, as KMS itself does unless told otherwise.
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
