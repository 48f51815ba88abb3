"""The policy for data: its retention and its encryption."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

from aws_cdk import RemovalPolicy
from aws_cdk import aws_kms as kms

from batch_stack.settings.base.values import LogRetentionDays
from batch_stack.settings.storage import StorageSettings


@dataclass(frozen=True, kw_only=True)
class DataPolicy:
    """The retention and the encryption of data, for all constructs that keep data.

    A platform has one policy and passes it to all its constructs. A construct that is used alone takes it as
    `data_policy`; by default it retains everything, and each AWS service uses its own key.

    Attributes:
        removal_policy: what CloudFormation does with buckets, tables, file systems, databases, log groups,
            queues and their content when the stack is deleted: RETAIN or DESTROY.
        log_retention_days: how many days log entries are kept: a period that CloudWatch Logs allows.
        key: the KMS key that encrypts newly written data; by default each AWS service uses its own
            key. EFS, RDS and their backups keep the key with which they were created.
    """

    removal_policy: RemovalPolicy = RemovalPolicy.RETAIN
    log_retention_days: int = 30
    key: kms.IKey | None = None

    def __post_init__(self) -> None:
        """Checks the values.

        Raises:
            ValueError: a removal policy other than RETAIN and DESTROY, or a period that CloudWatch Logs does
                not have.
        """
        if self.removal_policy not in (RemovalPolicy.RETAIN, RemovalPolicy.DESTROY):
            raise ValueError(
                f"removal_policy must be RETAIN or DESTROY, got {self.removal_policy.name}: with RETAIN, a "
                "database is deleted with a final snapshot"
            )
        if self.log_retention_days not in get_args(LogRetentionDays):
            raise ValueError(
                f"log_retention_days must be one of {', '.join(map(str, get_args(LogRetentionDays)))}, got "
                f"{self.log_retention_days}"
            )

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
