"""Compute environments: what they have in common, and those without instances of ours."""

from __future__ import annotations

from typing import cast

from aws_cdk import Stack
from aws_cdk import aws_batch as batch
from constructs import Construct

from batch_stack.compute.roles import unmanaged_service_role
from batch_stack.network.network import Network
from batch_stack.settings.base import Architecture, Platform
from batch_stack.settings.compute import (
    ComputeEnvironmentSettings,
    ExistingComputeSettings,
    FargateSettings,
    UnmanagedSettings,
)

COST_TAG = "batch-stack-compute-environment"
"""The tag of instances, and of volumes of our launch templates, by which costs are told apart; a user-defined
one."""


class ComputeEnvironment(Construct):
    """What a queue has to know of a compute environment.

    None of ours has a name, so that it can be replaced when it must, and none has tags, because any change
    of one replaces it: https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-batch-computeenvironment.html

    Attributes:
        settings: what it was made from.
        resource: the compute environment, of aws-cdk-lib.
        platform: ``ec2``, ``fargate``, ``managed_instances`` or ``eks``; a queue has one only.
        architecture: the CPU architecture; a queue has one only.
        cost_tag: by which value of `COST_TAG` the costs of its instances are told apart, the stack's name and
            the path in it; None for those that are not tagged by us.
        efa_interfaces: how many Elastic Fabric Adapters each instance has for the nodes of its jobs.
    """

    settings: ComputeEnvironmentSettings
    resource: batch.IComputeEnvironment
    platform: Platform
    architecture: Architecture
    cost_tag: str | None = None
    efa_interfaces: int = 0

    def _own_cost_tag(self) -> str:
        stack = Stack.of(self)
        path = self.node.path.removeprefix(f"{stack.node.path}/").removeprefix("Default/")
        return f"{stack.stack_name}/{path}"

    def _outlived_by(self, network: Network) -> None:
        """Delete this before its way to AWS's endpoints, without which instances cannot say that they end."""
        self.resource.node.add_dependency(network.connectivity)

    def _never_replace_for_tags(self) -> None:
        """Leave the tags of CloudFormation's resource out.

        The tags of instances, which come from the launch template, are not among them.
        """
        self._cfn.add_property_deletion_override("Tags")

    @property
    def _cfn(self) -> batch.CfnComputeEnvironment:
        return cast(batch.CfnComputeEnvironment, self.resource.node.default_child)


class FargateComputeEnvironment(ComputeEnvironment):
    """A managed compute environment on Fargate: no instances, one task per job.

    It runs jobs of either CPU architecture; ``architecture`` says which one its queue is for.
    https://docs.aws.amazon.com/batch/latest/userguide/fargate.html
    """

    def __init__(
        self, scope: Construct, construct_id: str, *, network: Network, settings: FargateSettings
    ) -> None:
        """Create the compute environment.

        Args:
            scope: the parent construct.
            construct_id: this construct's id within it.
            network: where its tasks run.
            settings: vCPU limit, and whether it is Fargate Spot.
        """
        super().__init__(scope, construct_id)
        self.settings, self.platform = settings, settings.platform
        self.architecture = settings.architecture
        self.resource = batch.FargateComputeEnvironment(
            self,
            "Resource",
            vpc=network.vpc,
            vpc_subnets=network.subnets,
            security_groups=[network.security_group],
            spot=settings.type == "fargate_spot",
            maxv_cpus=settings.max_vcpus,
            enabled=settings.state == "enabled",
            replace_compute_environment=False,
        )
        # The L2 writes an empty one, with which AWS Batch refuses every update of one on Fargate.
        self._cfn.add_property_deletion_override("UpdatePolicy")
        self._never_replace_for_tags()
        self._outlived_by(network)


class UnmanagedComputeEnvironment(ComputeEnvironment):
    """A compute environment whose container instances somebody else starts and stops.

    AWS Batch makes an ECS cluster for it, whose ARN DescribeComputeEnvironments tells; instances that join it
    run jobs. https://docs.aws.amazon.com/batch/latest/userguide/unmanaged_compute_environments.html

    Attributes:
        service_role: with which AWS Batch runs jobs there; nothing in it reaches EC2 or Auto Scaling.
    """

    def __init__(self, scope: Construct, construct_id: str, *, settings: UnmanagedSettings) -> None:
        """Create the compute environment.

        Args:
            scope: the parent construct.
            construct_id: this construct's id within it.
            settings: its CPU architecture, and the vCPUs that fair share counts with.
        """
        super().__init__(scope, construct_id)
        self.settings, self.platform = settings, settings.platform
        self.architecture = settings.architecture
        self.service_role = unmanaged_service_role(self, "ServiceRole")
        self.resource = batch.UnmanagedComputeEnvironment(
            self,
            "Resource",
            enabled=settings.state == "enabled",
            service_role=self.service_role,
            unmanagedv_cpus=settings.vcpus,
        )
        # Of an unmanaged one little can change, and nothing that would be refused in place.
        self._cfn.replace_compute_environment = False
        self._never_replace_for_tags()


class ExistingComputeEnvironment(ComputeEnvironment):
    """A compute environment that is somebody else's: of another stack, or on EKS. Nothing is provisioned."""

    def __init__(self, scope: Construct, construct_id: str, *, settings: ExistingComputeSettings) -> None:
        """Refer to the compute environment.

        Args:
            scope: the parent construct.
            construct_id: this construct's id within it.
            settings: its ARN, and what a queue has to know of it.
        """
        super().__init__(scope, construct_id)
        self.settings, self.platform = settings, settings.platform
        self.architecture = settings.architecture
        # Of all kinds, those of aws-cdk-lib differ in what can be read of them, which is nothing here.
        self.resource = batch.UnmanagedComputeEnvironment.from_unmanaged_compute_environment_arn(
            self, "Resource", settings.arn
        )
