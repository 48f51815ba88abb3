"""What an edit of the settings, once it is deployed, would do to running jobs."""

from __future__ import annotations

import math
from collections.abc import Iterator

from batch_stack.preflight.finding import Finding, warning
from batch_stack.settings.ec2_compute import OnDemandSettings, SpotSettings
from batch_stack.settings.root import Settings

_SECONDS_PER_MINUTE = 60
_MOST_MINUTES = 7200


def check_updates(settings: Settings) -> Iterator[Finding]:
    """Compare how long jobs may run with how long an update of their compute environments lets them.

    https://docs.aws.amazon.com/batch/latest/APIReference/API_UpdatePolicy.html
    """
    for name, job in settings.jobs.items():
        needed = min(math.ceil(job.timeout_s / _SECONDS_PER_MINUTE), _MOST_MINUTES)
        used = {one for tier in settings.tiers_of(name) for one in settings.tiers[tier].compute}
        short = {
            compute: one.update_timeout_minutes
            for compute, one in settings.compute.items()
            if compute in used
            and isinstance(one, SpotSettings | OnDemandSettings)
            and one.update_timeout_minutes < needed
        }
        if short:
            least, minutes = next(iter(short.items()))
            yield warning(
                "updateTimeout",
                f"jobs.{name}.timeout_s is longer than an edit of {_places(short)} lets jobs run on: "
                f"such a job may be ended after {minutes} minutes and begin again. Set "
                f"compute.{least}.update_timeout_minutes to {needed}, got {minutes}, for a timeout of "
                f"{job.timeout_s} s",
            )


def _places(names: dict[str, int]) -> str:
    return " and ".join(f"compute.{name}" for name in names)
