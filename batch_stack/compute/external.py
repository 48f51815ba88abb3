"""Unmanaged and existing compute environments: this library does not provision their instances."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import aws_batch as batch
from constructs import Construct

from batch_stack.compute.base import ComputeEnvironment
from batch_stack.compute.roles import unmanaged_service_role
from batch_stack.settings.base.values import Architecture, PlatformCapability
from batch_stack.settings.compute.kinds import ExistingComputeSettings, UnmanagedSettings


class UnmanagedComputeEnvironment(ComputeEnvironment):
    """A compute environment whose container instances you start and stop yourself.

    AWS Batch creates an ECS cluster for it, whose ARN DescribeComputeEnvironments returns. Instances that
    join the cluster run jobs.
    https://docs.aws.amazon.com/batch/latest/userguide/unmanaged_compute_environments.html

    Attributes:
        service_role: the role with which AWS Batch runs its jobs, without access to EC2 or Auto Scaling.
    """

    def __init__(self, scope: Construct, construct_id: str, *, settings: UnmanagedSettings) -> None:
        """Creates the compute environment.

        Args:
            scope: the parent construct.
            construct_id: this construct's id within it.
            settings: its CPU architecture, and the vCPUs that fair share assumes.
        """
        super().__init__(scope, construct_id)
        self.settings = settings
        self.service_role = unmanaged_service_role(self, "ServiceRole")
        self.resource = batch.UnmanagedComputeEnvironment(
            self,
            "Resource",
            enabled=settings.state == "enabled",
            service_role=self.service_role,
            unmanagedv_cpus=settings.vcpus,
        )
        # An unmanaged compute environment has few properties that can change, and all change in place.
        self._cfn.replace_compute_environment = False
        self._never_replace_for_tags()


class ExistingComputeEnvironment(ComputeEnvironment):
    """A reference to a compute environment of another stack, or on EKS. Nothing is provisioned."""

    def __init__(self, scope: Construct, construct_id: str, *, settings: ExistingComputeSettings) -> None:
        """Refers to the compute environment.

        Args:
            scope: the parent construct.
            construct_id: this construct's id within it.
            settings: its ARN, and the properties that a queue needs.
        """
        super().__init__(scope, construct_id)
        self.settings = settings
        # The kinds of aws-cdk-lib differ in attributes that no code here reads.
        self.resource = batch.UnmanagedComputeEnvironment.from_unmanaged_compute_environment_arn(
            self, "Resource", settings.arn
        )

    @staticmethod
    def from_arn(
        scope: Construct,
        construct_id: str,
        arn: str,
        *,
        platform_capability: PlatformCapability = "ec2",
        architecture: Architecture = "x86_64",
        max_vcpus: int | None = None,
        instance_types: Sequence[str] = (),
    ) -> ExistingComputeEnvironment:
        """Returns a compute environment by its ARN.

        Args:
            scope: the parent construct.
            construct_id: this construct's id within it.
            arn: its ARN.
            platform_capability: ``ec2``, ``fargate``, ``managed_instances`` or ``eks``.
            architecture: the CPU architecture of its instances.
            max_vcpus: its vCPU limit, for the checks at synthesis.
            instance_types: its instance types, for the checks at synthesis, which otherwise do not notice a
                job that is too large.

        Raises:
            SettingsError: the ARN is not of a compute environment, or the instance types do not fit the rest.
        """
        settings = ExistingComputeSettings(
            type="existing",
            arn=arn,
            platform=platform_capability,
            architecture=architecture,
            max_vcpus=max_vcpus,
            instance_types=list(instance_types),
        )
        return ExistingComputeEnvironment(scope, construct_id, settings=settings)
