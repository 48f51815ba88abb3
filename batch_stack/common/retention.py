"""The policy for data: its retention and its encryption."""

from __future__ import annotations

from dataclasses import dataclass

from aws_cdk import RemovalPolicy
from aws_cdk import aws_kms as kms

from batch_stack.settings.storage import StorageSettings


@dataclass(frozen=True, kw_only=True)
class DataPolicy:
    """The retention and the encryption of data, for all constructs that keep data.

    A platform has one policy and passes it to all its constructs. A construct that is used alone takes it as
    `data_policy`; by default it retains everything, and each AWS service uses its own key.

    Attributes:
        removal_policy: what CloudFormation does with buckets, tables, file systems, databases, log groups,
            queues and their content when the stack is deleted.
        log_retention_days: how many days log entries are kept: a period that CloudWatch Logs allows.
        key: the KMS key that encrypts newly written data; by default each AWS service uses its own
            key. EFS, RDS and their backups keep the key with which they were created.
    """

    removal_policy: RemovalPolicy = RemovalPolicy.RETAIN
    log_retention_days: int = 30
    key: kms.IKey | None = None

    @property
    def retains(self) -> bool:
        """Whether data outlives the stack."""
        return self.removal_policy is RemovalPolicy.RETAIN


def removal_policy(settings: StorageSettings) -> RemovalPolicy:
    """Returns what CloudFormation does with data when the stack is deleted.

    Args:
        settings: the settings of storage; only `on_delete` is used.
    """
    return RemovalPolicy.DESTROY if settings.on_delete == "destroy" else RemovalPolicy.RETAIN
