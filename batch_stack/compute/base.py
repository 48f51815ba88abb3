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
"""The user-defined tag of instances, and of volumes of our launch templates, that separates their costs."""


class ComputeEnvironment(Construct):
    """A compute environment of any kind, which a queue can use.

    Compute environments that this library creates have no name, so that CloudFormation can replace them, and
    no tags, because any change of a tag replaces them:
    https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-batch-computeenvironment.html

    Attributes:
        settings: its settings.
        resource: the compute environment of aws-cdk-lib.
        cost_tag: the value of `COST_TAG` of its instances: the stack's name and its path in it; None if
            they do not get the tag here.
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

    def _delete_before_routes_of(self, network: Network) -> None:
        """Makes CloudFormation delete this before the network's routes to AWS services. Without the routes,
        instances cannot report that they end."""
        self.resource.node.add_dependency(network.connectivity)

    def _never_replace_for_tags(self) -> None:
        """Removes the tags of CloudFormation's resource. Instances get tags from the launch template."""
        self._cfn.add_property_deletion_override("Tags")

    @property
    def _cfn(self) -> batch.CfnComputeEnvironment:
        return cast(batch.CfnComputeEnvironment, self.resource.node.default_child)
