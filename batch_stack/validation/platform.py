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
"""Ids of the constructs for sections without named entries."""


class Checks:
    """The checks of one platform, whose settings may grow until the template is written.

    Errors are raised before constructs are made. Warnings are shown at the end, on the construct for the
    setting, because a job or a trigger that is added in Python may correct what they are about. To remove a
    warning, change the setting, list the warning's id in `acknowledge` of the settings, or pass the id to
    `Annotations.acknowledge_warning`. The id is ``batch-stack:<check>:<path>``, with a point before an index:
    ``instance_types.2``.
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
            settings: the settings to provision.

        Raises:
            SettingsError: there are errors; the message has a line for each.
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
        scope: the construct on which CDK shows the warning.
        finding: the finding. Its id contains the path, because CDK shows one annotation for each id.
        settings: the settings in which it was found.
    """
    if finding.id not in settings.acknowledge:
        source = f"{settings.source}: " if settings.source else ""
        Annotations.of(scope).add_warning_v2(finding.id, f"{source}{finding.message}")


def _construct_of(scope: Construct, finding: Finding) -> IConstruct:
    """Returns the construct for the setting of a finding; the scope if the setting has no construct."""
    section, _, rest = finding.path.partition(".")
    try:
        child = _CHILD_OF.get(section) or id_of_entry(section, rest.partition(".")[0])
    except KeyError:
        return scope
    return scope.node.try_find_child(child) or scope


@jsii.implements(IValidation)
class _Warnings:
    """Shows warnings before the template is written, when nothing can be added any more."""

    def __init__(self, checks: Checks) -> None:
        self._checks = checks

    def validate(self) -> list[str]:
        """Shows the warnings, and returns no error."""
        self._checks.warn()
        return []
