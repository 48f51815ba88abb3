"""How findings reach a user of CDK: errors end synthesis, warnings become annotations."""

from __future__ import annotations

from aws_cdk import Annotations
from constructs import Construct

from batch_stack.preflight import preflight
from batch_stack.settings import Settings, SettingsError


def check_before_building(scope: Construct, settings: Settings) -> None:
    """Check settings before constructs are made from them.

    A warning goes away by mending what it says, or by `Annotations.acknowledge_warning` with its id,
    ``batch-stack:<check>:<path>``.

    Args:
        scope: what the constructs will be in; messages end with its path.
        settings: what is to be provisioned.

    Raises:
        SettingsError: something cannot work; the message has all of that, a line each.
    """
    findings = preflight(settings)
    errors = [finding.message for finding in findings if finding.level == "error"]
    place = f"at {scope.node.path}"
    if len(errors) == 1:
        raise SettingsError(f"{errors[0]} {place}")
    if errors:
        raise SettingsError("\n  ".join([f"{len(errors)} settings cannot work {place}", *errors]))
    for finding in findings:
        # CDK shows one annotation for an id, so that a second finding of a check would replace the first.
        path = finding.message.partition(" ")[0]
        Annotations.of(scope).add_warning_v2(f"batch-stack:{finding.check}:{path}", finding.message)
