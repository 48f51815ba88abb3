"""How findings reach a user of CDK: errors end synthesis, warnings become annotations."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jsii
from aws_cdk import Annotations
from constructs import Construct, IValidation

from batch_stack.preflight.finding import Finding
from batch_stack.preflight.given import GivenNetwork
from batch_stack.preflight.preflight import preflight
from batch_stack.settings.base.errors import SettingsError
from batch_stack.settings.root import Settings

if TYPE_CHECKING:
    from batch_stack.platform import BatchPlatform

MENDED_BY_ADDITIONS = ("arraySize", "noJobs", "unusedService")
"""Checks that look for what may still be added in Python."""


class Checks:
    """The checks of one platform, before constructs are made, and again when there is something to add.

    A warning goes away by mending what it says, by its id in `acknowledge` of the settings, or by
    `Annotations.acknowledge_warning` with it: ``batch-stack:<check>:<path>``, where an index stands behind a
    point: ``instance_types.2``.
    """

    def __init__(self, platform: BatchPlatform) -> None:
        """Prepare them.

        Args:
            platform: what the constructs will be in; messages end with its path.
        """
        self._platform = platform
        self._waits = False
        self.given: GivenNetwork | None = None

    def run(self, settings: Settings) -> None:
        """Check settings before constructs are made from them.

        Args:
            settings: what is to be provisioned.

        Raises:
            SettingsError: something cannot work; the message has all of that, a line each.
        """
        findings = preflight(settings, self.given)
        errors = [finding.message for finding in findings if finding.level == "error"]
        place = f"at {self._platform.node.path}"
        if len(errors) == 1:
            raise SettingsError(f"{errors[0]} {place}")
        if errors:
            raise SettingsError("\n  ".join([f"{len(errors)} settings cannot work {place}", *errors]))
        for finding in findings:
            if finding.check not in MENDED_BY_ADDITIONS:
                warn(self._platform, finding, settings)
            elif not self._waits:
                self._waits = True
                self._platform.node.add_validation(_AtTheEnd(self._platform, self.given))


def warn(scope: Construct, finding: Finding, settings: Settings) -> None:
    """Show a finding as CDK's warning, unless the settings acknowledge it.

    Args:
        scope: what CDK shows it with.
        finding: what was found; CDK shows one annotation for an id, so that ids have the path in them.
        settings: where it was found.
    """
    if finding.id not in settings.acknowledge:
        source = f"{settings.source}: " if settings.source else ""
        Annotations.of(scope).add_warning_v2(finding.id, f"{source}{finding.message}")


@jsii.implements(IValidation)
class _AtTheEnd:
    """Jobs, triggers and schedules may be added in Python until the template is written."""

    def __init__(self, platform: BatchPlatform, given: GivenNetwork | None) -> None:
        self._platform, self._given = platform, given

    def validate(self) -> list[str]:
        """Return no error; leave the warnings that no addition has mended."""
        for finding in preflight(self._platform.settings, self._given):
            if finding.check in MENDED_BY_ADDITIONS:
                warn(self._platform, finding, self._platform.settings)
        return []
