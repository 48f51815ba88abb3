"""Checks at synthesis, without an AWS account: what is sure to fail, or to wait for ever, once deployed.

What can be told from a single field is checked when settings are read (`batch_stack.settings`). Here is what
takes more: facts about instance types, and several parts of the settings together.
"""

from __future__ import annotations

from batch_stack.preflight.buckets import check_buckets
from batch_stack.preflight.capacity import check_capacity
from batch_stack.preflight.disabled import check_disabled
from batch_stack.preflight.efa import check_efa
from batch_stack.preflight.finding import Finding
from batch_stack.preflight.given import GivenNetwork
from batch_stack.preflight.network import check_network
from batch_stack.preflight.nodes import check_nodes
from batch_stack.preflight.quotas import check_quotas
from batch_stack.preflight.retry_policies import check_retry_policies
from batch_stack.preflight.scratch import check_scratch
from batch_stack.preflight.triggers import check_triggers
from batch_stack.preflight.updates import check_updates
from batch_stack.preflight.use import check_use
from batch_stack.settings.root import Settings

_CHECKS = (
    check_quotas,
    check_capacity,
    check_nodes,
    check_retry_policies,
    check_disabled,
    check_buckets,
    check_efa,
    check_updates,
    check_scratch,
    check_triggers,
    check_use,
)


def preflight(settings: Settings, given: GivenNetwork | None = None) -> list[Finding]:
    """Check the settings as a whole.

    Args:
        settings: what is to be provisioned.
        given: a VPC in place of the settings' network.

    Returns:
        All findings, errors first.
    """
    findings = [finding for check in _CHECKS for finding in check(settings)]
    findings += check_network(settings, given)
    return sorted(findings, key=lambda finding: finding.level != "error")
