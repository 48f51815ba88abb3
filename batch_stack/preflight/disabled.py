"""Tiers that take no jobs, or start none, although something leads to them."""

from __future__ import annotations

from collections.abc import Iterator

from batch_stack.preflight.finding import Finding, warning
from batch_stack.settings.root import Settings


def check_disabled(settings: Settings) -> Iterator[Finding]:
    """Check what is disabled against what would submit to it, or wait in it.

    https://docs.aws.amazon.com/batch/latest/APIReference/API_UpdateJobQueue.html
    """
    for name, trigger in settings.triggers.items():
        if settings.tiers[trigger.tier].state == "disabled":
            yield warning(
                "disabledTier",
                f"triggers.{name}.tier should be one that is enabled, got {trigger.tier!r}, whose queue "
                "takes no jobs: events of new objects end in the trigger's dead-letter queue after two hours",
            )
    for name, schedule in settings.schedules.items():
        if settings.tiers[schedule.tier].state == "disabled" and schedule.state == "enabled":
            yield warning(
                "disabledTier",
                f"schedules.{name}.tier should be one that is enabled, got {schedule.tier!r}, whose queue "
                "takes no jobs: requests end in the schedule's dead-letter queue",
            )
    for name, tier in settings.tiers.items():
        states = [getattr(settings.compute[one], "state", "enabled") for one in tier.compute]
        if tier.state == "enabled" and "enabled" not in states:
            yield warning(
                "disabledCompute",
                f"tiers.{name}.compute should have one that is enabled, got "
                f"{' and '.join(tier.compute)}, disabled: its queue takes jobs, and starts none",
            )
