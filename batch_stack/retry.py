"""Retry policies of job definitions."""

from __future__ import annotations

from aws_cdk import aws_batch as batch

from batch_stack.settings import Platform, RetryRule, RetrySettings

_ACTIONS = {"retry": batch.Action.RETRY, "exit": batch.Action.EXIT}


def retry_strategies(settings: RetrySettings, platform: Platform) -> list[batch.RetryStrategy]:
    """The rules for another attempt, as aws-cdk-lib wants them.

    Args:
        settings: the policy.
        platform: what the job runs on.
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
        for rule in retry_rules(settings, platform)
    ]


def retry_rules(settings: RetrySettings, platform: Platform) -> list[RetryRule]:
    """The rules for another attempt: what the platform did is retried, what the code did is not.

    The exception is the exit code by which a worker says that another attempt may succeed. The first rule
    that matches decides; the last one is there because a failure that no rule matches would be retried.
    https://docs.aws.amazon.com/batch/latest/userguide/job_retries.html

    Args:
        settings: the policy; rules of its own stand as they are.
        platform: what the job runs on.
    """
    if settings.rules is not None:
        return settings.rules
    lost_host = "Your Spot Task was interrupted*" if platform == "fargate" else "Host EC2*"
    code = settings.exit_code
    return [
        RetryRule(action="retry", on_status_reason=lost_host),
        RetryRule(action="retry", on_reason="CannotPullContainerError:*"),
        RetryRule(action="retry", on_status_reason="Task failed to start*"),
        *([RetryRule(action="retry", on_exit_code=str(code))] if code is not None else []),
        RetryRule(action="exit", on_reason="*"),
    ]
