"""How much of each thing an account may have in a Region.

https://docs.aws.amazon.com/batch/latest/userguide/service_limits.html
"""

from __future__ import annotations

from collections.abc import Iterator

from batch_stack.preflight.finding import Finding, error, warning
from batch_stack.settings import Settings

_MAX_QUEUES = 50
_MAX_COMPUTE_ENVIRONMENTS = 50
# Other stacks in the account have some, too.
_MANY = 40


def check_quotas(settings: Settings) -> Iterator[Finding]:
    """Compare the numbers of queues and compute environments with AWS Batch's quotas."""
    own = [name for name, one in settings.compute.items() if one.type != "existing"]
    for section, count, most, what in (
        ("tiers", len(settings.tiers), _MAX_QUEUES, "job queues"),
        ("compute", len(own), _MAX_COMPUTE_ENVIRONMENTS, "compute environments"),
    ):
        if count > most:
            yield error(
                "quota",
                f"{section} must have at most {most} entries, AWS Batch's quota of {what} in a Region, "
                f"got {count}",
            )
        elif count > _MANY:
            yield warning(
                "quota",
                f"{section} has {count} entries of the {most} {what} that an account may have in a Region: "
                "other stacks' count, too",
            )
