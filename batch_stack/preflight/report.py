"""How findings reach a user of CDK: errors end synthesis, warnings become annotations."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jsii
from aws_cdk import Annotations
from constructs import Construct, IValidation

from batch_stack.preflight import Finding, preflight
from batch_stack.settings import Settings, SettingsError

if TYPE_CHECKING:
    from batch_stack.platform import BatchPlatform

_MENDED_BY_ADDITIONS = ("arraySize", "noJobs", "unusedService")


class Checks:
    """The checks of one platform, before constructs are made, and again when there is something to add.

    A warning goes away by mending what it says, or by `Annotations.acknowledge_warning` with its id,
    ``batch-stack:<check>:<path>``, where an index stands behind a point: ``instance_types.2``.
    """

    def __init__(self, platform: BatchPlatform) -> None:
        """Prepare them.

        Args:
            platform: what the constructs will be in; messages end with its path.
        """
        self._platform = platform
        self._waits = False

    def run(self, settings: Settings) -> None:
        """Check settings before constructs are made from them.

        Args:
            settings: what is to be provisioned.

        Raises:
            SettingsError: something cannot work; the message has all of that, a line each.
        """
        findings = preflight(settings)
        errors = [finding.message for finding in findings if finding.level == "error"]
        place = f"at {self._platform.node.path}"
        if len(errors) == 1:
            raise SettingsError(f"{errors[0]} {place}")
        if errors:
            raise SettingsError("\n  ".join([f"{len(errors)} settings cannot work {place}", *errors]))
        for finding in findings:
            if finding.check not in _MENDED_BY_ADDITIONS:
                _warn(self._platform, finding)
            elif not self._waits:
                self._waits = True
                self._platform.node.add_validation(_AtTheEnd(self._platform))


def _warn(scope: Construct, finding: Finding) -> None:
    # CDK shows one annotation for an id, so that a second finding of a check would replace the first.
    # And it reads an id, `[ack: ...]`, up to the first bracket that closes: an index gets a point instead.
    path = finding.message.partition(" ")[0].replace("[", ".").replace("]", "")
    Annotations.of(scope).add_warning_v2(f"batch-stack:{finding.check}:{path}", finding.message)


@jsii.implements(IValidation)
class _AtTheEnd:
    """Jobs and triggers may be added in Python until the template is written."""

    def __init__(self, platform: BatchPlatform) -> None:
        self._platform = platform

    def validate(self) -> list[str]:
        """Return no error; leave the warnings that no addition has mended."""
        for finding in preflight(self._platform.settings):
            if finding.check in _MENDED_BY_ADDITIONS:
                _warn(self._platform, finding)
        return []
