"""Compute environments on ECS Managed Instances."""

from __future__ import annotations

from typing import Any

import jsii
from aws_cdk import IStableAnyProducer, Lazy
from aws_cdk import aws_batch as batch
from aws_cdk import aws_iam as iam
from constructs import Construct

from batch_stack.compute.base import COST_TAG, ComputeEnvironment
from batch_stack.compute.roles import infrastructure_role, managed_instance_role
from batch_stack.network.network import Network
from batch_stack.settings.compute.kinds import ManagedInstancesSettings

_Cfn = batch.CfnComputeEnvironment


class ManagedInstancesComputeEnvironment(ComputeEnvironment):
    """A managed compute environment on EC2 instances that Amazon ECS launches, patches and ends.

    It has neither an image nor a launch template to maintain. Jobs share instances, and need definitions
    with ``platform: managed_instances``. Instances have the tags that `Tags.of` gives this construct;
    deploying tags needs the permission ``batch:SetCapacityTags``.
    https://docs.aws.amazon.com/batch/latest/userguide/ecs-managed-instances-compute-environments.html

    Attributes:
        instance_role: the role of its instances.
        infrastructure_role: the role with which Amazon ECS launches them.
    """

    def __init__(
        self, scope: Construct, construct_id: str, *, network: Network, settings: ManagedInstancesSettings
    ) -> None:
        """Creates the compute environment.

        Args:
            scope: the parent construct.
            construct_id: this construct's id within it.
            network: the network of its instances.
            settings: instance types, vCPU limit (of jobs, not of instances), disks, Spot or On-Demand.
        """
        super().__init__(scope, construct_id)
        self.settings = settings
        self.instance_role = managed_instance_role(self, "InstanceRole")
        self.infrastructure_role = infrastructure_role(
            self, "InfrastructureRole", passes=self.instance_role, network=network, spot=settings.spot
        )
        profile = iam.InstanceProfile(self, "InstanceProfile", role=self.instance_role)
        # aws-cdk-lib has no L2 for this kind.
        self.cost_tag = self._own_cost_tag()
        self._environment = _Cfn(
            self,
            "Environment",
            type="managed",
            state=settings.state.upper(),
            replace_compute_environment=False,
            compute_resources=_Cfn.ComputeResourcesProperty(
                type="ECS_MANAGED_INSTANCES",
                maxv_cpus=settings.max_vcpus,
                capacity_tags=Lazy.any(_CapacityTags(self, self.cost_tag)),
                managed_instances_provider=self._provider(network, settings, profile.instance_profile_arn),
            ),
        )
        self.resource = batch.UnmanagedComputeEnvironment.from_unmanaged_compute_environment_arn(
            self, "Resource", self._environment.attr_compute_environment_arn
        )
        self._never_replace_for_tags()
        self._environment.node.add_dependency(network.connectivity)

    @property
    def _cfn(self) -> batch.CfnComputeEnvironment:
        return self._environment

    def _provider(
        self, network: Network, settings: ManagedInstancesSettings, instance_profile_arn: str
    ) -> batch.CfnComputeEnvironment.ManagedInstancesProviderProperty:
        return _Cfn.ManagedInstancesProviderProperty(
            infrastructure_role_arn=self.infrastructure_role.role_arn,
            propagate_tags="CAPACITY_PROVIDER",
            instance_launch_template=_Cfn.InstanceLaunchTemplateProperty(
                ec2_instance_profile_arn=instance_profile_arn,
                network_configuration=_Cfn.ManagedInstancesNetworkConfigurationProperty(
                    subnets=network.subnet_ids, security_groups=[network.security_group.security_group_id]
                ),
                capacity_option_type="SPOT" if settings.spot else "ON_DEMAND",
                instance_requirements=_Cfn.InstanceRequirementsProperty(
                    allowed_instance_types=settings.instance_types
                ),
                storage_configuration=_Cfn.ManagedInstancesStorageConfigurationProperty(
                    storage_size_gib=settings.storage_gib
                ),
                local_storage_configuration=(
                    _Cfn.ManagedInstancesLocalStorageConfigurationProperty(use_local_storage=True)
                    if settings.nvme_scratch
                    else None
                ),
            ),
        )


@jsii.implements(IStableAnyProducer)
class _CapacityTags:
    """The tags of instances: the cost tag, and the tags of the construct, which the compute environment
    itself must not have.

    https://docs.aws.amazon.com/batch/latest/userguide/capacity-tags-access-policy.html
    """

    def __init__(self, environment: ManagedInstancesComputeEnvironment, cost_tag: str) -> None:
        self._environment = environment
        self._cost_tag = cost_tag

    def produce(self) -> Any:
        """Returns the tags when the template is written, and all of them are known."""
        return {**self._environment._cfn.tags.tag_values(), COST_TAG: self._cost_tag}
