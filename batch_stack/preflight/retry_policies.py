"""Retry rules that can never match, or never matter.

https://docs.aws.amazon.com/batch/latest/APIReference/API_EvaluateOnExit.html
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from batch_stack.preflight.finding import Finding, error, warning
from batch_stack.settings import RetryRule, RetrySettings, Settings
from batch_stack.settings.retry import retry_strategy

_CONDITIONS = ("on_reason", "on_status_reason", "on_exit_code")
_MAX_EXIT_CODE = 255


def check_retry_policies(settings: Settings) -> Iterator[Finding]:
    """Check the rules of tiers and jobs."""
    policies = {f"tiers.{name}.retry": tier.retry for name, tier in settings.tiers.items()}
    policies |= {f"jobs.{name}.retry": job.retry for name, job in settings.jobs.items() if job.retry}
    for place, policy in policies.items():
        yield from _check_policy(place, policy)
    for name in settings.jobs:
        yield from _check_lost_hosts(settings, name)
        yield from _check_tiers_agree(settings, name)


def _check_policy(place: str, policy: RetrySettings) -> Iterator[Finding]:
    rules = policy.rules or []
    for index, rule in enumerate(rules):
        here = f"{place}.rules[{index}]"
        yield from _check_patterns(here, rule)
        for earlier, other in enumerate(rules[:index]):
            if _covers(other, rule):
                yield error(
                    "retryRule",
                    f"{here} must be before rules[{earlier}], which matches all that it matches: the first "
                    "rule that matches decides",
                )
                break
    if rules and policy.attempts == 1:
        yield warning("retryRule", f"{place}.rules has no effect, because attempts is 1")


def _check_patterns(place: str, rule: RetryRule) -> Iterator[Finding]:
    for condition in _CONDITIONS:
        pattern: str | None = getattr(rule, condition)
        if pattern is None:
            continue
        if "*" in pattern[:-1]:
            yield error(
                "retryPattern",
                f"{place}.{condition} must have an asterisk at its end only, got {pattern!r}",
            )
        elif condition == "on_exit_code" and not _may_be_exit_code(pattern):
            yield error(
                "retryPattern",
                f"{place}.{condition} must be a number between 0 and {_MAX_EXIT_CODE}, or the beginning of "
                f"one and an asterisk, got {pattern!r}",
            )
        elif condition == "on_exit_code" and pattern == "0" and rule.action == "retry":
            yield error(
                "retryPattern",
                f"{place}.{condition} must not be '0': a job with this exit code has succeeded, and is not "
                "tried again",
            )


def _may_be_exit_code(pattern: str) -> bool:
    digits = pattern.removesuffix("*")
    if not digits:
        return pattern == "*"
    return (
        digits.isascii() and digits.isdigit() and str(int(digits)) == digits and int(digits) <= _MAX_EXIT_CODE
    )


def _covers(rule: RetryRule, other: RetryRule) -> bool:
    """Whether everything that the other rule matches is matched by this one."""
    for condition in _CONDITIONS:
        pattern, narrower = getattr(rule, condition), getattr(other, condition)
        if pattern is None:
            continue
        if narrower is None:
            # A failed job always has a reason for its status; an exit code or a reason it may lack.
            if condition == "on_status_reason" and pattern == "*":
                continue
            return False
        if pattern.endswith("*"):
            if not narrower.startswith(pattern[:-1]):
                return False
        elif pattern != narrower:
            return False
    return True


def _check_lost_hosts(settings: Settings, name: str) -> Iterator[Finding]:
    job = settings.jobs[name]
    triggered = {trigger.tier for trigger in settings.triggers.values() if trigger.job == name}
    for tier in settings.tiers_of(name):
        if not any(_reclaimed(settings.compute[one].type) for one in settings.tiers[tier].compute):
            continue
        sent = settings.retry_in(name, tier) if tier in triggered else None
        policy = sent or settings.retry(name)
        if policy.attempts == 1 and tier in (triggered or set(job.tiers or [])):
            place = f"jobs.{name}" if job.retry is not None else f"tiers.{tier}"
            yield warning(
                "spotRetry",
                f"{place}.retry.attempts is 1, and tiers.{tier} uses Spot capacity: a job"
                f"{'' if job.retry is not None else f', such as jobs.{name},'} whose host is reclaimed is "
                "lost. Allow at least 2",
            )
            return


def _check_tiers_agree(settings: Settings, name: str) -> Iterator[Finding]:
    """A job definition has one policy, and a queue none.

    Tiers may differ in how often they try again, of which all get the most; not in what, or in whether.
    """
    if settings.jobs[name].retry is not None:
        return
    tiers = settings.tiers_of(name)
    taken = max(tiers, key=lambda tier: settings.tiers[tier].retry.attempts)
    tried_again = {tier: _tried_again(settings, name, tier) for tier in tiers}
    others = [f"tiers.{tier}" for tier in tiers if tried_again[tier] != tried_again[taken]]
    if others:
        yield warning(
            "tierRetry",
            f"jobs.{name}.tiers should lead to one retry policy, for a job definition has one: that of "
            f"tiers.{taken}, got another for {' and '.join(others)}, with which triggers submit and nobody "
            f"else. Give jobs.{name}.retry, or pass --retry-strategy",
        )


def _tried_again(settings: Settings, job: str, tier: str) -> list[Any]:
    """After which failures, so that policies can be compared."""
    policy = settings.tiers[tier].retry
    if policy.attempts == 1:
        return []
    entries: list[Any] = retry_strategy(policy, settings.jobs[job].platform)["evaluateOnExit"]
    return entries


def _reclaimed(compute_type: str) -> bool:
    return compute_type in ("spot", "fargate_spot")
