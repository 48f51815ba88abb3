"""The batch platform: settings become constructs. Wiring only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns
from constructs import Construct

from batch_stack.common.grantees import warn_if_not_granted
from batch_stack.common.iam import grant_read_jobs, grant_stop_jobs
from batch_stack.common.job_access import JobResources
from batch_stack.common.platform_key import platform_key
from batch_stack.compute.base import ComputeEnvironment
from batch_stack.compute.factory import compute_environment
from batch_stack.data.buckets import Storage, removal_policy
from batch_stack.data.services import DataServices, data_services
from batch_stack.jobs.consumable_resource import ConsumableResource
from batch_stack.jobs.container_job import ContainerJob
from batch_stack.jobs.image import check_folders
from batch_stack.monitoring.notification import Notification
from batch_stack.network.network import Network
from batch_stack.preflight.given import given_network
from batch_stack.queues.priority_tier import PriorityTier
from batch_stack.settings.additions import with_job, with_schedule, with_trigger
from batch_stack.settings.base.errors import SettingsError
from batch_stack.settings.base.names import construct_id as pascal
from batch_stack.settings.jobs import JobSettings
from batch_stack.settings.root import Settings
from batch_stack.settings.schedules import ScheduleSettings
from batch_stack.settings.submitters import tiers_for
from batch_stack.settings.triggers import TriggerSettings
from batch_stack.submission.object_trigger import ObjectTrigger
from batch_stack.submission.submitter import Submitter
from batch_stack.validation.platform import Checks
from batch_stack.validation.stack_tags import warn_of_stack_tags

if TYPE_CHECKING:
    from batch_stack.queues.budget import TierBudget
    from batch_stack.submission.schedule import JobSchedule


class BatchPlatform(Construct):
    """A batch platform: compute environments, tiers, jobs, buckets, triggers, schedules and notifications.

    It goes into any stack, beside that stack's own resources; `BatchStack` is a stack with nothing else.

    Attributes:
        settings: what it was made from.
        network: where jobs run.
        compute: the compute environments by their names in the settings.
        tiers: the priority tiers by their names in the settings: ``platform.tiers["critical"]``.
        key: the KMS key, its own or an existing one, which encrypts its data; None unless asked for.
        storage: the buckets.
        file_system: the file system that jobs share; None unless the settings ask for one.
        job_table: the DynamoDB table of jobs; None likewise.
        database: the Aurora database; None likewise.
        event_bus: the EventBridge bus; None likewise.
        work_queue: the SQS queue of work; None likewise.
        budgets: the budgets of tiers that have one, by the tiers' names.
        consumable_resources: what jobs share and there is only so much of, by their names in the settings.
        jobs: the job definitions by their names in the settings, and those of `add_job`.
        triggers: what submits jobs, by their names in the settings, and those of `add_trigger`.
        schedules: jobs by the clock, by their names in the settings, and those of `add_schedule`.
        submitters: who else may submit jobs, by their names in the settings.
        notification: the topic, which hears of what tiers, triggers and schedules watch.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        settings: Settings,
        containers_dir: Path | None = None,
        vpc: ec2.IVpc | None = None,
        subnets: ec2.SubnetSelection | None = None,
        key: kms.IKey | None = None,
    ) -> None:
        """Create the whole platform.

        Args:
            scope: a stack, or a construct in one.
            construct_id: this construct's id within it.
            settings: what to provision.
            containers_dir: holds a folder with a Dockerfile for each job whose image is built here; only
                such jobs need it.
            vpc: an existing VPC; by default one is made, or named, as the settings say. With one the settings
                have no `network`.
            subnets: where jobs run in an existing VPC; by default its private subnets with egress, else its
                public ones.
            key: an existing KMS key for all data, whose policy is amended where it can be; by default one is
                made, or named, as the settings say.

        Raises:
            SettingsError: a check before deployment found what cannot work, or a job's folder has no
                Dockerfile, or there is no containers_dir for it, or there are two networks or two keys.
            ValueError: the VPC has no such subnet.
        """
        super().__init__(scope, construct_id)
        if vpc is not None and "network" in settings.model_fields_set:
            raise SettingsError(
                "network must not be given together with vpc, beside which it would do nothing, got mode "
                f"{settings.network.mode!r} at {self.node.path}: leave it out of the settings, or leave out "
                "vpc"
            )
        self.settings = settings
        self._containers_dir = containers_dir
        self._key = platform_key(self, settings, key)
        self.key = self._key if key is not None or settings.storage.has_key else None
        self.network = Network(
            self,
            "Network",
            settings=settings.network,
            vpc=vpc,
            subnets=subnets,
            keeps_data=settings.storage.file_system is not None or settings.results.database is not None,
            log_retention_days=settings.log_retention_days,
            removal_policy=removal_policy(settings.storage),
            key=self.key,
        )
        self._checks = Checks(self)
        if vpc is not None:
            self._checks.given = given_network(self.network)
        self._checks.run(settings)
        check_folders(settings.jobs, containers_dir)
        warn_of_stack_tags(self)
        self.compute: Mapping[str, ComputeEnvironment] = MappingProxyType(self._compute())
        self.notification = self._notification()
        self.tiers: Mapping[str, PriorityTier] = MappingProxyType(self._tiers())
        self.budgets: Mapping[str, TierBudget] = MappingProxyType(
            {name: tier.budget for name, tier in self.tiers.items() if tier.budget is not None}
        )
        self.storage = Storage(
            self,
            "Storage",
            settings=settings.storage,
            key=self.key,
            log_retention_days=settings.log_retention_days,
        )
        data = self._data_services()
        self.file_system, self.job_table, self.database = data.file_system, data.job_table, data.database
        self.event_bus, self.work_queue = data.event_bus, data.work_queue
        self._services = {**self.storage.for_jobs(), **data.for_jobs()}
        self.consumable_resources: Mapping[str, ConsumableResource] = MappingProxyType(self._consumables())
        self._jobs = {name: self._job(name, job) for name, job in settings.jobs.items()}
        self.jobs: Mapping[str, ContainerJob] = MappingProxyType(self._jobs)
        self._triggers = {name: self._trigger(name, one) for name, one in settings.triggers.items()}
        self.triggers: Mapping[str, ObjectTrigger] = MappingProxyType(self._triggers)
        self._schedules = {name: self._schedule(name, one) for name, one in settings.schedules.items()}
        self.schedules: Mapping[str, JobSchedule] = MappingProxyType(self._schedules)
        self.submitters: Mapping[str, Submitter] = MappingProxyType(self._submitters())

    def add_job(
        self,
        name: str,
        settings: JobSettings,
        *,
        containers_dir: Path | None = None,
        resources: Sequence[JobResources] = (),
    ) -> ContainerJob:
        """Add a job definition to the platform, as if the settings had it under `jobs`.

        Args:
            name: its name, which no other job has.
            settings: the job.
            containers_dir: holds the folder with its Dockerfile; by default where the platform's own are.
            resources: what it may use besides the platform's services, which `uses` of its settings names.

        Returns:
            The job; it is in `jobs`, too.

        Raises:
            SettingsError: no tier can run it, it does not fit the rest of the settings, or its folder has no
                Dockerfile.
        """
        whole = with_job(self.settings, name, settings)
        check_folders({name: settings}, containers_dir or self._containers_dir)
        self._checks.run(whole)
        self.settings = whole
        self._jobs[name] = self._job(name, settings, containers_dir, resources)
        for who, submitter in self.submitters.items():
            self._allow(who, submitter, name)
        self._has_grown()
        return self._jobs[name]

    def add_trigger(self, name: str, settings: TriggerSettings) -> ObjectTrigger:
        """Add a trigger to the platform, as if the settings had it under `triggers`.

        Args:
            name: its name, which no other trigger has.
            settings: which objects become which jobs, of the settings or of `add_job`.

        Returns:
            The trigger; it is in `triggers`, too.

        Raises:
            SettingsError: the job or the tier does not exist, or one does not fit the other.
        """
        whole = with_trigger(self.settings, name, settings)
        self._checks.run(whole)
        self.settings = whole
        self._triggers[name] = self._trigger(name, settings)
        self._has_grown()
        return self._triggers[name]

    def add_schedule(self, name: str, settings: ScheduleSettings) -> JobSchedule:
        """Add a schedule to the platform, as if the settings had it under `schedules`.

        Args:
            name: its name, which no other schedule has.
            settings: when which job is submitted, one of the settings or of `add_job`.

        Returns:
            The schedule; it is in `schedules`, too.

        Raises:
            SettingsError: the job or the tier does not exist, or one does not fit the other.
        """
        whole = with_schedule(self.settings, name, settings)
        self._checks.run(whole)
        self.settings = whole
        self._schedules[name] = self._schedule(name, settings)
        return self._schedules[name]

    def _has_grown(self) -> None:
        """Whatever a subclass does when a job or a trigger has been added."""

    def grant_read_jobs(self, grantee: iam.IGrantable) -> None:
        """Allow asking how jobs are doing: those of every queue, for AWS knows no narrower permission.

        Args:
            grantee: who may ask.
        """
        grant_read_jobs(grantee)
        warn_if_not_granted(self, grantee, "ask how jobs are doing")

    def grant_stop_jobs(self, grantee: iam.IGrantable, *, tags: Mapping[str, str]) -> None:
        """Allow cancelling and terminating the jobs that were submitted with some tags.

        Who may tag jobs as well, by `ContainerJob.grant_submit`, can tag and then stop those that have none
        of these keys; not those that have one with another value. So give every job a value of its own team.

        Args:
            grantee: who may stop them.
            tags: what a job must be tagged with, all of it; `ContainerJob.grant_submit` can allow that.

        Raises:
            ValueError: no tag is given.
        """
        grant_stop_jobs(grantee, self, tags=tags)
        warn_if_not_granted(self, grantee, "stop jobs")

    def _compute(self) -> dict[str, ComputeEnvironment]:
        return {
            name: compute_environment(self, f"{pascal(name)}Compute", network=self.network, settings=one)
            for name, one in self.settings.compute.items()
        }

    def _notification(self) -> Notification:
        settings = self.settings.notifications
        topic = settings.topic_arn and sns.Topic.from_topic_arn(self, "ExistingTopic", settings.topic_arn)
        return Notification(
            self,
            "Notification",
            emails=settings.emails,
            topic=topic or None,
            removal_policy=removal_policy(self.settings.storage),
            key=self.key,
        )

    def _tiers(self) -> dict[str, PriorityTier]:
        return {
            name: PriorityTier(
                self,
                f"{pascal(name)}Tier",
                compute_environments=self.compute,
                settings=tier,
                name=name,
                notification=self.notification,
                log_retention_days=self.settings.log_retention_days,
                removal_policy=removal_policy(self.settings.storage),
                key=self._key,
            )
            for name, tier in self.settings.tiers.items()
        }

    def _data_services(self) -> DataServices:
        return data_services(
            self, settings=self.settings, network=self.network, notification=self.notification, key=self.key
        )

    def _consumables(self) -> dict[str, ConsumableResource]:
        return {
            name: ConsumableResource(self, f"{pascal(name)}Consumable", settings=one)
            for name, one in self.settings.consumable_resources.items()
        }

    def _job(
        self,
        name: str,
        settings: JobSettings,
        containers_dir: Path | None = None,
        resources: Sequence[JobResources] = (),
    ) -> ContainerJob:
        tiers = self.settings.tiers_of(name)
        return ContainerJob(
            self,
            f"{pascal(name)}Job",
            name=name,
            settings=settings,
            containers_dir=containers_dir or self._containers_dir,
            log_retention_days=settings.log_retention_days or self.settings.log_retention_days,
            architecture=self.settings.architecture(tiers[0]),
            assign_public_ip=self.network.assigns_public_ip,
            removal_policy=removal_policy(self.settings.storage),
            tiers=[self.tiers[tier] for tier in tiers],
            # In the platform's order: that of the settings would make a new definition and change nothing.
            resources=[
                *(given for service, given in self._services.items() if service in settings.uses),
                *resources,
            ],
            file_system=self.file_system,
            consumable_resources=self.consumable_resources,
            key=self.key,
        )

    def _submitters(self) -> dict[str, Submitter]:
        made = {}
        for name, settings in self.settings.submitters.items():
            made[name] = Submitter(self, f"{pascal(name)}Submitter", settings=settings)
            for job in self.jobs:
                self._allow(name, made[name], job)
        return made

    def _allow(self, who: str, submitter: Submitter, job: str) -> None:
        named = self.settings.submitters[who].jobs
        tiers = tiers_for(self.settings, who, job)
        if tiers and (named is None or job in named):
            submitter.allow(self.jobs[job], *(self.tiers[tier] for tier in tiers))

    def _trigger(self, name: str, settings: TriggerSettings) -> ObjectTrigger:
        trigger = ObjectTrigger(
            self,
            f"{pascal(name)}Trigger",
            bucket=self.storage.input_bucket,
            prefix=settings.prefix,
            output_bucket=self.storage.output_bucket,
            tier=self.tiers[settings.tier],
            job=self.jobs[settings.job],
            log_retention_days=self.settings.log_retention_days,
            removal_policy=removal_policy(self.settings.storage),
            share=settings.share,
            parameters=settings.parameters,
            output_prefix=settings.output_prefix,
            key=self.key,
        )
        self.notification.watch_dead_letters(pascal(name), trigger.dead_letter_queue)
        return trigger

    def _schedule(self, name: str, settings: ScheduleSettings) -> JobSchedule:
        # Here, because most platforms have none, and its module of aws_cdk takes its time.
        from batch_stack.submission.schedule import JobSchedule  # noqa: PLC0415

        schedule = JobSchedule(
            self,
            f"{pascal(name)}Schedule",
            name=name,
            settings=settings,
            job=self.jobs[settings.job],
            tier=self.tiers[settings.tier],
            removal_policy=removal_policy(self.settings.storage),
            key=self.key,
        )
        self.notification.watch_dead_letters(f"{pascal(name)}Schedule", schedule.dead_letter_queue)
        return schedule
