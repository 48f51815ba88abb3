"""Compute environments: EC2 (Spot or On-Demand) and Fargate."""

from __future__ import annotations

from typing import cast

from aws_cdk import Duration
from aws_cdk import aws_batch as batch
from aws_cdk import aws_ec2 as ec2
from constructs import Construct

from batch_stack.instance_user_data import instance_user_data
from batch_stack.network import Network
from batch_stack.permissions import instance_role
from batch_stack.settings import (
    Architecture,
    Ec2Settings,
    FargateSettings,
    OnDemandSettings,
    Platform,
    SpotSettings,
)

_ROOT_DEVICE = "/dev/xvda"  # of the ECS-optimized Amazon Linux 2023 AMI


class ComputeEnvironment(Construct):
    """What a queue has to know of a compute environment.

    Attributes:
        resource: the L2 construct of aws-cdk-lib.
        platform: ``ec2`` or ``fargate``; a queue cannot mix them.
        architecture: the CPU architecture; a queue has one only.
    """

    resource: batch.ManagedEc2EcsComputeEnvironment | batch.FargateComputeEnvironment
    platform: Platform
    architecture: Architecture

    def _outlived_by(self, network: Network) -> None:
        """Delete this before its way to AWS's endpoints, without which instances cannot say that they end."""
        self.resource.node.add_dependency(network.connectivity)

    def _never_replace_for_tags(self) -> None:
        """Leave the tags of CloudFormation's resource out: a change of any of them replaces it.

        The tags of instances, which come from the launch template, are not among them.
        """
        self._cfn.add_property_deletion_override("Tags")

    @property
    def _cfn(self) -> batch.CfnComputeEnvironment:
        return cast(batch.CfnComputeEnvironment, self.resource.node.default_child)


class Ec2ComputeEnvironment(ComputeEnvironment):
    """A managed compute environment on EC2 instances, scaled by AWS Batch between none and a maximum.

    It has no name of its own, so that it can be replaced when it must. Without a service role it uses
    AWSServiceRoleForBatch, which updates in place require:
    https://docs.aws.amazon.com/batch/latest/userguide/updating-compute-environments.html

    Attributes:
        launch_template: its instances' launch template.
        instance_role: the role of its instances.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        network: Network,
        settings: SpotSettings | OnDemandSettings,
    ) -> None:
        """Create the compute environment.

        Args:
            scope: the parent construct.
            construct_id: this construct's id within it.
            network: where its instances run.
            settings: Spot or On-Demand, instance types, vCPU limits and volume size.
        """
        super().__init__(scope, construct_id)
        spot = settings.type == "spot"
        self.platform = settings.platform
        self.architecture = settings.architecture
        self.instance_role = instance_role(self, "InstanceRole", drains=spot)
        self.launch_template = self._launch_template(settings, spot)
        default_class = (
            batch.DefaultInstanceClass.ARM64
            if settings.architecture == "arm64"
            else batch.DefaultInstanceClass.X86_64
        )
        self.resource = batch.ManagedEc2EcsComputeEnvironment(
            self,
            "Resource",
            vpc=network.vpc,
            vpc_subnets=network.subnets,
            security_groups=[network.security_group],
            instance_role=self.instance_role,
            launch_template=self.launch_template,
            images=[batch.EcsMachineImage(image_type=batch.EcsMachineImageType.ECS_AL2023)],
            default_instance_classes=[default_class],
            spot=spot,
            allocation_strategy=(
                batch.AllocationStrategy.SPOT_PRICE_CAPACITY_OPTIMIZED
                if spot
                else batch.AllocationStrategy.BEST_FIT_PROGRESSIVE
            ),
            minv_cpus=settings.min_vcpus,
            maxv_cpus=settings.max_vcpus,
            replace_compute_environment=False,
            terminate_on_update=False,
            update_timeout=Duration.minutes(30),
        )
        # The L2 takes families only as members of an enum, which knows none that is newer than itself.
        self._cfn.add_property_override("ComputeResources.InstanceTypes", settings.instance_types)
        # $Default and $Latest never change in the template, so an edit would not reach the instances.
        self._cfn.add_property_override(
            "ComputeResources.LaunchTemplate.Version", self.launch_template.latest_version_number
        )
        self._never_replace_for_tags()
        self._outlived_by(network)

    def _launch_template(self, settings: Ec2Settings, spot: bool) -> ec2.LaunchTemplate:
        volume = ec2.BlockDeviceVolume.ebs(
            settings.ebs_gib,
            volume_type=ec2.EbsDeviceVolumeType.GP3,
            encrypted=True,
            delete_on_termination=True,
        )
        return ec2.LaunchTemplate(
            self,
            "LaunchTemplate",
            require_imdsv2=True,
            # Keeps out containers with a network of their own: the nodes of multi-node parallel jobs. Other
            # jobs share the host's network, where every process is one hop away: see instance_user_data.
            http_put_response_hop_limit=1,
            block_devices=[ec2.BlockDevice(device_name=_ROOT_DEVICE, volume=volume)],
            user_data=instance_user_data(spot=spot),
        )


class FargateComputeEnvironment(ComputeEnvironment):
    """A managed compute environment on Fargate: no instances, one task per job."""

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
        self.platform = settings.platform
        self.architecture = settings.architecture
        self.resource = batch.FargateComputeEnvironment(
            self,
            "Resource",
            vpc=network.vpc,
            vpc_subnets=network.subnets,
            security_groups=[network.security_group],
            spot=settings.type == "fargate_spot",
            maxv_cpus=settings.max_vcpus,
            replace_compute_environment=False,
        )
        self._never_replace_for_tags()
        self._outlived_by(network)
