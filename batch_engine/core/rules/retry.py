"""The decision whether a failed attempt is retried.

https://docs.aws.amazon.com/batch/latest/userguide/job_retries.html
"""

from dataclasses import dataclass
from typing import Any

from batch_engine.core.model.errors import ClientError
from batch_engine.core.model.jobs import EvaluateOnExit, RetryAction, RetryStrategy

MAX_ATTEMPTS = 10
MAX_CONDITIONS = 5
MAX_PATTERN_LENGTH = 512


@dataclass(frozen=True, slots=True)
class RetryDecision:
    """Whether to retry, and the sentence that explains why."""

    retry: bool
    why: str


def _matches(pattern: str | None, value: str | None) -> bool:
    """Returns whether a pattern matches a value; without a pattern everything does."""
    if pattern is None:
        return True
    text = value or ""
    return text.startswith(pattern[:-1]) if pattern.endswith("*") else text == pattern


def decide(
    strategy: RetryStrategy,
    attempt: int,
    *,
    exit_code: int | None,
    reason: str | None,
    status_reason: str | None,
) -> RetryDecision:
    """Decides what follows a failed attempt.

    The first entry whose conditions all hold decides; without such an entry the job is retried. In both cases
    ``attempts`` is the limit.

    Args:
        strategy: the job's retry strategy.
        attempt: the number of the attempt that failed, from 1.
        exit_code: the container's exit code; None if it has none.
        reason: the container's ``reason``.
        status_reason: the attempt's ``statusReason``.
    """
    code = None if exit_code is None else str(exit_code)
    for position, entry in enumerate(strategy.evaluate_on_exit):
        if (
            _matches(entry.on_status_reason, status_reason)
            and _matches(entry.on_reason, reason)
            and _matches(entry.on_exit_code, code)
        ):
            if entry.action is RetryAction.EXIT:
                return RetryDecision(False, f"evaluateOnExit[{position}] says EXIT")
            why = f"evaluateOnExit[{position}] says RETRY"
            break
    else:
        why = "no evaluateOnExit entry matches" if strategy.evaluate_on_exit else "the attempt failed"
    if attempt >= strategy.attempts:
        return RetryDecision(False, f"{why}, but attempt {attempt} of {strategy.attempts} was the last")
    return RetryDecision(True, f"{why}: attempt {attempt + 1} of {strategy.attempts} follows")


def parse_retry_strategy(wire: dict[str, Any] | None) -> RetryStrategy | None:
    """Reads a ``retryStrategy`` as RegisterJobDefinition and SubmitJob take it.

    Raises:
        ClientError: AWS Batch would refuse it; the text is its own.
    """
    if wire is None:
        return None
    entries = wire.get("evaluateOnExit") or []
    attempts = wire.get("attempts")
    if attempts is None:
        raise ClientError("RetryAttempts must be provided with retry strategy")
    if not 1 <= attempts <= MAX_ATTEMPTS:
        raise ClientError(f"RetryAttempts must be between 1 and {MAX_ATTEMPTS}, got {attempts}.")
    if len(entries) > MAX_CONDITIONS:
        raise ClientError(f"Up to {MAX_CONDITIONS} evaluateOnExit condition can be specified.")
    return RetryStrategy(attempts, tuple(_parse_entry(entry) for entry in entries))


def _parse_entry(wire: dict[str, Any]) -> EvaluateOnExit:
    if not any(wire.get(name) for name in ("onExitCode", "onReason", "onStatusReason")):
        raise ClientError(
            "EvaluateOnExit should contain at least one of onExitCode, onReason or onStatusReason"
        )
    for name in ("onExitCode", "onReason", "onStatusReason"):
        _check_pattern(name, wire.get(name) or "")
    action = str(wire["action"]).upper()
    if action not in RetryAction.__members__:
        raise ClientError(f"EvaluateOnExit action must be RETRY or EXIT, got {wire['action']}.")
    return EvaluateOnExit(
        RetryAction(action),
        on_status_reason=wire.get("onStatusReason") or None,
        on_reason=wire.get("onReason") or None,
        on_exit_code=wire.get("onExitCode") or None,
    )


def _check_pattern(name: str, pattern: str) -> None:
    if len(pattern) > MAX_PATTERN_LENGTH:
        raise ClientError(f"Evaluate on exit condition cannot exceed {MAX_PATTERN_LENGTH} characters.")
    body = pattern.removesuffix("*")
    if name == "onExitCode":
        legal = not body or (body.isascii() and body.isdigit())
    else:
        legal = all(character.isalnum() or character in ".:" or character.isspace() for character in body)
    if not legal:
        raise ClientError("Evaluate on exit condition contains restricted characters.")
