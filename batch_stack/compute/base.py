"""The base class of compute environments."""

from __future__ import annotations

from typing import cast

from aws_cdk import Stack
from aws_cdk import aws_batch as batch
from constructs import Construct

from batch_stack.network.network import Network
from batch_stack.settings.base.values import Architecture, PlatformCapability
from batch_stack.settings.compute.base import ComputeSettings

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
        cost_tag: by which value of `COST_TAG` the costs of its instances are told apart, the stack's name and
            the path in it; None for those that are not tagged by us.
    """

    settings: ComputeSettings
    resource: batch.IComputeEnvironment
    cost_tag: str | None = None

    @property
    def platform_capability(self) -> PlatformCapability:
        """``ec2``, ``fargate``, ``managed_instances`` or ``eks``; a queue has one only."""
        return self.settings.platform_capability

    @property
    def architecture(self) -> Architecture:
        """The CPU architecture; a queue has one only."""
        return self.settings.architecture

    @property
    def efa_interfaces(self) -> int:
        """The number of Elastic Fabric Adapters that each instance has for the nodes of its jobs."""
        return self.settings.efa_interfaces

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
