"""The stack: settings become constructs. Wiring only."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from aws_cdk import CfnOutput, Environment, Stack
from aws_cdk import aws_ec2 as ec2
from constructs import Construct

from batch_stack.compute_environment import Ec2ComputeEnvironment, FargateComputeEnvironment
from batch_stack.job import ContainerJob
from batch_stack.network import Network
from batch_stack.notification import Notification
from batch_stack.permissions import grant_read_objects, grant_write_objects
from batch_stack.priority_tier import PriorityTier
from batch_stack.settings import QueueName, Settings
from batch_stack.storage import Storage, removal_policy
from batch_stack.trigger import ObjectTrigger


class BatchStack(Stack):
    """A batch platform: compute environments, priority tiers, jobs, buckets, triggers and notifications.

    Attributes:
        network: where jobs run.
        spot: the Spot compute environment.
        on_demand: the On-Demand compute environment.
        fargate: the Fargate compute environment.
        tiers: the queues by name: critical, standard, bulk, fargate.
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
        env: Environment | None = None,
    ) -> None:
        """Create the whole platform.

        Args:
            scope: the app.
            construct_id: the stack's name.
            settings: what to provision.
            containers_dir: holds a folder with a Dockerfile for each job.
            vpc: an existing VPC; by default one is made.
            env: account and Region; by default those of the deployment.

        Raises:
            SettingsError: a job's folder has no Dockerfile.
        """
        super().__init__(
            scope,
            construct_id,
            env=env,
            description="Batch platform: queues, compute environments, jobs and triggers on AWS Batch",
        )
        self._settings = settings
        self.network = Network(self, "Network", vpc=vpc)
        compute = settings.compute
        self.spot = Ec2ComputeEnvironment(
            self, "Spot", network=self.network, settings=compute.spot, spot=True
        )
        self.on_demand = Ec2ComputeEnvironment(
            self, "OnDemand", network=self.network, settings=compute.on_demand, spot=False
        )
        self.fargate = FargateComputeEnvironment(
            self, "Fargate", network=self.network, settings=compute.fargate
        )
        self.tiers = self._tiers()
        self.storage = Storage(self, "Storage", settings=settings.storage)
        self.jobs = {name: self._job(name, containers_dir) for name in settings.jobs}
        self.triggers = {name: self._trigger(name) for name in settings.triggers}
        self.notification = Notification(
            self,
            "Notification",
            queues=[tier.queue for tier in self.tiers.values()],
            emails=settings.notifications.emails,
        )
        self._outputs()

    def _tiers(self) -> Mapping[QueueName, PriorityTier]:
        order: dict[QueueName, list[Ec2ComputeEnvironment | FargateComputeEnvironment]] = {
            "critical": [self.on_demand],
            "standard": [self.spot, self.on_demand],
            "bulk": [self.spot],
            "fargate": [self.fargate],
        }
        return {
            name: PriorityTier(
                self,
                f"{_pascal(name)}Tier",
                compute_environments=environments,
                settings=self._settings.queue(name),
            )
            for name, environments in order.items()
        }

    def _job(self, name: str, containers_dir: Path) -> ContainerJob:
        settings = self._settings.jobs[name]
        environment = self.spot if settings.platform == "ec2" else self.fargate
        job = ContainerJob(
            self,
            f"{_pascal(name)}Job",
            name=name,
            settings=settings,
            containers_dir=containers_dir,
            retry_attempts=self._settings.retry_attempts(name),
            log_retention_days=self._settings.log_retention_days,
            architecture=environment.architecture,
            assign_public_ip=self.network.assigns_public_ip,
            removal_policy=removal_policy(self._settings.storage),
        )
        grant_read_objects(job.job_role, self.storage.input_bucket)
        grant_write_objects(job.job_role, self.storage.output_bucket)
        return job

    def _trigger(self, name: str) -> ObjectTrigger:
        settings = self._settings.triggers[name]
        return ObjectTrigger(
            self,
            f"{_pascal(name)}Trigger",
            bucket=self.storage.input_bucket,
            prefix=settings.prefix,
            output_bucket=self.storage.output_bucket,
            tier=self.tiers[settings.tier],
            job=self.jobs[settings.job],
            log_retention_days=self._settings.log_retention_days,
            removal_policy=removal_policy(self._settings.storage),
        )

    def _outputs(self) -> None:
        values = {
            "InputBucketName": self.storage.input_bucket.bucket_name,
            "OutputBucketName": self.storage.output_bucket.bucket_name,
            "NotificationTopicArn": self.notification.topic.topic_arn,
        }
        for queue_name, tier in self.tiers.items():
            values[f"{_pascal(queue_name)}QueueArn"] = tier.queue.job_queue_arn
        for job_name, job in self.jobs.items():
            values[f"{_pascal(job_name)}JobDefinitionArn"] = job.definition.job_definition_arn
        for number, trigger in enumerate(self.triggers.values(), start=1):
            suffix = "" if number == 1 else str(number)
            values[f"SubmitJobFunctionName{suffix}"] = trigger.function.function_name
        for name, value in values.items():
            CfnOutput(self, name, value=value)


def _pascal(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("-"))
