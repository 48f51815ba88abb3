"""Compute environments on EC2 instances, Spot or On-Demand."""

from __future__ import annotations

from typing import cast

from aws_cdk import Annotations, Duration, Tags
from aws_cdk import aws_batch as batch
from aws_cdk import aws_ec2 as ec2
from constructs import Construct

from batch_stack.compute.base import COST_TAG, ComputeEnvironment
from batch_stack.compute.efa import network_interfaces
from batch_stack.compute.roles import instance_role
from batch_stack.compute.user_data import instance_user_data
from batch_stack.network.network import Network
from batch_stack.settings.base.errors import SettingsError
from batch_stack.settings.compute.ec2 import Ec2Settings, OnDemandSettings, SpotSettings

_ROOT_DEVICE = "/dev/xvda"  # of the ECS-optimized Amazon Linux 2023 AMIs


class Ec2ComputeEnvironment(ComputeEnvironment):
    """A managed compute environment on EC2 instances, which AWS Batch scales between zero and a maximum.

    It has no service role, so that it uses AWSServiceRoleForBatch, which updates in place require:
    https://docs.aws.amazon.com/batch/latest/userguide/updating-compute-environments.html

    A placement group is for multi-node parallel jobs: it puts all instances close together in one
    Availability Zone, and a security group lets them, and no other instances, connect to each other. With EFA
    the launch template has their network interfaces, and so the security groups, which AWS Batch takes from
    one place only. Containers are then in the VPC's default group, which may connect to the nodes, and the
    nodes to it. The kernel of Amazon Linux 2023 has the driver; a job's image brings libfabric.
    https://docs.aws.amazon.com/batch/latest/userguide/efa.html

    Attributes:
        launch_template: the launch template of its instances.
        instance_role: the role of its instances.
        placement_group: the cluster placement group, if the settings ask for one.
        node_security_group: the security group that connects its nodes; None without a placement group.
        cost_tag: the value of `COST_TAG` of its instances and their volumes: the stack's name, and its path
            in the stack.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        network: Network,
        settings: SpotSettings | OnDemandSettings,
    ) -> None:
        """Creates the compute environment.

        Args:
            scope: the parent construct.
            construct_id: this construct's id within it.
            network: the network of its instances.
            settings: Spot or On-Demand, instance types, vCPU limits, disks, placement group and EFA.

        Raises:
            SettingsError: instances with several network interfaces would be in public subnets.
            ValueError: the network has no subnet in the placement group's Availability Zone.
        """
        super().__init__(scope, construct_id)
        spot = settings.type == "spot"
        self.settings = settings
        self.instance_role = instance_role(self, "InstanceRole", drains=spot)
        self.launch_template = self._launch_template(settings, spot)
        self.cost_tag = self._own_cost_tag()
        # For its instances: changing a tag of the compute environment itself would replace it.
        Tags.of(self.launch_template).add(COST_TAG, self.cost_tag)
        nodes = settings.placement_group
        self.placement_group = self._placement_group(network) if nodes else None
        self.node_security_group = self._node_security_group(network) if nodes else None
        security_groups: list[ec2.ISecurityGroup] = [network.security_group]
        if self.node_security_group is not None:
            security_groups.append(self.node_security_group)
        self.resource = batch.ManagedEc2EcsComputeEnvironment(
            self,
            "Resource",
            vpc=network.vpc,
            vpc_subnets=network.in_zone(settings.placement_zone) if nodes else network.subnets,
            security_groups=security_groups,
            placement_group=self.placement_group,
            instance_role=self.instance_role,
            launch_template=self.launch_template,
            images=_images(settings),
            default_instance_classes=[_default_class(settings)],
            spot=spot,
            allocation_strategy=(
                batch.AllocationStrategy.SPOT_PRICE_CAPACITY_OPTIMIZED
                if spot
                else batch.AllocationStrategy.BEST_FIT_PROGRESSIVE
            ),
            minv_cpus=settings.min_vcpus,
            maxv_cpus=settings.max_vcpus,
            enabled=settings.state == "enabled",
            replace_compute_environment=False,
            terminate_on_update=False,
            update_timeout=Duration.minutes(settings.update_timeout_minutes),
        )
        self._override(settings)
        if self.node_security_group is not None and self.efa_interfaces:
            self._use_efa(network, self.node_security_group)
        self._never_replace_for_tags()
        self._delete_before_routes_of(network)

    def _override(self, settings: Ec2Settings) -> None:
        # The L2 takes families only as members of an enum, which lacks those newer than itself.
        self._cfn.add_property_override("ComputeResources.InstanceTypes", settings.instance_types)
        # $Default and $Latest never change in the template, so that an edit would not reach the instances.
        self._cfn.add_property_override(
            "ComputeResources.LaunchTemplate.Version", self.launch_template.latest_version_number
        )

    def _use_efa(self, network: Network, nodes: ec2.SecurityGroup) -> None:
        if network.assigns_public_ip and self.efa_interfaces > 1:
            raise SettingsError(
                f"subnets must be private for instances with {self.efa_interfaces} EFA interfaces, because "
                "EC2 gives a public address to a sole interface only, and without one they never join their "
                f"cluster (network.mode private_with_nat or isolated), got public ones at {self.node.path}"
            )
        if not network.allow_efa_nodes():
            Annotations.of(self).add_warning_v2(
                "batch-stack:nodesInDefaultGroup",
                "AWS Batch puts nodes with EFA in the default security group of the VPC. This group must let "
                "its members connect to each other and to the services that they need, as its default rules "
                "do (aws_ec2.Vpc removes them, unless restrict_default_security_group is False). Endpoints "
                f"and databases in the VPC must admit the group. At {self.node.path}",
            )
        # Traffic of EFA is not IP: a rule for all addresses does not let it out. With this rule the L2 would
        # drop its placeholder, and CloudFormation then leaves EC2's default rule, which allows everything.
        ec2.CfnSecurityGroupEgress(
            self,
            "ToOtherNodes",
            group_id=nodes.security_group_id,
            destination_security_group_id=nodes.security_group_id,
            ip_protocol="-1",
            description="EFA to the other nodes",
        )
        template = cast(ec2.CfnLaunchTemplate, self.launch_template.node.default_child)
        template.add_property_override(
            "LaunchTemplateData.NetworkInterfaces",
            network_interfaces(
                self.efa_interfaces,
                security_groups=[network.security_group.security_group_id, nodes.security_group_id],
                node_security_group=nodes.security_group_id,
                public_address=network.assigns_public_ip,
            ),
        )
        # "Either compute environment Security Groups or Network Interfaces in Launch template are exclusively
        # allowed", says AWS Batch.
        self._cfn.add_property_deletion_override("ComputeResources.SecurityGroupIds")

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
            # Keeps out containers behind a bridge. It does not keep out jobs, which share the host's network,
            # one hop away, nor nodes of multi-node parallel jobs, which have interfaces: see
            # instance_user_data.
            http_put_response_hop_limit=1,
            block_devices=[ec2.BlockDevice(device_name=_ROOT_DEVICE, volume=volume)],
            user_data=instance_user_data(spot=spot, nvme_scratch=settings.nvme_scratch, efa=settings.efa),
        )

    def _placement_group(self, network: Network) -> ec2.PlacementGroup:
        if network.assigns_public_ip:
            Annotations.of(self).add_warning_v2(
                "batch-stack:nodesWithoutInternet",
                "The nodes of multi-node parallel jobs have network interfaces without public addresses: in "
                "public subnets they reach S3, and each other, but nothing else. "
                f"Use network.mode private_with_nat or isolated if they must. At {self.node.path}",
            )
        return ec2.PlacementGroup(self, "PlacementGroup", strategy=ec2.PlacementGroupStrategy.CLUSTER)

    def _node_security_group(self, network: Network) -> ec2.SecurityGroup:
        group = ec2.SecurityGroup(
            self,
            "NodeSecurityGroup",
            vpc=network.vpc,
            description="Nodes of multi-node parallel jobs: all traffic among themselves",
            allow_all_outbound=False,
        )
        group.add_ingress_rule(group, ec2.Port.all_traffic(), "from the other nodes")
        return group


def _default_class(settings: Ec2Settings) -> batch.DefaultInstanceClass:
    arm64 = settings.architecture == "arm64"
    return batch.DefaultInstanceClass.ARM64 if arm64 else batch.DefaultInstanceClass.X86_64


def _images(settings: Ec2Settings) -> list[batch.EcsMachineImage]:
    """Returns Amazon Linux 2023 for instances with and without GPUs. AWS Batch matches the instance types.

    https://docs.aws.amazon.com/batch/latest/APIReference/API_Ec2Configuration.html
    """
    types = []
    if settings.lacks_gpu:
        types.append(batch.EcsMachineImageType.ECS_AL2023)
    if settings.has_gpu:
        types.append(batch.EcsMachineImageType.ECS_AL2023_NVIDIA)
    return [batch.EcsMachineImage(image_type=image_type) for image_type in types]
