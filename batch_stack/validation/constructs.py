"""The same checks for tiers and jobs that are used alone, without a platform that checks them together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from aws_cdk import Annotations
from constructs import Construct

from batch_stack.preflight.finding import Finding
from batch_stack.preflight.preflight import preflight
from batch_stack.settings.jobs import JobSettings
from batch_stack.settings.root import Settings
from batch_stack.settings.tiers import TierSettings
from batch_stack.validation.platform import MENDED_BY_ADDITIONS

if TYPE_CHECKING:
    from batch_stack.queues.priority_tier import PriorityTier


def is_checked(construct: Construct, settings: TierSettings | JobSettings) -> bool:
    """Whether it is a platform's, which has checked all its settings before it made anything of them.

    What somebody else puts under a platform has settings that the platform does not know.

    Args:
        construct: a tier or a job.
        settings: what it is made from: the very object that it was given, not a copy.
    """
    whole = getattr(construct.node.scope, "settings", None)
    return isinstance(whole, Settings) and any(
        one is settings for one in (*whole.tiers.values(), *whole.jobs.values())
    )


def check_tier(tier: PriorityTier) -> None:
    """Check a tier and its compute environments; warnings become annotations of CDK.

    Args:
        tier: a tier that is used alone.

    Raises:
        ValueError: something cannot work; the message has all of that, and the tier's path.
    """
    found = _findings([tier], {}, ("compute.", "tiers."))
    _refuse(found, at=tier)
    _warn(found, of=tier)


def check_job(job: Construct, name: str, settings: JobSettings, tiers: Sequence[PriorityTier]) -> None:
    """Check that a job can run in each of its tiers; warnings become annotations of CDK.

    Args:
        job: a job that is used alone.
        name: its name.
        settings: its settings, with the retry policy that it has.
        tiers: what it is meant for; without any only the job itself is checked.

    Raises:
        ValueError: something cannot work; the message has all of that, and the job's path.
    """
    given = [tier.name for tier in tiers]
    for index, wanted in enumerate(settings.tiers or []):
        if wanted not in given:
            raise ValueError(
                f"settings.tiers[{index}] must be the name of one of tiers, "
                f"{', '.join(given) or '(none given)'}, got {wanted!r} at {job.node.path}"
            )
    if tiers:
        found = _of_job(name, settings, tiers)
        _refuse(found, at=job)
        _warn(found, of=job)


def check_fits(job: Construct, name: str, settings: JobSettings, tier: PriorityTier) -> None:
    """Check that a job can run in a tier that somebody is let submit it to.

    Args:
        job: the job.
        name: its name.
        settings: its settings.
        tier: where it shall be submitted to.

    Raises:
        ValueError: it cannot; the message says why, and has the job's path.
    """
    _refuse(_of_job(name, settings, [tier]), at=job)


def _of_job(name: str, settings: JobSettings, tiers: Sequence[PriorityTier]) -> list[Finding]:
    named = settings.model_copy(update={"tiers": [tier.node.path for tier in tiers]})
    return _findings(tiers, {name: named}, ("jobs.",))


def _findings(
    tiers: Sequence[PriorityTier], jobs: dict[str, JobSettings], sections: tuple[str, ...]
) -> list[Finding]:
    """What is found in some sections of settings that have these tiers and jobs, and nothing else.

    Compute environments and tiers have their paths for names: others could be the same in two places.
    """
    settings = Settings.model_construct(
        compute={one.node.path: one.settings for tier in tiers for one in tier.compute_environments},
        tiers={
            tier.node.path: tier.settings.model_copy(
                update={"compute": [one.node.path for one in tier.compute_environments]}
            )
            for tier in tiers
        },
        jobs=jobs,
    )
    return [
        finding
        for finding in preflight(settings)
        if finding.message.startswith(sections) and finding.check not in MENDED_BY_ADDITIONS
    ]


def _refuse(findings: Sequence[Finding], *, at: Construct) -> None:
    errors = [finding.message for finding in findings if finding.level == "error"]
    if errors:
        raise ValueError("\n  ".join([f"{errors[0]} at {at.node.path}", *errors[1:]]))


def _warn(findings: Sequence[Finding], *, of: Construct) -> None:
    for finding in findings:
        if finding.level == "warning":
            Annotations.of(of).add_warning_v2(finding.id, finding.message)
