"""The network in which jobs run."""

from __future__ import annotations

import sys

from aws_cdk import Annotations, Fn
from aws_cdk import aws_ec2 as ec2
from constructs import Construct, DependencyGroup, IDependable

from batch_stack.common.retention import DataPolicy
from batch_stack.network.flow_log import FlowLog
from batch_stack.network.vpc_endpoints import VpcEndpoints
from batch_stack.preflight.network import GivenNetwork
from batch_stack.settings.network import (
    NEEDED_ENDPOINTS,
    ExistingNetworkSettings,
    IsolatedNetworkSettings,
    NetworkSettings,
    PrivateNetworkSettings,
    PublicNetworkSettings,
)

_MAX_AZS = 5
# A child of aws_ec2.Vpc that removes the rules of the default security group.
_EMPTIES_DEFAULT_GROUP = "RestrictDefaultSecurityGroupCustomResource"
_ISOLATED = ec2.SubnetSelection(subnet_type=ec2.SubnetType.PRIVATE_ISOLATED)
_OwnNetworkSettings = PublicNetworkSettings | PrivateNetworkSettings | IsolatedNetworkSettings


class Network(Construct):
    """The VPC and the subnets in which jobs run: a new VPC in one of three modes, or an existing one.

    - ``public``, the default, costs nothing while idle: public subnets, no NAT gateway. Instances have public
      addresses, with which they reach AWS services.
    - ``private_with_nat``: private subnets, and NAT gateways for traffic to the internet.
    - ``isolated``: no traffic but through VPC endpoints of the AWS services that jobs need; see
      `VpcEndpoints`.
    - ``existing``: a VPC and subnets by their ids. `from_vpc` takes a VPC that CDK knows.

    Nothing can be reached from outside in any mode. Traffic to S3 stays inside AWS, through a gateway
    endpoint, which is free. Each mode has its own addresses for its subnets (see docs/adr/018), so that the
    mode can be changed: CloudFormation first creates new subnets, then moves compute environments, and then
    deletes the old subnets.

    Attributes:
        vpc: the VPC.
        subnets: the subnets of the VPC in which jobs run.
        subnet_ids: the ids of these subnets.
        availability_zones: the Availability Zone of each of them.
        awaits_lookup: whether the VPC is a dummy, which CDK replaces after it has looked up the real one.
        data_subnets: the subnets of file systems and databases, which stay when the mode changes, in the same
            Availability Zones as jobs; in an existing VPC, the subnets of the jobs.
        security_group: the security group of instances and Fargate tasks: all egress, no ingress.
        clients: all security groups from which jobs reach the platform's services in this network.
        assigns_public_ip: whether Fargate tasks need a public address, as they do in public subnets.
        connectivity: the routes and endpoints between these subnets and AWS services. A resource that depends
            on it is deleted before it.
        endpoints: the VPC endpoints of a new isolated network; otherwise None.
        flow_log: the flow log of a new VPC, if the settings ask for one.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        settings: NetworkSettings | None = None,
        keeps_data: bool = False,
        data_policy: DataPolicy = DataPolicy(),
    ) -> None:
        """Creates a network, or refers to a VPC by its id.

        Args:
            scope: the parent construct.
            construct_id: this construct's id within it.
            settings: the mode and its settings; by default ``public``.
            keeps_data: whether a new VPC has subnets for a file system or a database.
            data_policy: how long entries of the flow log are kept, and which key encrypts them.
        """
        super().__init__(scope, construct_id)
        settings = settings or PublicNetworkSettings()
        if isinstance(settings, ExistingNetworkSettings):
            vpc = self._existing_vpc(settings)
            self._use(vpc, _subnets_for_jobs(vpc) or _ISOLATED)
            return
        own = self._own_vpc(settings, keeps_data)
        self._use(own, _subnets_for_jobs(own) or _ISOLATED)
        if keeps_data:
            self.data_subnets = _ISOLATED
        self._add_endpoints_and_flow_log(own, settings, data_policy)

    @staticmethod
    def from_vpc(
        scope: Construct, construct_id: str, vpc: ec2.IVpc, *, subnets: ec2.SubnetSelection | None = None
    ) -> Network:
        """Returns the network of an existing VPC, in which only a security group is created.

        Args:
            scope: the parent construct.
            construct_id: this construct's id within it.
            vpc: the VPC, of this app or an imported one.
            subnets: the subnets for jobs; by default the VPC's private subnets with egress, or, if it has
                none, its public ones. Jobs must reach ECR, ECS, CloudWatch Logs and S3 from there: through
                NAT, endpoints, or, in public subnets, with a public address, which EC2 instances get only if
                the subnet assigns one.

        Raises:
            ValueError: the VPC has no such subnet.
        """
        return _NetworkOfVpc(scope, construct_id, vpc, subnets)

    def given(self) -> GivenNetwork:
        """Returns the facts about an existing VPC that checks of the settings need.

        Returns:
            The number of subnets and zones, and whether jobs have no route to the internet. For a dummy VPC
            they are such that no check refuses it, because CDK looks up the real one only if the synthesis
            succeeds.
        """
        if self.awaits_lookup:
            return GivenNetwork(subnets=sys.maxsize, zones=sys.maxsize, isolated=False)
        isolated = {subnet.subnet_id for subnet in self.vpc.isolated_subnets}
        return GivenNetwork(
            subnets=len(self.subnet_ids),
            zones=len(set(self.availability_zones)),
            isolated=isolated.issuperset(self.subnet_ids),
        )

    def allow_efa_nodes(self) -> bool:
        """Lets nodes with EFA reach what other jobs reach, although they are in the VPC's default group.

        AWS Batch puts the containers of multi-node parallel jobs in that security group if the compute
        environment names no group, as with EFA. The group lets its members connect to each other, unless its
        rules were changed, as CDK does for a VPC with ``restrictDefaultSecurityGroup``.
        https://docs.aws.amazon.com/batch/latest/userguide/mnp-ce.html

        Returns:
            Whether the VPC's default group is known to be as EC2 creates it, as in a new VPC.
        """
        if not isinstance(self.vpc, ec2.Vpc) or self.vpc.node.try_find_child(_EMPTIES_DEFAULT_GROUP):
            return False
        if len(self.clients) == 1:
            default = ec2.SecurityGroup.from_security_group_id(
                self, "DefaultSecurityGroup", self.vpc.vpc_default_security_group, mutable=False
            )
            self.clients.append(default)
            if self.endpoints is not None:
                self.endpoints.allow_from(default)
        return True

    def in_zone(self, number: int) -> ec2.SubnetSelection:
        """Returns the subnet for jobs in one Availability Zone.

        Args:
            number: the number of the zone, counted from 1.

        Raises:
            ValueError: there are fewer zones.
        """
        subnets = list(self._selected().subnets)
        if self.awaits_lookup:
            number = min(number, len(subnets))
        if not 1 <= number <= len(subnets):
            raise ValueError(
                f"placement_zone must be between 1 and {len(subnets)}, the number of Availability Zones of "
                f"{self.node.path}, got {number}"
            )
        return ec2.SubnetSelection(subnets=[subnets[number - 1]])

    def _use(self, vpc: ec2.IVpc, subnets: ec2.SubnetSelection) -> None:
        """Sets the attributes for a VPC and the subnets for jobs, and creates their security group."""
        self.vpc, self.subnets, self.data_subnets = vpc, subnets, subnets
        self.endpoints: VpcEndpoints | None = None
        self.flow_log: FlowLog | None = None
        selected = self._selected()
        self.subnet_ids = list(selected.subnet_ids)
        self.availability_zones = list(selected.availability_zones)
        self.awaits_lookup = bool(selected.is_pending_lookup)
        public_ids = {subnet.subnet_id for subnet in vpc.public_subnets}
        self.assigns_public_ip = not public_ids.isdisjoint(selected.subnet_ids)
        self.connectivity: IDependable = selected.internet_connectivity_established
        self.security_group = ec2.SecurityGroup(
            self,
            "JobSecurityGroup",
            vpc=vpc,
            description="Batch jobs: all egress, no ingress",
            allow_all_outbound=True,
        )
        self.clients: list[ec2.ISecurityGroup] = [self.security_group]

    def _selected(self) -> ec2.SelectedSubnets:
        counts = (
            f"{len(self.vpc.private_subnets)} private with egress, {len(self.vpc.public_subnets)} public "
            f"and {len(self.vpc.isolated_subnets)} isolated"
        )
        problem = f"subnets must select at least one subnet of the VPC, which has {counts}, got none"
        try:
            selected = self.vpc.select_subnets(
                availability_zones=self.subnets.availability_zones,
                one_per_az=self.subnets.one_per_az,
                subnet_filters=self.subnets.subnet_filters,
                subnet_group_name=self.subnets.subnet_group_name,
                subnets=self.subnets.subnets,
                subnet_type=self.subnets.subnet_type,
            )
        except RuntimeError as error:
            raise ValueError(f"{problem} at {self.node.path}: {error}") from error
        if not selected.subnet_ids:
            raise ValueError(f"{problem} at {self.node.path}")
        return selected

    def _own_vpc(self, settings: _OwnNetworkSettings, keeps_data: bool) -> ec2.Vpc:
        nat_gateways = settings.nat_gateways if isinstance(settings, PrivateNetworkSettings) else 0
        return ec2.Vpc(
            self,
            "Vpc",
            ip_addresses=ec2.IpAddresses.cidr(settings.cidr),
            # By number: CDK would look up names in an account.
            availability_zones=[Fn.select(number, Fn.get_azs()) for number in range(settings.max_azs)],
            # A zone that is added later gets addresses that are reserved now, so no other subnet moves.
            reserved_azs=_MAX_AZS - settings.max_azs,
            nat_gateways=nat_gateways,
            subnet_configuration=_subnet_configuration(settings, keeps_data),
            # CDK would empty the default group with a custom resource; only nodes with EFA are in it.
            restrict_default_security_group=False,
        )

    def _existing_vpc(self, settings: ExistingNetworkSettings) -> ec2.IVpc:
        ids = {settings.subnets: settings.subnet_ids}
        vpc = ec2.Vpc.from_vpc_attributes(
            self,
            "Vpc",
            vpc_id=settings.vpc_id,
            availability_zones=settings.availability_zones,
            public_subnet_ids=ids.get("public"),
            private_subnet_ids=ids.get("private"),
            isolated_subnet_ids=ids.get("isolated"),
        )
        Annotations.of(vpc).acknowledge_warning(
            "@aws-cdk/aws-ec2:noSubnetRouteTableId", "nothing here reads the route tables of these subnets"
        )
        return vpc

    def _add_endpoints_and_flow_log(
        self, vpc: ec2.Vpc, settings: _OwnNetworkSettings, data_policy: DataPolicy
    ) -> None:
        if isinstance(settings, IsolatedNetworkSettings):
            self.endpoints = VpcEndpoints(
                self,
                "Endpoints",
                vpc=vpc,
                subnets=self.subnets,
                clients=self.security_group,
                names=settings.endpoints,
                readable_buckets=settings.readable_buckets,
            )
            routed = [subnet.node.find_child("RouteTableAssociation") for subnet in vpc.isolated_subnets]
            self.connectivity = DependencyGroup(self.endpoints.connectivity, *routed)
        else:
            vpc.add_gateway_endpoint("S3Endpoint", service=ec2.GatewayVpcEndpointAwsService.S3)
        if isinstance(settings, PrivateNetworkSettings):
            # Traffic through NAT costs money by the gigabyte.
            vpc.add_gateway_endpoint("DynamoDbEndpoint", service=ec2.GatewayVpcEndpointAwsService.DYNAMODB)
        if settings.flow_logs:
            self.flow_log = FlowLog(self, "FlowLog", vpc=vpc, data_policy=data_policy)


class _NetworkOfVpc(Network):
    """The network of an existing VPC."""

    def __init__(
        self, scope: Construct, construct_id: str, vpc: ec2.IVpc, subnets: ec2.SubnetSelection | None
    ) -> None:
        # Not the constructor of Network, which creates a VPC.
        super(Network, self).__init__(scope, construct_id)
        subnets = subnets or _subnets_for_jobs(vpc)
        if subnets is None:
            raise ValueError(
                "vpc must have private subnets with egress or public ones, or subnets must say which to use, "
                f"got {len(vpc.isolated_subnets)} isolated subnets only at {self.node.path}"
            )
        self._use(vpc, subnets)
        isolated = {subnet.subnet_id for subnet in vpc.isolated_subnets}
        if isolated.isdisjoint(self.subnet_ids):
            return
        Annotations.of(self).add_warning_v2(
            "batch-stack:isolatedSubnets",
            f"Some of the subnets are isolated: without the VPC endpoints {NEEDED_ENDPOINTS} in their VPC, "
            f"which are not made here, no job leaves RUNNABLE or STARTING. At {self.node.path}",
        )


def _subnets_for_jobs(vpc: ec2.IVpc) -> ec2.SubnetSelection | None:
    """Returns the VPC's subnets with a route to the internet; None if it has none."""
    if vpc.private_subnets:
        return ec2.SubnetSelection(subnet_type=ec2.SubnetType.PRIVATE_WITH_EGRESS)
    if vpc.public_subnets:
        return ec2.SubnetSelection(subnet_type=ec2.SubnetType.PUBLIC)
    return None


def _subnet_configuration(settings: _OwnNetworkSettings, keeps_data: bool) -> list[ec2.SubnetConfiguration]:
    """Returns the kinds of subnets in a fixed order, in which unused kinds reserve their addresses."""
    kinds = {
        "Public": ec2.SubnetType.PUBLIC,
        "Private": ec2.SubnetType.PRIVATE_WITH_EGRESS,
        "Isolated": ec2.SubnetType.PRIVATE_ISOLATED,
    }
    of_modes = {"public": ["Public"], "private_with_nat": ["Public", "Private"], "isolated": ["Isolated"]}
    used = [*of_modes[settings.mode], *(["Isolated"] if keeps_data else [])]
    names = list(kinds)[: list(kinds).index(used[-1]) + 1]
    # Each subnet is a sixteenth of the VPC: five zones of three kinds fit.
    cidr_mask = int(settings.cidr.partition("/")[2]) + 4
    return [
        ec2.SubnetConfiguration(
            name=name,
            subnet_type=kinds[name],
            cidr_mask=cidr_mask,
            reserved=name not in used,
        )
        for name in names
    ]
