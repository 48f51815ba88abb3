"""Reports the findings about a platform: errors end synthesis, warnings become annotations."""

from __future__ import annotations

import jsii
from aws_cdk import Annotations
from constructs import Construct, IConstruct, IValidation

from batch_stack.preflight.finding import Finding
from batch_stack.preflight.network import GivenNetwork
from batch_stack.preflight.preflight import preflight
from batch_stack.settings.base.errors import SettingsError
from batch_stack.settings.base.names import id_of_entry
from batch_stack.settings.root import Settings

_CHILD_OF = {"network": "Network", "vpc": "Network", "storage": "Storage"}
"""Ids of the constructs that sections without named entries become."""


class Checks:
    """The checks of one platform, whose settings may grow until the template is written.

    Errors are raised before constructs are made. Warnings are about the latest settings, because a job or a
    trigger that is added in Python may mend them: they are shown at the end, with the construct that the
    setting became. A warning goes away by mending what it says, by its id in `acknowledge` of the settings,
    or by `Annotations.acknowledge_warning` with it: ``batch-stack:<check>:<path>``, where an index follows
    a point: ``instance_types.2``.
    """

    def __init__(self, scope: Construct, given: GivenNetwork | None = None) -> None:
        """Prepares the checks.

        Args:
            scope: the construct that holds all others; messages end with its path.
            given: a VPC in place of the settings' network.
        """
        self._scope, self._given = scope, given
        self._latest: Settings | None = None

    def run(self, settings: Settings) -> None:
        """Checks settings before constructs are made from them, and keeps them for the warnings.

        Args:
            settings: what is to be provisioned.

        Raises:
            SettingsError: something cannot work; the message has all of that, a line each.
        """
        errors = [one.message for one in preflight(settings, self._given) if one.level == "error"]
        place = f"at {self._scope.node.path}"
        if len(errors) == 1:
            raise SettingsError(f"{errors[0]} {place}")
        if errors:
            raise SettingsError("\n  ".join([f"{len(errors)} settings cannot work {place}", *errors]))
        if self._latest is None:
            self._scope.node.add_validation(_Warnings(self))
        self._latest = settings

    def warn(self) -> None:
        """Shows the warnings about the latest settings."""
        if self._latest is None:
            return
        for finding in preflight(self._latest, self._given):
            warn(_construct_of(self._scope, finding), finding, self._latest)


def warn(scope: IConstruct, finding: Finding, settings: Settings) -> None:
    """Shows a finding as CDK's warning, unless the settings acknowledge it.

    Args:
        scope: the construct that CDK shows it with.
        finding: what was found; CDK shows one annotation for an id, so that ids have the path in them.
        settings: where it was found.
    """
    if finding.id not in settings.acknowledge:
        source = f"{settings.source}: " if settings.source else ""
        Annotations.of(scope).add_warning_v2(finding.id, f"{source}{finding.message}")


def _construct_of(scope: Construct, finding: Finding) -> IConstruct:
    """Returns the construct that the setting of a finding became; the scope, if it became none of its own."""
    section, _, rest = finding.path.partition(".")
    try:
        child = _CHILD_OF.get(section) or id_of_entry(section, rest.partition(".")[0])
    except KeyError:
        return scope
    return scope.node.try_find_child(child) or scope


@jsii.implements(IValidation)
class _Warnings:
    """Shows warnings when the template is about to be written, and nothing can be added any more."""

    def __init__(self, checks: Checks) -> None:
        self._checks = checks

    def validate(self) -> list[str]:
        """Returns no error; leaves the warnings."""
        self._checks.warn()
        return []
