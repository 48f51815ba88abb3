"""The batch platform: creates constructs from settings and connects them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sns as sns
from constructs import Construct

from batch_stack.common.iam import grant_read_jobs, grant_stop_jobs, warn_if_not_granted
from batch_stack.common.job_access import JobResources
from batch_stack.common.kms import platform_key
from batch_stack.common.retention import DataPolicy, removal_policy
from batch_stack.compute.base import ComputeEnvironment
from batch_stack.compute.factory import compute_environment
from batch_stack.data.buckets import bucket_names
from batch_stack.data.services import data_services
from batch_stack.jobs.consumable_resource import ConsumableResource, consumable_resources_of
from batch_stack.jobs.container_job import ContainerJob
from batch_stack.jobs.image import check_folders
from batch_stack.monitoring.notification import notification_of
from batch_stack.network.network import Network
from batch_stack.queues.priority_tier import PriorityTier
from batch_stack.settings.additions import with_buckets, with_job, with_schedule, with_trigger
from batch_stack.settings.base.errors import SettingsError
from batch_stack.settings.base.names import construct_id as pascal
from batch_stack.settings.base.names import id_of_entry
from batch_stack.settings.jobs import JobSettings
from batch_stack.settings.root import Settings
from batch_stack.settings.schedules import ScheduleSettings
from batch_stack.settings.triggers import TriggerSettings
from batch_stack.submission.object_trigger import ObjectTrigger
from batch_stack.submission.submitter import Submitter, submitters_of
from batch_stack.validation.platform import Checks
from batch_stack.validation.stack_tags import warn_of_stack_tags

if TYPE_CHECKING:
    from batch_stack.queues.budget import TierBudget
    from batch_stack.submission.schedule import JobSchedule


class BatchPlatform(Construct):
    """A batch platform: compute environments, tiers, jobs, buckets, triggers, schedules and notifications.

    It can be part of any stack; `BatchStack` is a stack with nothing else.

    Attributes:
        settings: the settings from which it was created, with the names of existing buckets and all added
            jobs, triggers and schedules.
        network: the network in which jobs run.
        compute: the compute environments by their names in the settings.
        tiers: the priority tiers by their names in the settings: ``platform.tiers["critical"]``.
        key: the KMS key that encrypts its data, a new or an existing one; None unless asked for.
        storage: the buckets.
        file_system: the file system that jobs share; None unless the settings ask for one.
        job_table: the DynamoDB table of jobs; None unless the settings ask for one.
        database: the Aurora database; None unless the settings ask for one.
        event_bus: the EventBridge bus; None unless the settings ask for one.
        work_queue: the SQS queue of work; None unless the settings ask for one.
        budgets: the budgets of tiers that have one, by the tiers' names.
        consumable_resources: limited resources that jobs share, by their names in the settings.
        jobs: the job definitions by their names in the settings, and those of `add_job`.
        triggers: the triggers by their names in the settings, and those of `add_trigger`.
        schedules: the schedules by their names in the settings, and those of `add_schedule`.
        submitters: the policies of other submitters by their names in the settings.
        notification: the topic for messages about tiers, triggers and schedules.
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
        input_bucket: s3.IBucket | None = None,
        output_bucket: s3.IBucket | None = None,
        topic: sns.ITopic | None = None,
    ) -> None:
        """Creates the whole platform.

        Args:
            scope: a stack, or a construct in one.
            construct_id: this construct's id within it.
            settings: the settings to provision.
            containers_dir: a folder that contains a folder with a Dockerfile for each job whose image is
                built here; only such jobs need it.
            vpc: an existing VPC; by default one is created, or found by its id, as the settings say. If it is
                given, the settings must have no `network`.
            subnets: the subnets for jobs in `vpc`; by default its private subnets with egress, else its
                public ones.
            key: an existing KMS key for all data, whose policy is changed if CDK can change it; by default
                one is created, or found by its ARN, as the settings say.
            input_bucket: an existing bucket for input; by default one is created, or found by its name, as
                the settings say. It must send its events to Amazon EventBridge; a warning reminds you. Jobs
                may use the key of an imported bucket only if it is imported with `encryption_key`.
            output_bucket: an existing bucket for output; by default one is created, or found by its name, as
                the settings say. For its key, the same applies; it needs no events.
            topic: an existing SNS topic for messages; by default one is created, or found by its ARN, as the
                settings say.

        Raises:
            SettingsError: a check before deployment found something that cannot work; or a job's folder has
                no Dockerfile, or there is no containers_dir for it; or there are two networks, keys, topics
                or buckets for one purpose.
            ValueError: the VPC has no such subnet.
        """
        super().__init__(scope, construct_id)
        self._containers_dir = containers_dir
        tier_key = platform_key(self, settings, key)
        self.key = tier_key if key is not None or settings.storage.has_key else None
        self._data_policy = DataPolicy(
            removal_policy=removal_policy(settings.storage),
            log_retention_days=settings.log_retention_days,
            key=self.key,
        )
        storage = with_buckets(settings.storage, **bucket_names(input_bucket, output_bucket))
        self.settings = settings.model_copy(update={"storage": storage})
        self.network = self._network(vpc, subnets)
        self._checks = Checks(self, self.network.given() if vpc is not None else None)
        self._checks.run(self.settings)
        check_folders(settings.jobs, containers_dir)
        warn_of_stack_tags(self)
        self.compute: Mapping[str, ComputeEnvironment] = MappingProxyType(self._compute())
        self.notification = notification_of(
            self, settings.notifications, topic=topic, data_policy=self._data_policy
        )
        # A tier's budget may need a key although the rest of the platform has none: see `platform_key`.
        self._create_tiers(replace(self._data_policy, key=tier_key))
        self._create_data_services(settings, input_bucket, output_bucket)
        self._create_jobs()

    def _create_tiers(self, data_policy: DataPolicy) -> None:
        """Creates the tiers, and sets `budgets`."""
        tiers = {
            name: PriorityTier(
                self,
                id_of_entry("tiers", name),
                compute_environments=self.compute,
                settings=tier,
                name=name,
                notification=self.notification,
                data_policy=data_policy,
                is_checked=True,
            )
            for name, tier in self.settings.tiers.items()
        }
        self.tiers: Mapping[str, PriorityTier] = MappingProxyType(tiers)
        self.budgets: Mapping[str, TierBudget] = MappingProxyType(
            {name: tier.budget for name, tier in tiers.items() if tier.budget is not None}
        )

    def _create_data_services(
        self, settings: Settings, input_bucket: s3.IBucket | None, output_bucket: s3.IBucket | None
    ) -> None:
        """Creates the buckets and all other data services."""
        data = data_services(
            self,
            settings=settings,
            network=self.network,
            notification=self.notification,
            data_policy=self._data_policy,
            input_bucket=input_bucket,
            output_bucket=output_bucket,
        )
        self.storage, self.file_system, self.job_table = data.storage, data.file_system, data.job_table
        self.database, self.event_bus, self.work_queue = data.database, data.event_bus, data.work_queue
        self._services = data.for_jobs()

    def _create_jobs(self) -> None:
        """Creates the jobs, triggers, schedules and submitters."""
        settings = self.settings
        self.consumable_resources: Mapping[str, ConsumableResource] = MappingProxyType(
            consumable_resources_of(self, settings.consumable_resources)
        )
        self._jobs = {name: self._job(name, job) for name, job in settings.jobs.items()}
        self.jobs: Mapping[str, ContainerJob] = MappingProxyType(self._jobs)
        self._triggers = {name: self._trigger(name, one) for name, one in settings.triggers.items()}
        self.triggers: Mapping[str, ObjectTrigger] = MappingProxyType(self._triggers)
        self._schedules = {name: self._schedule(name, one) for name, one in settings.schedules.items()}
        self.schedules: Mapping[str, JobSchedule] = MappingProxyType(self._schedules)
        self.submitters: Mapping[str, Submitter] = MappingProxyType(submitters_of(self, settings.submitters))
        for name in self._jobs:
            self._add_to_submitters(name)

    def add_job(
        self,
        name: str,
        settings: JobSettings,
        *,
        containers_dir: Path | None = None,
        resources: Sequence[JobResources] = (),
    ) -> ContainerJob:
        """Adds a job definition to the platform, as if the settings had it under `jobs`.

        Args:
            name: the job's name, which no other job has.
            settings: the job.
            containers_dir: a folder that contains the folder with its Dockerfile; by default that of the
                platform.
            resources: the resources that it may use besides the platform's services that `uses` of its
                settings names.

        Returns:
            The job, which `jobs` contains, too.

        Raises:
            SettingsError: no tier can run it, it does not fit the rest of the settings, or its folder has no
                Dockerfile.
        """
        whole = with_job(self.settings, name, settings)
        check_folders({name: settings}, containers_dir or self._containers_dir)
        self._checks.run(whole)
        self.settings = whole
        self._jobs[name] = self._job(name, settings, containers_dir, resources)
        self._add_to_submitters(name)
        self._on_added()
        return self._jobs[name]

    def add_trigger(self, name: str, settings: TriggerSettings) -> ObjectTrigger:
        """Adds a trigger to the platform, as if the settings had it under `triggers`.

        Args:
            name: the trigger's name, which no other trigger has.
            settings: which objects become which jobs: jobs of the settings or of `add_job`.

        Returns:
            The trigger, which `triggers` contains, too.

        Raises:
            SettingsError: the job or the tier does not exist, or one does not fit the other.
        """
        whole = with_trigger(self.settings, name, settings)
        self._checks.run(whole)
        self.settings = whole
        self._triggers[name] = self._trigger(name, settings)
        self._on_added()
        return self._triggers[name]

    def add_schedule(self, name: str, settings: ScheduleSettings) -> JobSchedule:
        """Adds a schedule to the platform, as if the settings had it under `schedules`.

        Args:
            name: the schedule's name, which no other schedule has.
            settings: the times, and the job that is submitted: a job of the settings or of `add_job`.

        Returns:
            The schedule, which `schedules` contains, too.

        Raises:
            SettingsError: the job or the tier does not exist, or one does not fit the other.
        """
        whole = with_schedule(self.settings, name, settings)
        self._checks.run(whole)
        self.settings = whole
        self._schedules[name] = self._schedule(name, settings)
        return self._schedules[name]

    def _on_added(self) -> None:
        """Runs after a job or a trigger was added; subclasses may override it."""

    def grant_read_jobs(self, grantee: iam.IGrantable) -> iam.Grant:
        """Allows describing and listing the jobs of every queue: AWS has no narrower permission.

        Args:
            grantee: the principal that may describe and list them.

        Returns:
            The grant.
        """
        grant = grant_read_jobs(grantee)
        warn_if_not_granted(self, grantee, "ask how jobs are doing")
        return grant

    def grant_stop_jobs(self, grantee: iam.IGrantable, *, tags: Mapping[str, str]) -> iam.Grant:
        """Allows cancelling and terminating the jobs that have some tags.

        A principal that may also tag jobs, by `ContainerJob.grant_submit`, can tag and then stop jobs that
        have none of these keys, but not jobs that have one of them with another value. So tag every job with
        its team.

        Args:
            grantee: the principal that may stop them.
            tags: the tags that a job must have, all of them; `ContainerJob.grant_submit` can allow them.

        Returns:
            The grant.

        Raises:
            ValueError: no tag is given.
        """
        grant = grant_stop_jobs(grantee, self, tags=tags)
        warn_if_not_granted(self, grantee, "stop jobs")
        return grant

    def _network(self, vpc: ec2.IVpc | None, subnets: ec2.SubnetSelection | None) -> Network:
        settings = self.settings
        if vpc is not None:
            if "network" in settings.model_fields_set:
                raise SettingsError(
                    "network must not be given together with vpc, which replaces it, got mode "
                    f"{settings.network.mode!r} at {self.node.path}: leave it out of the settings, or leave "
                    "out vpc"
                )
            return Network.from_vpc(self, "Network", vpc, subnets=subnets)
        if subnets is not None:
            raise SettingsError(
                f"subnets must be given together with vpc, whose subnets they select at {self.node.path}"
            )
        return Network(
            self,
            "Network",
            settings=settings.network,
            keeps_data=settings.storage.file_system is not None or settings.results.database is not None,
            data_policy=self._data_policy,
        )

    def _compute(self) -> dict[str, ComputeEnvironment]:
        return {
            name: compute_environment(self, id_of_entry("compute", name), network=self.network, settings=one)
            for name, one in self.settings.compute.items()
        }

    def _job(
        self,
        name: str,
        settings: JobSettings,
        containers_dir: Path | None = None,
        resources: Sequence[JobResources] = (),
    ) -> ContainerJob:
        return ContainerJob(
            self,
            id_of_entry("jobs", name),
            name=name,
            settings=settings,
            containers_dir=containers_dir or self._containers_dir,
            tiers=[self.tiers[tier] for tier in self.settings.tiers_of(name)],
            assign_public_ip=self.network.assigns_public_ip,
            # In the platform's order: reordering the settings must not create a new revision.
            resources=[
                *(given for service, given in self._services.items() if service in settings.uses),
                *resources,
            ],
            file_system=self.file_system,
            consumable_resources=self.consumable_resources,
            data_policy=self._data_policy,
            is_checked=True,
        )

    def _add_to_submitters(self, job: str) -> None:
        """Lets submitters submit a job if their settings name the job, or name no jobs."""
        for name, submitter in self.submitters.items():
            named = self.settings.submitters[name].jobs
            tiers = self.settings.tiers_for(name, job)
            if tiers and (named is None or job in named):
                submitter.add_job(self.jobs[job], *(self.tiers[tier] for tier in tiers))

    def _trigger(self, name: str, settings: TriggerSettings) -> ObjectTrigger:
        trigger = ObjectTrigger(
            self,
            id_of_entry("triggers", name),
            bucket=self.storage.input_bucket,
            output_bucket=self.storage.output_bucket,
            job=self.jobs[settings.job],
            tier=self.tiers[settings.tier],
            prefix=settings.prefix,
            share=settings.share,
            parameters=settings.parameters,
            output_prefix=settings.output_prefix,
            data_policy=self._data_policy,
        )
        self.notification.notify_on_dead_letters(pascal(name), trigger.dead_letter_queue)
        return trigger

    def _schedule(self, name: str, settings: ScheduleSettings) -> JobSchedule:
        # Imported here, because most platforms have no schedule, and its module of aws_cdk loads slowly.
        from batch_stack.submission.schedule import JobSchedule  # noqa: PLC0415

        schedule = JobSchedule(
            self,
            id_of_entry("schedules", name),
            name=name,
            expression=settings.expression,
            job=self.jobs[settings.job],
            tier=self.tiers[settings.tier],
            time_zone=settings.given_time_zone,
            share=settings.share,
            parameters=settings.parameters,
            state=settings.state,
            data_policy=self._data_policy,
        )
        self.notification.notify_on_dead_letters(f"{pascal(name)}Schedule", schedule.dead_letter_queue)
        return schedule
