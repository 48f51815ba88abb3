"""Retry policies of job definitions."""

from __future__ import annotations

from aws_cdk import aws_batch as batch

from batch_stack.settings.base.values import PlatformCapability
from batch_stack.settings.retry import RetrySettings, retry_rules

_ACTIONS = {"retry": batch.Action.RETRY, "exit": batch.Action.EXIT}


def retry_strategies(settings: RetrySettings, capability: PlatformCapability) -> list[batch.RetryStrategy]:
    """Returns the rules for another attempt as aws-cdk-lib takes them.

    Args:
        settings: the policy.
        capability: the platform capability of the job.
    """
    return [
        batch.RetryStrategy.of(
            _ACTIONS[rule.action],
            batch.Reason.custom(
                on_reason=rule.on_reason,
                on_status_reason=rule.on_status_reason,
                on_exit_code=rule.on_exit_code,
            ),
        )
        for rule in retry_rules(settings, capability)
    ]
