"""The stack: settings become constructs. Wiring only."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import jsii
from aws_cdk import Annotations, CfnOutput, Environment, Stack
from aws_cdk import aws_ec2 as ec2
from constructs import Construct, IValidation

from batch_stack.compute_environment import Ec2ComputeEnvironment, FargateComputeEnvironment
from batch_stack.job import ContainerJob
from batch_stack.network import Network
from batch_stack.notification import Notification
from batch_stack.permissions import grant_read_objects, grant_write_objects
from batch_stack.priority_tier import PriorityTier
from batch_stack.settings import COMPUTE_ENVIRONMENTS, QueueName, Settings
from batch_stack.settings_checks import construct_id as pascal
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
        subnets: ec2.SubnetSelection | None = None,
        env: Environment | None = None,
    ) -> None:
        """Create the whole platform.

        Args:
            scope: the app.
            construct_id: the stack's name.
            settings: what to provision.
            containers_dir: holds a folder with a Dockerfile for each job.
            vpc: an existing VPC; by default one is made.
            subnets: where jobs run in an existing VPC; by default its private subnets with egress, else its
                public ones.
            env: account and Region; by default those of the deployment.

        Raises:
            SettingsError: a job's folder has no Dockerfile.
            ValueError: the VPC has no such subnet.
        """
        super().__init__(
            scope,
            construct_id,
            env=env,
            description="Batch platform: queues, compute environments, jobs and triggers on AWS Batch",
        )
        self._settings = settings
        self.node.add_validation(_StackTags(self))
        self.network = Network(self, "Network", vpc=vpc, subnets=subnets)
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
            dead_letter_queues={
                pascal(name): trigger.dead_letter_queue for name, trigger in self.triggers.items()
            },
            removal_policy=removal_policy(settings.storage),
        )
        self._outputs()

    def _tiers(self) -> Mapping[QueueName, PriorityTier]:
        return {
            name: PriorityTier(
                self,
                f"{pascal(name)}Tier",
                compute_environments=[getattr(self, environment) for environment in environments],
                settings=self._settings.queue(name),
            )
            for name, environments in COMPUTE_ENVIRONMENTS.items()
        }

    def _job(self, name: str, containers_dir: Path) -> ContainerJob:
        settings = self._settings.jobs[name]
        environment = self.spot if settings.platform == "ec2" else self.fargate
        job = ContainerJob(
            self,
            f"{pascal(name)}Job",
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
            f"{pascal(name)}Trigger",
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
            values[f"{pascal(queue_name)}QueueArn"] = tier.queue.job_queue_arn
        for job_name, job in self.jobs.items():
            values[f"{pascal(job_name)}JobDefinitionArn"] = job.definition.job_definition_arn
        for number, trigger in enumerate(self.triggers.values(), start=1):
            suffix = "" if number == 1 else str(number)
            values[f"SubmitJobFunctionName{suffix}"] = trigger.function.function_name
        for name, value in values.items():
            CfnOutput(self, name, value=value)


@jsii.implements(IValidation)
class _StackTags:
    """Warns, once all tags are known, of those that CloudFormation would put on compute environments."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack

    def validate(self) -> list[str]:
        """Return no error; leave a warning on the stack."""
        tags = self._stack.tags.tag_values()
        if tags:
            Annotations.of(self._stack).add_warning_v2(
                "batch-stack:stackTags",
                f"The stack itself has the tags {', '.join(sorted(tags))}. CloudFormation copies them to the "
                "compute environments, and replaces a compute environment whenever one of its tags changes. "
                'Set "@aws-cdk/core:explicitStackTags": true in the context of cdk.json: Tags.of(...) then '
                f"tags resources only. At {self._stack.node.path}",
            )
        return []
