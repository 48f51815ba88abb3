"""Compute environments, tiers and jobs together: which job runs where, and with which retry policy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from batch_stack.settings.base.values import Architecture, PlatformCapability
from batch_stack.settings.compute.base import ComputeSettings
from batch_stack.settings.jobs import JobSettings
from batch_stack.settings.retry import RetrySettings, policy_of_definition, policy_of_submission
from batch_stack.settings.schedules import ScheduleSettings
from batch_stack.settings.tiers import TierSettings
from batch_stack.settings.triggers import TriggerSettings


class Workload:
    """Compute environments, tiers and jobs by their names in the settings, with facts that combine them."""

    if TYPE_CHECKING:
        # Fields of `Sections`, which pydantic makes, and of `PartialWorkload`.

        @property
        def compute(self) -> Mapping[str, ComputeSettings]:
            """The compute environments by their names."""

        @property
        def tiers(self) -> Mapping[str, TierSettings]:
            """The tiers by their names."""

        @property
        def jobs(self) -> Mapping[str, JobSettings]:
            """The jobs by their names."""

        @property
        def triggers(self) -> Mapping[str, TriggerSettings]:
            """The triggers by their names."""

        @property
        def schedules(self) -> Mapping[str, ScheduleSettings]:
            """The schedules by their names."""

    def compute_of(self, tier: str) -> dict[str, ComputeSettings]:
        """Returns the compute environments of a tier by their names, in the order in which they are tried."""
        return {name: self.compute[name] for name in self.tiers[tier].compute}

    def platform_capability(self, tier: str) -> PlatformCapability:
        """Returns the platform capability of a tier's compute environments; they all have the same."""
        return self.compute[self.tiers[tier].compute[0]].platform_capability

    def architecture(self, tier: str) -> Architecture:
        """Returns the CPU architecture of a tier's compute environments; they all have the same."""
        return self.compute[self.tiers[tier].compute[0]].architecture

    def tiers_of(self, job: str) -> list[str]:
        """Returns the tiers that a job may be submitted to: those it names, else all that can run it."""
        settings = self.jobs[job]
        if settings.tiers is not None:
            return settings.tiers
        return [name for name in self.tiers if self.incompatibility(job, name) is None]

    def submitting_tiers(self, job: str) -> dict[str, str]:
        """Returns the tiers that triggers and schedules submit a job to, by the paths that name them."""
        triggers = {f"triggers.{name}": (one.job, one.tier) for name, one in self.triggers.items()}
        schedules = {f"schedules.{name}": (one.job, one.tier) for name, one in self.schedules.items()}
        return {
            f"{place}.tier": tier
            for place, (submitted, tier) in (triggers | schedules).items()
            if submitted == job
        }

    def incompatibility(self, job: str, tier: str) -> str | None:
        """Returns the reason why a tier cannot run a job, or None if it can."""
        settings = self.jobs[job]
        reason = settings.incompatibility(self.compute_of(tier))
        if reason is not None:
            return f"jobs.{job}{reason}"
        candidates = [one for one in settings.tiers or self.tiers if one in self.tiers]
        able = (one for one in candidates if settings.incompatibility(self.compute_of(one)) is None)
        first = next(able, tier)
        reason = settings.incompatibility(self.compute_of(tier), self.architecture(first))
        if reason is not None:
            return f"jobs.{job}{reason}, as its first tier, tiers.{first}, is (see jobs.{job}.tiers)"
        return None

    def max_vcpus(self, tier: str) -> dict[str, int]:
        """Returns the known vCPU limits of a tier's compute environments, by their paths in the settings."""
        limits = {f"compute.{name}.max_vcpus": one.max_vcpus for name, one in self.compute_of(tier).items()}
        return {path: limit for path, limit in limits.items() if limit is not None}

    def retry(self, job: str) -> RetrySettings:
        """Returns the policy of a job's definition: its own, else its tiers' with the most attempts."""
        tiers = (self.tiers[tier].retry for tier in self.tiers_of(job))
        return policy_of_definition(self.jobs[job].retry, tiers)

    def retry_in(self, job: str, tier: str) -> RetrySettings | None:
        """Returns the policy that a submission to a tier has to name; None if the definition has the same."""
        settings = self.jobs[job]
        return policy_of_submission(
            settings.retry, self.retry(job), self.tiers[tier].retry, settings.platform
        )


@dataclass(frozen=True)
class PartialWorkload(Workload):
    """Compute environments, tiers and jobs of constructs that are used without a platform."""

    compute: Mapping[str, ComputeSettings]
    tiers: Mapping[str, TierSettings]
    jobs: Mapping[str, JobSettings] = field(default_factory=dict)
    triggers: Mapping[str, TriggerSettings] = field(default_factory=dict)
    schedules: Mapping[str, ScheduleSettings] = field(default_factory=dict)
