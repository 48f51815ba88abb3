"""The batch platform: settings become constructs. Wiring only."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from aws_cdk import aws_ec2 as ec2
from constructs import Construct

from batch_stack.compute_environment import (
    ComputeEnvironment,
    Ec2ComputeEnvironment,
    FargateComputeEnvironment,
)
from batch_stack.job import ContainerJob
from batch_stack.network import Network
from batch_stack.notification import Notification
from batch_stack.permissions import grant_read_objects, grant_write_objects
from batch_stack.priority_tier import PriorityTier
from batch_stack.settings import (
    ComputeEnvironmentSettings,
    Ec2Settings,
    FargateSettings,
    JobSettings,
    Settings,
    SettingsError,
    TriggerSettings,
)
from batch_stack.settings.checks import construct_id as pascal
from batch_stack.storage import Storage, removal_policy
from batch_stack.trigger import ObjectTrigger


class BatchPlatform(Construct):
    """A batch platform: compute environments, priority tiers, jobs, buckets, triggers and notifications.

    It goes into any stack, beside that stack's own resources; `BatchStack` is a stack with nothing else.

    Attributes:
        settings: what it was made from.
        network: where jobs run.
        compute: the compute environments by their names in the settings.
        tiers: the priority tiers by their names in the settings: ``platform.tiers["critical"]``.
        storage: the buckets.
        jobs: the job definitions by their names in the settings.
        triggers: what submits jobs, by their names in the settings.
        notification: the topic and its rules.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        settings: Settings,
        containers_dir: Path,
        vpc: ec2.IVpc | None = None,
        subnets: ec2.SubnetSelection | None = None,
    ) -> None:
        """Create the whole platform.

        Args:
            scope: a stack, or a construct in one.
            construct_id: this construct's id within it.
            settings: what to provision.
            containers_dir: holds a folder with a Dockerfile for each job whose image is built here.
            vpc: an existing VPC; by default one is made, or named, as the settings say.
            subnets: where jobs run in an existing VPC; by default its private subnets with egress, else its
                public ones.

        Raises:
            SettingsError: a job's folder has no Dockerfile.
            ValueError: the VPC has no such subnet.
        """
        super().__init__(scope, construct_id)
        self.settings = settings
        self._containers_dir = containers_dir
        self.network = Network(self, "Network", vpc=vpc, subnets=subnets)
        self.compute: Mapping[str, ComputeEnvironment] = MappingProxyType(
            {name: self._compute_environment(name, one) for name, one in settings.compute.items()}
        )
        self.tiers: Mapping[str, PriorityTier] = MappingProxyType(
            {
                name: PriorityTier(
                    self,
                    f"{pascal(name)}Tier",
                    compute_environments=[self.compute[compute] for compute in tier.compute],
                    settings=tier,
                )
                for name, tier in settings.tiers.items()
            }
        )
        self.storage = Storage(self, "Storage", settings=settings.storage)
        self.jobs: Mapping[str, ContainerJob] = MappingProxyType(
            {name: self._job(name, job) for name, job in settings.jobs.items()}
        )
        self.triggers: Mapping[str, ObjectTrigger] = MappingProxyType(
            {name: self._trigger(name, trigger) for name, trigger in settings.triggers.items()}
        )
        self.notification = Notification(
            self,
            "Notification",
            queues=[tier.queue for tier in self.tiers.values()],
            emails=settings.notifications.emails,
            dead_letter_queues={
                pascal(name): trigger.dead_letter_queue for name, trigger in self.triggers.items()
            },
            removal_policy=removal_policy(settings.storage),
        )

    def _compute_environment(self, name: str, settings: ComputeEnvironmentSettings) -> ComputeEnvironment:
        construct_id = f"{pascal(name)}Compute"
        if isinstance(settings, Ec2Settings):
            return Ec2ComputeEnvironment(self, construct_id, network=self.network, settings=settings)
        if isinstance(settings, FargateSettings):
            return FargateComputeEnvironment(self, construct_id, network=self.network, settings=settings)
        raise SettingsError(f"compute.{name}.type {settings.type} is not provisioned yet")

    def _architecture(self, name: str) -> ComputeEnvironment:
        tier = self.settings.tiers_of(name)[0]
        return self.compute[self.settings.tiers[tier].compute[0]]

    def _job(self, name: str, settings: JobSettings) -> ContainerJob:
        job = ContainerJob(
            self,
            f"{pascal(name)}Job",
            name=name,
            settings=settings,
            containers_dir=self._containers_dir,
            retry=self.settings.retry(name),
            log_retention_days=settings.log_retention_days or self.settings.log_retention_days,
            architecture=self._architecture(name).architecture,
            assign_public_ip=self.network.assigns_public_ip,
            removal_policy=removal_policy(self.settings.storage),
        )
        grant_read_objects(job.job_role, self.storage.input_bucket)
        grant_write_objects(job.job_role, self.storage.output_bucket)
        return job

    def _trigger(self, name: str, settings: TriggerSettings) -> ObjectTrigger:
        return ObjectTrigger(
            self,
            f"{pascal(name)}Trigger",
            bucket=self.storage.input_bucket,
            prefix=settings.prefix,
            output_bucket=self.storage.output_bucket,
            tier=self.tiers[settings.tier],
            job=self.jobs[settings.job],
            log_retention_days=self.settings.log_retention_days,
            removal_policy=removal_policy(self.settings.storage),
        )
