"""Secrets of jobs: values of environment variables that ECS fetches when a job starts."""

from __future__ import annotations

import re
from typing import Any

from aws_cdk import Arn, ArnComponents, ArnFormat, Aws, Stack
from aws_cdk import aws_batch as batch
from aws_cdk import aws_iam as iam
from constructs import Construct

from batch_stack.settings.secrets import SecretSettings

# What Secrets Manager puts behind each secret's name in its ARN.
_SUFFIX = re.compile(r"-[A-Za-z0-9]{6}$")
_ANY_SUFFIX = "-??????"


class ExactSecret(batch.Secret):
    """A secret that the execution role may read, and nothing else of its service.

    The L2's own secrets add permissions that ECS does not use (DescribeSecret, GetParameterHistory ...).
    https://docs.aws.amazon.com/batch/latest/userguide/specifying-sensitive-data.html
    """

    def __init__(
        self, value_from: str, *, action: str, resource: str, decrypt: iam.PolicyStatement | None = None
    ) -> None:
        """Say where the value is.

        Args:
            value_from: what the job definition says, an ARN with, perhaps, the key of a JSON object.
            action: the one by which ECS reads it.
            resource: the ARN, or pattern, that the action is allowed on.
            decrypt: what else is needed to decrypt it.
        """
        super().__init__()
        self._value_from = value_from
        self._action = action
        self._resource = resource
        self._decrypt = decrypt

    @property
    def arn(self) -> str:
        """What the job definition says."""
        return self._value_from

    @property
    def has_field(self) -> bool:
        """Whether it is a part of a secret; AWS Batch does not ask."""
        return False

    def grant_read(self, grantee: iam.IGrantable) -> iam.Grant:
        """Allow reading it, and decrypting it if a key of the customer's is in use."""
        if self._decrypt is not None:
            grantee.grant_principal.add_to_principal_policy(self._decrypt)
        return iam.Grant.add_to_principal(
            grantee=grantee, actions=[self._action], resource_arns=[self._resource]
        )


def job_secret(scope: Construct, settings: SecretSettings) -> batch.Secret:
    """A secret as a job definition names it. Names are those of the stack's account and Region.

    Args:
        scope: a construct of the stack.
        settings: a secret of Secrets Manager, or a part of one, or a parameter of SSM.
    """
    if settings.parameter is not None:
        return _parameter(scope, settings, settings.parameter)
    return _secret(scope, settings, str(settings.secret))


def generated_secret(
    secret_arn: str, *, field: str | None = None, kms_key_arn: str | None = None
) -> batch.Secret:
    """A secret that the same stack creates, such as a database's password.

    Args:
        secret_arn: its whole ARN, as `Ref` gives it.
        field: a key of the JSON object that it is; by default all of it.
        kms_key_arn: what encrypts it, if that is a key of the customer's.
    """
    return ExactSecret(
        _value_from(secret_arn, field),
        action="secretsmanager:GetSecretValue",
        resource=secret_arn,
        decrypt=_decrypt(kms_key_arn, "secretsmanager", secret_arn),
    )


def _secret(scope: Construct, settings: SecretSettings, secret: str) -> batch.Secret:
    arn = secret
    if not secret.startswith("arn:"):
        arn = Stack.of(scope).format_arn(
            service="secretsmanager",
            resource="secret",
            resource_name=secret,
            arn_format=ArnFormat.COLON_RESOURCE_NAME,
        )
    # Secrets Manager finds a secret by an ARN without its suffix; IAM compares with the whole ARN.
    complete = secret.startswith("arn:") and _SUFFIX.search(secret)
    return ExactSecret(
        _value_from(arn, settings.field),
        action="secretsmanager:GetSecretValue",
        resource=arn if complete else arn + _ANY_SUFFIX,
        decrypt=_decrypt(settings.kms_key_arn, "secretsmanager", secret),
    )


def _value_from(arn: str, field: str | None) -> str:
    return f"{arn}:{field}::" if field else arn


def _parameter(scope: Construct, settings: SecretSettings, parameter: str) -> batch.Secret:
    arn = parameter
    if not parameter.startswith("arn:"):
        arn = Arn.format(
            ArnComponents(service="ssm", resource="parameter", resource_name=parameter.removeprefix("/")),
            Stack.of(scope),
        )
    return ExactSecret(
        arn,
        action="ssm:GetParameters",
        resource=arn,
        decrypt=_decrypt(settings.kms_key_arn, "ssm", parameter),
    )


def _decrypt(key_arn: str | None, service: str, name: str) -> iam.PolicyStatement | None:
    if key_arn is None:
        return None
    region = name.split(":")[3] if name.startswith("arn:") else Aws.REGION
    conditions: dict[str, Any] = {"StringEquals": {"kms:ViaService": f"{service}.{region}.{Aws.URL_SUFFIX}"}}
    return iam.PolicyStatement(actions=["kms:Decrypt"], resources=[key_arn], conditions=conditions)
