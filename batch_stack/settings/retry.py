"""Retry policies: the number of attempts, and the failures that are retried."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from batch_stack.settings.base.model import SettingsModel
from batch_stack.settings.base.values import Attempts, PlatformCapability

_Reason = Annotated[
    str,
    Field(
        min_length=1,
        max_length=512,
        pattern=r"^[A-Za-z0-9.:\s]*\*?$",
        description="1 to 512 letters, digits, periods, colons and white space, of which the last may be an "
        "asterisk",
    ),
]
_ExitCode = Annotated[
    str,
    Field(
        min_length=1,
        max_length=512,
        pattern=r"^[0-9]*\*?$",
        description="digits in quotes, of which the last may be an asterisk",
    ),
]

EX_TEMPFAIL = 75
"""The exit code with which a worker asks for another attempt. Other failures would repeat themselves."""


class RetryRule(SettingsModel):
    """An entry of `evaluateOnExit`. All its conditions must match; the first rule that matches decides.

    https://docs.aws.amazon.com/batch/latest/APIReference/API_EvaluateOnExit.html
    """

    action: Literal["retry", "exit"]
    """The action when all conditions match."""
    on_reason: _Reason | None = None
    """The container's reason; an asterisk at the end matches any rest. AWS Batch takes no brackets, slashes
    and the like: put the asterisk before one."""
    on_status_reason: _Reason | None = None
    """The job's status reason, such as `Host EC2*`; an asterisk at the end matches any rest."""
    on_exit_code: _ExitCode | None = None
    """The exit code: a number from 0 to 255, or its first digits and an asterisk."""

    @model_validator(mode="after")
    def _has_a_condition(self) -> RetryRule:
        if not (self.on_reason or self.on_status_reason or self.on_exit_code):
            raise ValueError(
                "on_reason, on_status_reason or on_exit_code must be given: a rule needs a condition"
            )
        return self


class RetrySettings(SettingsModel):
    """A retry policy: the number of attempts, and the failures that are retried.

    Without `rules`, failures of the platform (a lost host, an image that could not be pulled, a task that
    failed to start) and the given exit code are retried, all other failures are not.
    """

    attempts: Attempts = 3
    """The number of attempts, the first included.
    https://docs.aws.amazon.com/batch/latest/userguide/job_retries.html"""
    exit_code: Annotated[int, Field(ge=1, le=255)] | None = EX_TEMPFAIL
    """The exit code with which the job asks for another attempt; null for none."""
    rules: Annotated[list[RetryRule], Field(min_length=1, max_length=5)] | None = None
    """The whole `evaluateOnExit`, in place of the default rules and `exit_code`."""

    @model_validator(mode="after")
    def _rules_exclude_exit_code(self) -> RetrySettings:
        if self.rules is not None and self.exit_code is not None and "exit_code" in self.model_fields_set:
            raise ValueError(
                f"exit_code must not be given with rules, which replace it, got {self.exit_code}: "
                f'give a rule with on_exit_code "{self.exit_code}"'
            )
        return self


def retry_rules(settings: RetrySettings, capability: PlatformCapability) -> list[RetryRule]:
    """Returns the rules for another attempt: failures of the platform are retried, those of the code are not.

    The exception is the exit code with which a worker asks for another attempt. The first rule
    that matches decides. The last rule is needed because AWS Batch retries a failure that no rule matches.
    https://docs.aws.amazon.com/batch/latest/userguide/job_retries.html

    Args:
        settings: the policy; its own rules are returned unchanged.
        capability: the platform capability of the job.
    """
    if settings.rules is not None:
        return settings.rules
    lost_host = "Your Spot Task was interrupted*" if capability == "fargate" else "Host EC2*"
    code = settings.exit_code
    return [
        RetryRule(action="retry", on_status_reason=lost_host),
        RetryRule(action="retry", on_reason="CannotPullContainerError:*"),
        RetryRule(action="retry", on_status_reason="Task failed to start*"),
        *([RetryRule(action="retry", on_exit_code=str(code))] if code is not None else []),
        RetryRule(action="exit", on_reason="*"),
    ]


def retry_strategy(settings: RetrySettings, capability: PlatformCapability) -> dict[str, Any]:
    """Returns the policy as SubmitJob takes it, in place of the job definition's.

    https://docs.aws.amazon.com/batch/latest/APIReference/API_RetryStrategy.html

    Args:
        settings: the policy.
        capability: the platform capability of the job.
    """
    entries = []
    for rule in retry_rules(settings, capability):
        given = {
            "onStatusReason": rule.on_status_reason,
            "onReason": rule.on_reason,
            "onExitCode": rule.on_exit_code,
            "action": rule.action.upper(),
        }
        entries.append({name: value for name, value in given.items() if value is not None})
    return {"attempts": settings.attempts, "evaluateOnExit": entries}


def retry_text(settings: RetrySettings, capability: PlatformCapability) -> str:
    """Returns `retry_strategy` as compact JSON, for the environment of a trigger's function.

    Args:
        settings: the policy.
        capability: the platform capability of the job.
    """
    return json.dumps(retry_strategy(settings, capability), ensure_ascii=False, separators=(",", ":"))


def policy_of_submission(
    own: RetrySettings | None, definition: RetrySettings, tier: RetrySettings, capability: PlatformCapability
) -> RetrySettings | None:
    """Returns the policy that a submission has to name in place of the job definition's.

    Args:
        own: the policy of the job itself, which takes precedence over that of a tier; None if it has none.
        definition: the policy of the job definition.
        tier: the policy of the tier that the job is submitted to.
        capability: the platform capability of the job.

    Returns:
        The tier's policy; None if the job has its own, or the definition's is the same.
    """
    same = retry_strategy(tier, capability) == retry_strategy(definition, capability)
    return None if own is not None or same else tier


def policy_of_definition(own: RetrySettings | None, tiers: Iterable[RetrySettings]) -> RetrySettings:
    """Returns the policy of a job definition, which has one only.

    Args:
        own: the policy of the job itself; None if it has none.
        tiers: the policies of its tiers, in their order.

    Returns:
        The job's own policy, else the first one with the most attempts; the default, if there are none.
    """
    return own or max(tiers, key=lambda policy: policy.attempts, default=RetrySettings())
