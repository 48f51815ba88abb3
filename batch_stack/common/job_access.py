"""Access of jobs to resources: environment variables, secrets and permissions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aws_cdk import Aws
from aws_cdk import aws_batch as batch
from aws_cdk import aws_iam as iam


@dataclass(frozen=True)
class JobResources:
    """A resource that a job may use: the variables that describe it, and the permissions to use it.

    Attributes:
        environment: values by the names of environment variables.
        secrets: values that ECS fetches when the job starts, by the names of environment variables.
        grants: functions that are called with the job role and grant it permissions.
    """

    environment: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, batch.Secret] = field(default_factory=dict)
    grants: Sequence[Callable[[iam.IRole], object]] = ()


def combined(parts: Iterable[JobResources]) -> JobResources:
    """Returns the union of several resources; a later variable replaces an earlier one of the same name.

    A name is either a variable or a secret: ECS starts no container that has both under one name.

    Args:
        parts: the resources; the last one takes precedence.
    """
    environment: dict[str, str] = {}
    secrets: dict[str, batch.Secret] = {}
    grants: list[Callable[[iam.IRole], object]] = []
    for part in parts:
        environment = {k: v for k, v in environment.items() if k not in part.secrets} | {**part.environment}
        secrets = {k: v for k, v in secrets.items() if k not in part.environment} | {**part.secrets}
        grants.extend(part.grants)
    return JobResources(environment, secrets, grants)


class ExactSecret(batch.Secret):
    """A secret whose value the execution role may read, with no other permission on it.

    The L2's own secrets add permissions that ECS does not use (DescribeSecret, GetParameterHistory ...).
    https://docs.aws.amazon.com/batch/latest/userguide/specifying-sensitive-data.html
    """

    def __init__(
        self, value_from: str, *, action: str, resource: str, decrypt: iam.PolicyStatement | None = None
    ) -> None:
        """Stores the location of the secret, and the permissions to read it.

        Args:
            value_from: the ARN in the job definition, optionally with a key of the secret's JSON object.
            action: the action with which ECS reads the secret.
            resource: the ARN, or pattern, on which the action is allowed.
            decrypt: the permission to decrypt the secret, if a customer's key encrypts it.
        """
        super().__init__()
        self._value_from = value_from
        self._action = action
        self._resource = resource
        self._decrypt = decrypt

    @property
    def arn(self) -> str:
        """The ARN in the job definition."""
        return self._value_from

    @property
    def has_field(self) -> bool:
        """False: the L2 of AWS Batch does not use this property."""
        return False

    def grant_read(self, grantee: iam.IGrantable) -> iam.Grant:
        """Allows reading it, and decrypting it if a customer's key encrypts it."""
        if self._decrypt is not None:
            grantee.grant_principal.add_to_principal_policy(self._decrypt)
        return iam.Grant.add_to_principal(
            grantee=grantee, actions=[self._action], resource_arns=[self._resource]
        )


def generated_secret(
    secret_arn: str, *, field: str | None = None, kms_key_arn: str | None = None
) -> batch.Secret:
    """Returns a secret that the same stack creates, such as a database's password.

    Args:
        secret_arn: its complete ARN, as `Ref` returns it.
        field: a key of the secret's JSON object; by default the whole secret.
        kms_key_arn: the customer's key that encrypts it, if there is one.
    """
    return ExactSecret(
        secret_value(secret_arn, field),
        action="secretsmanager:GetSecretValue",
        resource=secret_arn,
        decrypt=decrypt_secret(kms_key_arn, "secretsmanager", secret_arn),
    )


def secret_value(arn: str, field: str | None) -> str:
    """Returns the name of a secret, or of a field of its JSON object, in a job definition."""
    return f"{arn}:{field}::" if field else arn


def decrypt_secret(key_arn: str | None, service: str, name: str) -> iam.PolicyStatement | None:
    """Returns the permission to decrypt a secret through its service; None without a key."""
    if key_arn is None:
        return None
    region = name.split(":")[3] if name.startswith("arn:") else Aws.REGION
    conditions: dict[str, Any] = {"StringEquals": {"kms:ViaService": f"{service}.{region}.{Aws.URL_SUFFIX}"}}
    return iam.PolicyStatement(actions=["kms:Decrypt"], resources=[key_arn], conditions=conditions)
