"""Runs the checks at synthesis, without an AWS account: finds what would fail or wait for ever on AWS.

`batch_stack.settings` checks single fields when it reads the settings. The checks in this package need facts
about instance types, or several sections of the settings together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from batch_stack.preflight.capacity import check_capacity, check_quotas
from batch_stack.preflight.finding import Finding
from batch_stack.preflight.jobs import check_jobs
from batch_stack.preflight.multi_node import check_multi_node
from batch_stack.preflight.network import GivenNetwork, check_network
from batch_stack.preflight.retry_policies import check_retry_policies
from batch_stack.preflight.submission import check_submission
from batch_stack.settings.compute.base import ComputeSettings
from batch_stack.settings.jobs import JobSettings
from batch_stack.settings.sections import Sections
from batch_stack.settings.tiers import TierSettings
from batch_stack.settings.workload import PartialWorkload, Workload

_CHECKS_OF_WORKLOADS = (check_capacity, check_multi_node, check_retry_policies, check_jobs)


@dataclass(frozen=True)
class TierAlone:
    """A tier that is used without a platform.

    Attributes:
        path: the path of its construct, which identifies it, because two tiers may have the same name.
        settings: the tier.
        compute: its compute environments by the paths of their constructs, in their order.
    """

    path: str
    settings: TierSettings
    compute: Mapping[str, ComputeSettings]


def preflight(settings: Sections, given: GivenNetwork | None = None) -> list[Finding]:
    """Checks the settings as a whole.

    Args:
        settings: the settings to provision.
        given: a VPC in place of the settings' network.

    Returns:
        All findings, errors first.
    """
    return _errors_first(
        [
            *check_quotas(settings),
            *_of_workload(settings),
            *check_submission(settings),
            *check_network(settings, given),
        ]
    )


def preflight_tier(tier: TierAlone) -> list[Finding]:
    """Checks a tier and its compute environments.

    Args:
        tier: the tier.

    Returns:
        All findings, errors first.
    """
    return _errors_first(_of_workload(_workload([tier], {})))


def preflight_job(name: str, settings: JobSettings, tiers: Sequence[TierAlone]) -> list[Finding]:
    """Checks that a job can run in each of some tiers.

    Args:
        name: the name of the job.
        settings: the job.
        tiers: the tiers, at least one.

    Returns:
        All findings about the job, errors first.
    """
    named = settings.model_copy(update={"tiers": [tier.path for tier in tiers]})
    findings = _of_workload(_workload(tiers, {name: named}))
    return _errors_first([finding for finding in findings if finding.section == "jobs"])


def _of_workload(workload: Workload) -> list[Finding]:
    return [finding for check in _CHECKS_OF_WORKLOADS for finding in check(workload)]


def _workload(tiers: Sequence[TierAlone], jobs: Mapping[str, JobSettings]) -> Workload:
    return PartialWorkload(
        compute={path: one for tier in tiers for path, one in tier.compute.items()},
        tiers={tier.path: tier.settings.model_copy(update={"compute": list(tier.compute)}) for tier in tiers},
        jobs=jobs,
    )


def _errors_first(findings: list[Finding]) -> list[Finding]:
    return sorted(findings, key=lambda finding: finding.level != "error")
