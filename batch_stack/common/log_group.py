"""Log groups that keep their entries for a stated time."""

from __future__ import annotations

from typing import cast

from aws_cdk import aws_logs as logs
from constructs import Construct

from batch_stack.common.kms import grant_service_logs
from batch_stack.common.retention import DataPolicy


def log_group(
    scope: Construct, construct_id: str, *, data_policy: DataPolicy, names: str | None = None
) -> logs.LogGroup:
    """Creates a log group.

    Args:
        scope: the parent construct.
        construct_id: the log group's id within it.
        data_policy: how long entries are kept, and which key encrypts new ones.
        names: a pattern for its name, if CloudFormation does not give it the name.
    """
    key = data_policy.key
    group = logs.LogGroup(scope, construct_id, removal_policy=data_policy.removal_policy, encryption_key=key)
    if key is not None:
        grant_service_logs(group, key, names=names)
    # The L2 takes a member of an enum (ONE_WEEK ...) where CloudFormation, like the settings, takes days.
    cast(logs.CfnLogGroup, group.node.default_child).retention_in_days = data_policy.log_retention_days
    return group
