"""All sections of the settings, each checked by itself."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from batch_stack.settings.base.model import SettingsModel
from batch_stack.settings.base.values import LogRetentionDays, TopicArn
from batch_stack.settings.compute.kinds import DEFAULT_COMPUTE, ComputeEnvironmentSettings
from batch_stack.settings.jobs import JobSettings
from batch_stack.settings.network import NetworkSettings, PublicNetworkSettings
from batch_stack.settings.schedules import ScheduleSettings
from batch_stack.settings.services import DataService
from batch_stack.settings.storage import MessagingSettings, ResultsSettings, StorageSettings
from batch_stack.settings.submitters import SubmitterSettings
from batch_stack.settings.tiers import DEFAULT_TIERS, TierSettings
from batch_stack.settings.triggers import TriggerSettings
from batch_stack.settings.workload import Workload

Email = Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+$", description="an e-mail address")]


class NotificationSettings(SettingsModel):
    """The receivers of messages about failed jobs, blocked queues, alarms, dead-letter queues and budgets."""

    emails: list[Email] = []
    """Addresses that get e-mails, once each has confirmed.
    https://docs.aws.amazon.com/sns/latest/dg/sns-email-notifications.html"""
    topic_arn: TopicArn | None = None
    """An existing topic of this Region, instead of a new one. Its policy must admit events.amazonaws.com,
    cloudwatch.amazonaws.com and, with budgets, budgets.amazonaws.com, because the platform cannot change it.
    https://docs.aws.amazon.com/sns/latest/dg/sns-access-policy-use-cases.html"""

    @model_validator(mode="after")
    def _each_once(self) -> NotificationSettings:
        for index, email in enumerate(self.emails):
            if email in self.emails[:index]:
                raise ValueError(f"emails[{index}] must differ from those before it, got {email!r}")
        return self


class ConsumableResourceSettings(SettingsModel):
    """A limited quantity that jobs share, such as licences.

    https://docs.aws.amazon.com/batch/latest/userguide/resource-aware-scheduling.html
    """

    total: Annotated[int, Field(ge=0)]
    """The whole quantity."""
    replenishable: bool = True
    """Whether jobs give it back when they end, as with licences; otherwise they use it up."""


class RetiredSettings(SettingsModel):
    """Tiers, compute environments and consumable resources that a deployment may delete."""

    tiers: list[str] = []
    """Tiers that were deployed with state disabled and have no jobs any more."""
    compute: list[str] = []
    """Compute environments that no deployed tier uses any more."""
    consumable_resources: list[str] = []
    """Consumable resources that no job waits for any more."""


class Sections(SettingsModel, Workload):
    """The sections of `batch.yaml`, each checked by itself. `Settings` checks them against each other."""

    name: Annotated[
        str,
        Field(
            pattern=r"^[A-Za-z][A-Za-z0-9-]{0,127}$",
            description="a stack name: a letter, then letters, digits or hyphens, at most 128 characters",
        ),
    ] = "batch-stack"
    """The CloudFormation stack's name."""
    network: NetworkSettings = PublicNetworkSettings()
    """The network of the jobs; by default public subnets in a new VPC, at no cost while idle."""
    compute: Annotated[dict[str, ComputeEnvironmentSettings], Field(min_length=1)] = DEFAULT_COMPUTE
    """Compute environments by names of your own, at most 50 in a Region; by default `spot`, `on_demand` and
    `fargate`.
    https://docs.aws.amazon.com/batch/latest/userguide/compute_environments.html"""
    consumable_resources: dict[str, ConsumableResourceSettings] = {}
    """Limited quantities that jobs share, such as licences, by names of your own."""
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
    """Times at which jobs are submitted, by names of your own."""
    submitters: dict[str, SubmitterSettings] = {}
    """Teams, services and pipelines that may submit jobs, by names of your own."""
    storage: StorageSettings = StorageSettings()
    """Buckets and a file system."""
    results: ResultsSettings = ResultsSettings()
    """A table and a database for results that are not files."""
    messaging: MessagingSettings = MessagingSettings()
    """An event bus and a queue by which jobs may inform other systems."""
    notifications: NotificationSettings = NotificationSettings()
    """The receivers of messages about failed jobs, blocked queues, alarms, dead-letter queues and budgets."""
    log_retention_days: LogRetentionDays = 30
    """Days that CloudWatch Logs keeps the logs of jobs and functions.
    https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html"""
    retired: RetiredSettings = RetiredSettings()
    """Entries of the lock file that a deployment may delete."""
    acknowledge: list[
        Annotated[
            str,
            Field(
                pattern=r"^batch-stack:[A-Za-z0-9]+:\S+$",
                description="the id with which a warning ends: batch-stack:<check>:<path>",
            ),
        ]
    ] = []
    """Warnings that you have read and need not see again. A warning ends with its id."""

    @property
    def services(self) -> list[DataService]:
        """The data services that the platform has."""
        storage, results, messaging = self.storage, self.results, self.messaging
        optional: dict[DataService, bool] = {
            "scratch_bucket": storage.has_scratch_bucket,
            "job_table": results.job_table,
            "database": results.database is not None,
            "event_bus": messaging.event_bus,
            "work_queue": messaging.work_queue,
        }
        return ["input_bucket", "output_bucket", *(name for name, wanted in optional.items() if wanted)]

    def users_of(self, service: DataService) -> list[str]:
        """Returns the names of the jobs that use a data service."""
        return [name for name, job in self.jobs.items() if service in job.uses]

    def tiers_for(self, submitter: str, job: str) -> list[str]:
        """Returns the tiers that a submitter may submit a job to."""
        wanted = self.submitters[submitter].tiers
        return [tier for tier in self.tiers_of(job) if wanted is None or tier in wanted]
