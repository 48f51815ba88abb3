"""Log groups that keep their entries for a stated time."""

from __future__ import annotations

from typing import cast

from aws_cdk import RemovalPolicy
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from constructs import Construct

from batch_stack.common.kms import admit_logs


def log_group(
    scope: Construct,
    construct_id: str,
    *,
    retention_days: int,
    removal_policy: RemovalPolicy,
    key: kms.IKey | None = None,
    names: str | None = None,
) -> logs.LogGroup:
    """Create a log group.

    Args:
        scope: the parent construct.
        construct_id: the log group's id within it.
        retention_days: one of the periods that CloudWatch Logs allows, in days.
        removal_policy: what becomes of it with the stack.
        key: encrypts what is written from now on; by default that of CloudWatch Logs.
        names: what its name is like, with wildcards, if it is not one that CloudFormation gives.
    """
    group = logs.LogGroup(scope, construct_id, removal_policy=removal_policy, encryption_key=key)
    if key is not None:
        admit_logs(group, key, names=names)
    # The L2 wants a member of an enum (ONE_WEEK ...) where CloudFormation, like the settings, has days.
    cast(logs.CfnLogGroup, group.node.default_child).retention_in_days = retention_days
    return group
