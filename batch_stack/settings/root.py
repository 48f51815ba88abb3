"""The settings of a batch platform as a whole."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, PrivateAttr, model_validator

from batch_stack.settings import checks
from batch_stack.settings.base.model import SettingsModel
from batch_stack.settings.base.values import Architecture, LogRetentionDays, PlatformCapability, TopicArn
from batch_stack.settings.compute import DEFAULT_COMPUTE, ComputeEnvironmentSettings
from batch_stack.settings.jobs import JobSettings
from batch_stack.settings.network import NetworkSettings, PublicNetworkSettings
from batch_stack.settings.retry import RetrySettings, most_attempts, retry_strategy
from batch_stack.settings.schedules import ScheduleSettings
from batch_stack.settings.storage import MessagingSettings, ResultsSettings, StorageSettings
from batch_stack.settings.submitters import SubmitterSettings
from batch_stack.settings.tiers import DEFAULT_TIERS, TierSettings
from batch_stack.settings.triggers import TriggerSettings

Email = Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+$", description="an e-mail address")]


class NotificationSettings(SettingsModel):
    """Who hears of failed jobs, blocked queues, alarms of tiers and dead-letter queues, and budgets."""

    emails: list[Email] = []
    """Addresses that are told by e-mail, once each has confirmed.
    https://docs.aws.amazon.com/sns/latest/dg/sns-email-notifications.html"""
    topic_arn: TopicArn | None = None
    """An existing topic of this Region, instead of a new one. Its policy must admit events.amazonaws.com,
    cloudwatch.amazonaws.com and, with budgets, budgets.amazonaws.com: it cannot be changed from here.
    https://docs.aws.amazon.com/sns/latest/dg/sns-access-policy-use-cases.html"""

    @model_validator(mode="after")
    def _each_once(self) -> NotificationSettings:
        for index, email in enumerate(self.emails):
            if email in self.emails[:index]:
                raise ValueError(f"emails[{index}] must differ from those before it, got {email!r}")
        return self


class ConsumableResourceSettings(SettingsModel):
    """Something that jobs share and that there is only so much of, such as licences.

    https://docs.aws.amazon.com/batch/latest/userguide/resource-aware-scheduling.html
    """

    total: Annotated[int, Field(ge=0)]
    """How much there is in all."""
    replenishable: bool = True
    """It comes back when the job has ended, as licences do; otherwise it is used up."""


class RetiredSettings(SettingsModel):
    """What may be deleted: tiers that were disabled first, and all else that no job needs any more."""

    tiers: list[str] = []
    """Tiers that were disabled, deployed so, and have no job any more."""
    compute: list[str] = []
    """Compute environments that no tier uses any more, as deployed."""
    consumable_resources: list[str] = []
    """Consumable resources that no job waits for any more."""


