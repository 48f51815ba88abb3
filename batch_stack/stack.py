"""A stack with a batch platform and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from aws_cdk import App, CfnOutput, Environment, Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sns as sns
from constructs import Construct

from batch_stack.platform import BatchPlatform
from batch_stack.settings.base.names import construct_id as pascal
from batch_stack.settings.root import Settings

__all__ = ["App", "BatchStack"]


class BatchStack(Stack):
    """A stack with one batch platform, and outputs with the names that its users need.

    Jobs and triggers of the settings, and those added in Python, have outputs:
    ``<Name>JobDefinitionArn`` with the revision that was deployed last, ``<Name>JobDefinitionLatestArn``
    without a revision, for which AWS Batch takes the latest, and ``<Name>FunctionName``.

    Attributes:
        platform: the platform.
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
        env: Environment | None = None,
    ) -> None:
        """Creates the stack.

        Args:
            scope: the app.
            construct_id: the stack's name.
            settings: the settings to provision.
            containers_dir: a folder that contains a folder with a Dockerfile for each job whose image is
                built here; only such jobs need it.
            vpc: an existing VPC; by default one is created, or found by its id, as the settings say.
            subnets: the subnets for jobs in `vpc`; by default its private subnets with egress, else its
                public ones.
            key: an existing KMS key for all data, whose policy is changed if CDK can change it; by default
                one is created, or found by its ARN, as the settings say.
            input_bucket: an existing bucket for input; see `BatchPlatform`.
            output_bucket: an existing bucket for output; see `BatchPlatform`.
            topic: an existing SNS topic for messages; by default one is created, or found by its ARN, as the
                settings say.
            env: account and Region; by default those of the deployment.

        Raises:
            SettingsError: a check before deployment found something that cannot work; or a job's folder has
                no Dockerfile, or there is no containers_dir for it; or there are two networks, keys, topics
                or buckets for one purpose.
            ValueError: the VPC has no such subnet.
        """
        super().__init__(
            scope,
            construct_id,
            env=env,
            description="Batch platform: queues, compute environments, jobs and triggers on AWS Batch",
        )
        # CDK leaves the id "Default" out of logical ids: they look as if the stack held everything directly.
        self.platform: BatchPlatform = _PlatformWithOutputs(
            self,
            "Default",
            settings=settings,
            containers_dir=containers_dir,
            vpc=vpc,
            subnets=subnets,
            key=key,
            input_bucket=input_bucket,
            output_bucket=output_bucket,
            topic=topic,
        )
        _write_outputs(self, _platform_outputs(self.platform))


class _PlatformWithOutputs(BatchPlatform):
    """A platform that adds outputs to its stack for jobs and triggers that are added to it."""

    def _on_added(self) -> None:
        _write_outputs(Stack.of(self), _job_outputs(self))


def _write_outputs(stack: Stack, values: Mapping[str, str]) -> None:
    for name, value in values.items():
        if stack.node.try_find_child(name) is None:
            CfnOutput(stack, name, value=value)


def _platform_outputs(platform: BatchPlatform) -> dict[str, str]:
    values = {
        "InputBucketName": platform.storage.input_bucket.bucket_name,
        "OutputBucketName": platform.storage.output_bucket.bucket_name,
        "NotificationTopicArn": platform.notification.topic.topic_arn,
    }
    values |= _data_outputs(platform)
    for name, tier in platform.tiers.items():
        values[f"{pascal(name)}QueueArn"] = tier.queue.job_queue_arn
    return values | _job_outputs(platform)


def _job_outputs(platform: BatchPlatform) -> dict[str, str]:
    """Returns the outputs of jobs, triggers and submitters. `add_job` and `add_trigger` add more."""
    jobs = {
        f"{pascal(name)}JobDefinitionArn": job.definition.job_definition_arn
        for name, job in platform.jobs.items()
    }
    # An ARN with a revision always submits that revision.
    jobs |= {
        f"{pascal(name)}JobDefinitionLatestArn": job.unversioned_arn for name, job in platform.jobs.items()
    }
    functions = {
        f"{pascal(name)}FunctionName": trigger.function.function_name
        for name, trigger in platform.triggers.items()
    }
    policies = {
        f"{pascal(name)}SubmitterPolicyArn{number if number > 1 else ''}": policy.managed_policy_arn
        for name, submitter in platform.submitters.items()
        for number, policy in enumerate(submitter.policies, start=1)
    }
    return jobs | functions | policies


def _data_outputs(platform: BatchPlatform) -> dict[str, str]:
    """Returns the outputs of the services that only some platforms have."""
    values = {}
    if platform.storage.scratch_bucket is not None:
        values["ScratchBucketName"] = platform.storage.scratch_bucket.bucket_name
    if platform.file_system is not None:
        values["FileSystemId"] = platform.file_system.file_system.file_system_id
    if platform.job_table is not None:
        values["JobTableName"] = platform.job_table.table.table_name
    if platform.database is not None:
        values["DatabaseHost"] = platform.database.cluster.cluster_endpoint.hostname
        values["DatabaseSecretArn"] = platform.database.secret_arn
    if platform.event_bus is not None:
        values["EventBusName"] = platform.event_bus.bus.event_bus_name
    if platform.work_queue is not None:
        values["WorkQueueUrl"] = platform.work_queue.queue.queue_url
    if platform.key is not None:
        values["KeyArn"] = platform.key.key_arn
    return values
