"""Buckets that exist already, and what triggers need of them."""

from __future__ import annotations

from collections.abc import Iterator

from batch_stack.preflight.finding import Finding, error, warning
from batch_stack.settings.root import Settings


def check_buckets(settings: Settings) -> Iterator[Finding]:
    """Check that triggers hear of objects, and that their jobs' results are not taken for input."""
    storage = settings.storage
    if storage.input_bucket is None:
        return
    name = storage.input_bucket.name
    if settings.triggers:
        yield warning(
            "eventBridge",
            f"storage.input_bucket must send its events to Amazon EventBridge, for triggers."
            f"{next(iter(settings.triggers))} hears of no object otherwise, and it is not switched on from "
            f"here, got {name!r}: add EventBridgeConfiguration to its notification configuration, to what "
            "`aws s3api get-bucket-notification-configuration` shows",
        )
    if storage.output_bucket is None or storage.output_bucket.name != name:
        return
    for trigger_name, trigger in settings.triggers.items():
        output, prefix = trigger.output_prefix, trigger.prefix
        if not output or output.startswith(prefix) or prefix.startswith(output):
            yield error(
                "ownResults",
                f"triggers.{trigger_name}.output_prefix must lead away from triggers.{trigger_name}.prefix, "
                f"which is {prefix!r}, because storage.input_bucket and output_bucket are one, and each "
                f"result would become a job again, got {output!r}",
            )