class Settings(SettingsModel):
    """Everything `batch.yaml` can say. Each field has a default; unknown fields are refused."""

    name: Annotated[
        str,
        Field(
            pattern=r"^[A-Za-z][A-Za-z0-9-]{0,127}$",
            description="a stack name: a letter, then letters, digits or hyphens, at most 128 characters",
        ),
    ] = "batch-stack"
    """The CloudFormation stack's name."""
    network: NetworkSettings = PublicNetworkSettings()
    """Where jobs run; by default public subnets in a VPC of their own, at no cost while idle."""
    compute: Annotated[dict[str, ComputeEnvironmentSettings], Field(min_length=1)] = DEFAULT_COMPUTE
    """Compute environments by names of your own, at most 50 in a Region; by default `spot`, `on_demand` and
    `fargate`.
    https://docs.aws.amazon.com/batch/latest/userguide/compute_environments.html"""
    consumable_resources: dict[str, ConsumableResourceSettings] = {}
    """What jobs share and there is only so much of, such as licences, by names of your own."""
    tiers: Annotated[dict[str, TierSettings], Field(min_length=1)] = DEFAULT_TIERS
    """Priority tiers, each a job queue, by names of your own, at most 50 in a Region; by default `critical`,
    `standard`, `bulk` and `fargate`.
    https://docs.aws.amazon.com/batch/latest/userguide/job_queues.html"""
    jobs: dict[str, JobSettings] = {}
    """Job definitions by names of your own.
    https://docs.aws.amazon.com/batch/latest/userguide/job_definitions.html"""
    triggers: dict[str, TriggerSettings] = {}
    """Objects of the input bucket that become jobs, by names of your own."""
    schedules: dict[str, ScheduleSettings] = {}
    """Jobs that are submitted by the clock, by names of your own."""
    submitters: dict[str, SubmitterSettings] = {}
    """Who else may submit jobs, by names of your own: teams, services, pipelines."""
    storage: StorageSettings = StorageSettings()
    """Buckets and a file system."""
    results: ResultsSettings = ResultsSettings()
    """Where jobs may put results that are not files."""
    messaging: MessagingSettings = MessagingSettings()
    """How jobs may tell others of what they did."""
    notifications: NotificationSettings = NotificationSettings()
    """Who hears of failed jobs, blocked queues, alarms of tiers and dead-letter queues, and budgets."""
    log_retention_days: LogRetentionDays = 30
    """Days that CloudWatch Logs keeps what jobs and functions write.
    https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html"""
    retired: RetiredSettings = RetiredSettings()
    """What may be deleted although the lock file has it."""
    acknowledge: list[
        Annotated[
            str,
            Field(
                pattern=r"^batch-stack:[A-Za-z0-9]+:\S+$",
                description="the id of a warning, as it stands behind it: batch-stack:<check>:<path>",
            ),
        ]
    ] = []
    """Warnings that you have read and need not see again, by the ids that stand behind them."""
    _source: str | None = PrivateAttr(None)

    @property
    def source(self) -> str | None:
        """The file that the settings were read from, for messages; none for those made in Python."""
        return self._source

    def read_from(self, source: str) -> Settings:
        """The same settings, which know where they were read."""
        settings = self.model_copy()
        settings._source = source
        return settings

    def platform_capability(self, tier: str) -> PlatformCapability:
        """What a tier's compute environments run jobs on; they all have the same."""
        return self.compute[self.tiers[tier].compute[0]].platform_capability

    def architecture(self, tier: str) -> Architecture:
        """The CPU architecture of a tier's compute environments; they all have the same."""
        return self.compute[self.tiers[tier].compute[0]].architecture

    def tiers_of(self, job: str) -> list[str]:
        """The tiers that a job may be submitted to: those it names, else all that can run it."""
        settings = self.jobs[job]
        if settings.tiers is not None:
            return settings.tiers
        return [name for name in self.tiers if self.why_not(job, name) is None]

    def led_to(self, job: str) -> dict[str, str]:
        """The tiers that triggers and schedules submit a job to, by the paths that say so."""
        by_objects = {f"triggers.{name}": (one.job, one.tier) for name, one in self.triggers.items()}
        by_clock = {f"schedules.{name}": (one.job, one.tier) for name, one in self.schedules.items()}
        return {
            f"{place}.tier": tier
            for place, (submitted, tier) in (by_objects | by_clock).items()
            if submitted == job
        }

    def why_not(self, job: str, tier: str) -> str | None:
        """Say why a tier cannot run a job; None if it can."""
        why = self._why_not_there(job, tier)
        if why is not None or self.jobs[job].any_architecture:
            return why
        candidates = self.jobs[job].tiers or self.tiers
        able = [one for one in candidates if one in self.tiers and self._why_not_there(job, one) is None]
        first = able[0] if able else tier
        own = self.architecture(first)
        if self.architecture(tier) != own:
            return (
                f"jobs.{job} is made for {own}, as its first tier, tiers.{first}, is (see jobs.{job}.tiers)"
            )
        return None

    def _why_not_there(self, job: str, tier: str) -> str | None:
        settings = self.jobs[job]
        if self.platform_capability(tier) != settings.platform:
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
        """The policy of a job's definition: its own, else that of its tiers with the most attempts."""
        own = self.jobs[job].retry
        return own or most_attempts(self.tiers[tier].retry for tier in self.tiers_of(job))

    def retry_in(self, job: str, tier: str) -> RetrySettings | None:
        """What a submission to a tier has to say instead of the definition's policy; None if that is it."""
        theirs, capability = self.tiers[tier].retry, self.jobs[job].platform
        same = retry_strategy(theirs, capability) == retry_strategy(self.retry(job), capability)
        return None if self.jobs[job].retry is not None or same else theirs

    @model_validator(mode="after")
    def _parts_fit_together(self) -> Settings:
        checks.check_all(self)
        return self
