"""The settings of a batch platform as a whole."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from batch_stack.settings import checks
from batch_stack.settings.base import LogRetentionDays, Platform, SettingsModel
from batch_stack.settings.compute import DEFAULT_COMPUTE, ComputeEnvironmentSettings
from batch_stack.settings.jobs import JobSettings
from batch_stack.settings.network import NetworkSettings, PublicNetworkSettings
from batch_stack.settings.storage import MessagingSettings, ResultsSettings, StorageSettings
from batch_stack.settings.tiers import DEFAULT_TIERS, RetrySettings, TierSettings

Email = Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+$", description="an e-mail address")]


class TriggerSettings(SettingsModel):
    """Objects created under a prefix of the input bucket become jobs."""

    prefix: Annotated[str, Field(max_length=1024)] = ""
    job: str
    tier: str = "standard"
    # For a tier with a fair-share policy: whose jobs they are.
    share: (
        Annotated[
            str,
            Field(pattern=r"^[A-Za-z0-9]{1,255}$", description="a share identifier of letters and digits"),
        ]
        | None
    ) = None
    # Values of the command's Ref:: placeholders; input and output are the trigger's own.
    parameters: dict[str, str] = {}
    # What the job is told to write below in the output bucket, before the folder of the object's key.
    output_prefix: Annotated[
        str,
        Field(
            pattern=r"^([^\s/][^\s]*/)?$",
            max_length=512,
            description="a prefix of keys that ends in /, and begins with none",
        ),
    ] = ""

    @model_validator(mode="after")
    def _own_parameters(self) -> TriggerSettings:
        for name in ("input", "output"):
            if name in self.parameters:
                raise ValueError(f"parameters must not set {name!r}, which the trigger sets")
        return self


class NotificationSettings(SettingsModel):
    """Who hears of failed jobs and blocked queues."""

    emails: list[Email] = []


class ConsumableResourceSettings(SettingsModel):
    """Something that jobs share and that there is only so much of, such as licences.

    https://docs.aws.amazon.com/batch/latest/userguide/resource-aware-scheduling.html
    """

    total: Annotated[int, Field(ge=0)]
    replenishable: bool = True  # comes back when the job has ended


class RetiredSettings(SettingsModel):
    """What may be deleted: tiers that were disabled first, and all else that no job needs any more."""

    tiers: list[str] = []
    compute: list[str] = []
    consumable_resources: list[str] = []


class Settings(SettingsModel):
    """Everything `batch.yaml` can say. Each field has a default; unknown fields are refused."""

    name: Annotated[
        str,
        Field(
            pattern=r"^[A-Za-z][A-Za-z0-9-]{0,127}$",
            description="a stack name: a letter, then letters, digits or hyphens, at most 128 characters",
        ),
    ] = "batch-stack"
    network: NetworkSettings = PublicNetworkSettings()
    compute: Annotated[dict[str, ComputeEnvironmentSettings], Field(min_length=1)] = DEFAULT_COMPUTE
    consumable_resources: dict[str, ConsumableResourceSettings] = {}
    tiers: Annotated[dict[str, TierSettings], Field(min_length=1)] = DEFAULT_TIERS
    jobs: dict[str, JobSettings] = {}
    triggers: dict[str, TriggerSettings] = {}
    storage: StorageSettings = StorageSettings()
    results: ResultsSettings = ResultsSettings()
    messaging: MessagingSettings = MessagingSettings()
    notifications: NotificationSettings = NotificationSettings()
    log_retention_days: LogRetentionDays = 30
    retired: RetiredSettings = RetiredSettings()

    def platform(self, tier: str) -> Platform:
        """What a tier's compute environments run jobs on; they are all of one platform."""
        return self.compute[self.tiers[tier].compute[0]].platform

    def tiers_of(self, job: str) -> list[str]:
        """The tiers that a job may be submitted to: those it names, else all that can run it."""
        settings = self.jobs[job]
        if settings.tiers is not None:
            return settings.tiers
        return [name for name in self.tiers if self.why_not(job, name) is None]

    def why_not(self, job: str, tier: str) -> str | None:
        """Say why a tier cannot run a job; None if it can."""
        settings = self.jobs[job]
        if self.platform(tier) != settings.platform:
            return f"jobs.{job}.platform is {settings.platform}"
        if settings.nodes is not None:
            for name in self.tiers[tier].compute:
                if self.compute[name].type in ("spot", "unmanaged"):
                    return f"jobs.{job}.nodes cannot run on {self.compute[name].type} compute ({name})"
        return None

    def max_vcpus(self, tier: str) -> dict[str, int]:
        """The known vCPU limits of the compute environments that a tier uses, by their paths here."""
        limits = {
            f"compute.{name}.max_vcpus": getattr(self.compute[name], "max_vcpus", None)
            for name in self.tiers[tier].compute
        }
        return {path: limit for path, limit in limits.items() if limit is not None}

    def retry(self, job: str) -> RetrySettings:
        """A job's retry policy: its own, else that of its triggers' tiers or its only tier, else the default.

        Of several tiers the one with the most attempts is taken.
        """
        own = self.jobs[job].retry
        if own is not None:
            return own
        tiers = [trigger.tier for trigger in self.triggers.values() if trigger.job == job]
        policies = [self.tiers[name].retry for name in tiers or self.jobs[job].tiers or []]
        return max(policies, key=lambda policy: policy.attempts, default=RetrySettings())

    @model_validator(mode="after")
    def _parts_fit_together(self) -> Settings:
        checks.check_all(self)
        return self
