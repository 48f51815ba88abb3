"""Secrets of jobs: environment variables whose values ECS fetches when a job starts."""

from __future__ import annotations

import re

from aws_cdk import Arn, ArnComponents, ArnFormat, Stack
from aws_cdk import aws_batch as batch
from constructs import Construct

from batch_stack.common.job_access import ExactSecret, decrypt_secret, secret_value
from batch_stack.settings.secrets import SecretSettings

# Secrets Manager appends this to each secret's name in its ARN.
_SUFFIX = re.compile(r"-[A-Za-z0-9]{6}$")
_ANY_SUFFIX = "-??????"


def job_secret(scope: Construct, settings: SecretSettings) -> batch.Secret:
    """Returns a secret as job definitions take it. A name means a secret in the stack's account and Region.

    Args:
        scope: a construct of the stack.
        settings: a secret of Secrets Manager, or a part of one, or a parameter of SSM.
    """
    if settings.parameter is not None:
        return _parameter(scope, settings, settings.parameter)
    return _secret(scope, settings, str(settings.secret))


def _secret(scope: Construct, settings: SecretSettings, secret: str) -> batch.Secret:
    arn = secret
    if not secret.startswith("arn:"):
        arn = Stack.of(scope).format_arn(
            service="secretsmanager",
            resource="secret",
            resource_name=secret,
            arn_format=ArnFormat.COLON_RESOURCE_NAME,
        )
    # Secrets Manager finds a secret by an ARN without its suffix; IAM compares the complete ARN.
    complete = secret.startswith("arn:") and _SUFFIX.search(secret)
    return ExactSecret(
        secret_value(arn, settings.field),
        action="secretsmanager:GetSecretValue",
        resource=arn if complete else arn + _ANY_SUFFIX,
        decrypt=decrypt_secret(settings.kms_key_arn, "secretsmanager", secret),
    )


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
        decrypt=decrypt_secret(settings.kms_key_arn, "ssm", parameter),
    )
