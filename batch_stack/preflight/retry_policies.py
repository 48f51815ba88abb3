"""Finds retry rules that never match or have no effect, and retry policies that do not help.

https://docs.aws.amazon.com/batch/latest/APIReference/API_EvaluateOnExit.html
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from batch_stack.preflight.finding import Finding, error, warning
from batch_stack.settings.base.values import PlatformCapability
from batch_stack.settings.retry import RetryRule, RetrySettings, retry_strategy
from batch_stack.settings.workload import Workload

_CONDITIONS = ("on_reason", "on_status_reason", "on_exit_code")
_MAX_EXIT_CODE = 255
_LOST_ON: dict[str, tuple[PlatformCapability, ...]] = {
    "Host EC2": ("ec2", "managed_instances", "eks"),
    "Your Spot Task was interrupted": ("fargate",),
}
"""Beginnings of the status reason of a job whose host was lost, and the platform capabilities with them."""


def check_retry_policies(workload: Workload) -> Iterator[Finding]:
    """Checks the rules of tiers and jobs."""
    for name, tier in workload.tiers.items():
        yield from _check_policy(f"tiers.{name}.retry", tier.retry, workload.platform_capability(name))
    for name, job in workload.jobs.items():
        if job.retry is not None:
            yield from _check_policy(f"jobs.{name}.retry", job.retry, job.platform)
        yield from _check_lost_hosts(workload, name)
        yield from _check_tiers_agree(workload, name)


def _check_policy(place: str, policy: RetrySettings, capability: PlatformCapability) -> Iterator[Finding]:
    rules = policy.rules or []
    for index, rule in enumerate(rules):
        here = f"{place}.rules[{index}]"
        yield from _check_exit_code(here, rule)
        yield from _check_platform(here, rule, capability)
        yield from _check_order(here, rule, rules[:index])
    if rules and policy.attempts == 1:
        yield warning("retryRule", f"{place}.rules", "has no effect, because attempts is 1")


def _check_order(place: str, rule: RetryRule, before: Sequence[RetryRule]) -> Iterator[Finding]:
    for index, earlier in enumerate(before):
        if _covers(earlier, rule):
            yield error(
                "retryRule",
                place,
                f"must be before rules[{index}], which matches all that it matches: the first rule "
                "that matches decides",
            )
            return
    for index, earlier in enumerate(before):
        if _covers(earlier, rule, has_exit_code=True):
            yield warning(
                "retryRule",
                place,
                f"should be before rules[{index}], which matches every failure with an exit code: "
                "the first rule that matches decides, so this rule gets only failures without an exit code, "
                "such as a lost host",
            )
            return


def _check_exit_code(place: str, rule: RetryRule) -> Iterator[Finding]:
    pattern = rule.on_exit_code
    if pattern is None:
        return
    if not _may_be_exit_code(pattern):
        yield error(
            "retryPattern",
            f"{place}.on_exit_code",
            f"must be a number between 0 and {_MAX_EXIT_CODE}, or the beginning of one "
            f"and an asterisk, got {pattern!r}",
        )
    # No other exit code begins with 0.
    elif pattern in ("0", "0*"):
        yield error(
            "retryPattern",
            f"{place}.on_exit_code",
            f"must not be {pattern!r}: a job with the exit code 0 has succeeded, and is not retried",
        )


def _check_platform(place: str, rule: RetryRule, capability: PlatformCapability) -> Iterator[Finding]:
    """Finds status reasons of lost hosts that AWS does not give on this platform capability."""
    never = [text for text, capabilities in _LOST_ON.items() if capability not in capabilities]
    for text in never:
        if (rule.on_status_reason or "").startswith(text):
            instead = " or ".join(
                f"{one}*" for one, capabilities in _LOST_ON.items() if capability in capabilities
            )
            yield error(
                "retryPattern",
                f"{place}.on_status_reason",
                f"must not begin with {text!r} on {capability}, where the reason "
                f"of a lost host is {instead!r}, got {rule.on_status_reason!r}",
            )


def _may_be_exit_code(pattern: str) -> bool:
    digits = pattern.removesuffix("*")
    if not digits:
        return pattern == "*"
    return str(int(digits)) == digits and int(digits) <= _MAX_EXIT_CODE


def _covers(rule: RetryRule, other: RetryRule, *, has_exit_code: bool = False) -> bool:
    """Returns whether a rule matches all failures that the other rule matches.

    A failed job always has a status reason. It may lack a reason, which a bare asterisk matches as well. AWS
    does not document whether an asterisk matches a missing exit code: here it does not.
    """
    for condition in _CONDITIONS:
        pattern, narrower = getattr(rule, condition), getattr(other, condition)
        if pattern is None:
            continue
        if narrower is None:
            if pattern == "*" and (condition != "on_exit_code" or has_exit_code):
                continue
            return False
        if pattern.endswith("*"):
            if not narrower.startswith(pattern[:-1]):
                return False
        elif pattern != narrower:
            return False
    return True


def _check_lost_hosts(workload: Workload, name: str) -> Iterator[Finding]:
    job = workload.jobs[name]
    triggered = set(workload.submitting_tiers(name).values())
    for tier in workload.tiers_of(name):
        if not any(one.is_reclaimable for one in workload.compute_of(tier).values()):
            continue
        sent = workload.retry_in(name, tier) if tier in triggered else None
        policy = sent or workload.retry(name)
        if policy.attempts == 1 and tier in (triggered or set(job.tiers or [])):
            path, given = f"jobs.{name}", f"has 1 attempt by tiers.{tier}.retry"
            if job.retry is not None:
                path, given = f"{path}.retry.attempts", "is 1"
            yield warning(
                "spotRetry",
                path,
                f"{given}, and tiers.{tier} uses Spot capacity: a job whose host is reclaimed is lost. Allow "
                "at least 2",
            )
            return


def _check_tiers_agree(workload: Workload, name: str) -> Iterator[Finding]:
    """Checks that the tiers of a job have the same retry rules, because a job definition has one policy.

    Tiers may differ in the number of attempts: all get the highest.
    """
    if workload.jobs[name].retry is not None:
        return
    tiers = workload.tiers_of(name)
    taken = max(tiers, key=lambda tier: workload.tiers[tier].retry.attempts)
    tried_again = {tier: _tried_again(workload, name, tier) for tier in tiers}
    others = [f"tiers.{tier}" for tier in tiers if tried_again[tier] != tried_again[taken]]
    if others:
        yield warning(
            "tierRetry",
            f"jobs.{name}.tiers",
            "should lead to one retry policy, because a job definition has only one: that of "
            f"tiers.{taken}, got another for {' and '.join(others)}, which only triggers and schedules "
            f"use. Give jobs.{name}.retry, or pass --retry-strategy",
        )


def _tried_again(workload: Workload, job: str, tier: str) -> list[Any]:
    """Returns the rules of a tier's policy, for comparison."""
    policy = workload.tiers[tier].retry
    if policy.attempts == 1:
        return []
    entries: list[Any] = retry_strategy(policy, workload.jobs[job].platform)["evaluateOnExit"]
    return entries
