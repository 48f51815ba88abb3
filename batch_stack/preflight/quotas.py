"""How much of each thing an account may have in a Region.

https://docs.aws.amazon.com/batch/latest/userguide/service_limits.html
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from batch_stack.preflight.finding import Finding, error, warning
from batch_stack.settings.root import Settings

_MAX_QUEUES = 50
_MAX_COMPUTE_ENVIRONMENTS = 50
# Other stacks in the account have some, too.
_MANY = 40
_MAX_DEFINITION_BYTES = 24 * 1024


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
    yield from _check_definitions(settings)


def _check_definitions(settings: Settings) -> Iterator[Finding]:
    """What a job's own settings put into its definition must leave room for the rest of it."""
    for name, job in settings.jobs.items():
        # Each node of a multi-node job has a container, and variables, of its own.
        containers = 1 + len(job.nodes.groups if job.nodes is not None else [])
        shared = [*job.environment.items(), *job.command]
        size = containers * len(json.dumps(shared).encode()) + len(json.dumps(job.parameters).encode())
        if size > _MAX_DEFINITION_BYTES:
            yield error(
                "definitionSize",
                f"jobs.{name}.environment, command and parameters must take at most "
                f"{_MAX_DEFINITION_BYTES} bytes together, AWS Batch's quota of a job definition, got {size}: "
                "put what is long into an object, a parameter or a secret",
            )
