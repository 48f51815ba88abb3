"""The network that jobs run in."""

from __future__ import annotations

from aws_cdk import Annotations, Fn, RemovalPolicy
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_kms as kms
from constructs import Construct, DependencyGroup, IDependable

from batch_stack.network.flow_log import FlowLog
from batch_stack.network.vpc_endpoints import VpcEndpoints
from batch_stack.settings.network import (
    NEEDED_ENDPOINTS,
    ExistingNetworkSettings,
    IsolatedNetworkSettings,
    NetworkSettings,
    PrivateNetworkSettings,
    PublicNetworkSettings,
)

_MAX_AZS = 5
# Of aws_ec2.Vpc: takes the rules of the default group away.
_EMPTIES_DEFAULT_GROUP = "RestrictDefaultSecurityGroupCustomResource"
_OwnNetworkSettings = PublicNetworkSettings | PrivateNetworkSettings | IsolatedNetworkSettings


class Network(Construct):
    """Where jobs run: a VPC of one's own, in one of three modes, or one that exists.

    - ``public``, the default, costs nothing while idle: public subnets, no NAT gateway. Instances have public
      addresses, to reach AWS's own services.
    - ``private_with_nat``: private subnets, and NAT gateways for the way out.
    - ``isolated``: no way out but VPC endpoints of the AWS services that jobs need; see `VpcEndpoints`.
    - ``existing``: a VPC and subnets by their ids.

    Nothing is reachable from outside in any of them. Traffic to S3 stays inside AWS, through a gateway
    endpoint, which is free. Each mode has addresses of its own for its subnets (see docs/adr/018), so that
    one can be changed for another: new subnets come first, compute environments move, and old ones go.

    Attributes:
        vpc: the VPC.
        subnets: which of its subnets jobs run in.
        subnet_ids: their ids.
        availability_zones: the Availability Zone of each of them.
        awaits_lookup: whether the VPC is one that CDK has put there until it has looked up the one meant.
        data_subnets: where a file system or a database is: subnets that stay when the mode changes, in the
            same Availability Zones as jobs; in a VPC that exists, those of the jobs.
        security_group: for instances and Fargate tasks; all egress, no ingress.
        clients: all security groups from which jobs reach what the platform provides in this network.
        assigns_public_ip: whether Fargate tasks need a public address, as they do in public subnets.
        connectivity: the ways from these subnets to AWS's services; depend on it to be deleted before them.
        endpoints: the VPC endpoints of an isolated network of one's own; else none.
        flow_log: the VPC's flow log, if the settings ask for one.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        settings: NetworkSettings | None = None,
        vpc: ec2.IVpc | None = None,
        subnets: ec2.SubnetSelection | None = None,
        keeps_data: bool = False,
        log_retention_days: int = 30,
        removal_policy: RemovalPolicy = RemovalPolicy.RETAIN,
        key: kms.IKey | None = None,
    ) -> None:
        """Create a network, or use one that exists.

        Args:
            scope: the parent construct.
            construct_id: this construct's id within it.
            settings: the mode and what belongs to it; by default ``public``. Not looked at if a VPC is given.
            vpc: an existing VPC.
            subnets: where in the VPC; by default its private subnets with egress, else its public ones. Jobs
                need a way from there to ECR, ECS, CloudWatch Logs and S3: NAT, endpoints, or, in public
                subnets, a public address, which EC2 instances get only if the subnet assigns one.
            keeps_data: whether a file system or a database needs subnets, in a VPC of one's own.
            log_retention_days: how long entries of the flow log are kept, in days.
            removal_policy: what becomes of those entries with the stack.
            key: encrypts those entries; by default that of CloudWatch Logs.

        Raises:
            ValueError: the VPC has no such subnet.
        """
        super().__init__(scope, construct_id)
        settings = settings or PublicNetworkSettings()
        self.endpoints: VpcEndpoints | None = None
        self.flow_log: FlowLog | None = None
        self.vpc: ec2.IVpc
        if vpc is not None:
            self.vpc = vpc
        elif isinstance(settings, ExistingNetworkSettings):
            self.vpc = self._existing_vpc(settings)
        else:
            self.vpc = own = self._own_vpc(settings, keeps_data)
        self.subnets = subnets or self._default_subnets(anything=vpc is None)
        own_data = keeps_data and vpc is None and not isinstance(settings, ExistingNetworkSettings)
        self.data_subnets = (
            ec2.SubnetSelection(subnet_type=ec2.SubnetType.PRIVATE_ISOLATED) if own_data else self.subnets
        )
        selected = self._selected()
        self.subnet_ids = list(selected.subnet_ids)
        self.availability_zones = list(selected.availability_zones)
        self.awaits_lookup = bool(selected.is_pending_lookup)
        public_ids = {subnet.subnet_id for subnet in self.vpc.public_subnets}
        self.assigns_public_ip = not public_ids.isdisjoint(selected.subnet_ids)
        if vpc is not None:
            self._warn_of_isolated(vpc)
        self.connectivity: IDependable = selected.internet_connectivity_established
        self.security_group = ec2.SecurityGroup(
            self,
            "JobSecurityGroup",
            vpc=self.vpc,
            description="Batch jobs: all egress, no ingress",
            allow_all_outbound=True,
        )
        self.clients: list[ec2.ISecurityGroup] = [self.security_group]
        if vpc is None and not isinstance(settings, ExistingNetworkSettings):
            self._furnish(own, settings, log_retention_days, removal_policy, key)

    def admit_nodes_with_efa(self) -> bool:
        """Let nodes reach what other jobs do although they are in the VPC's default security group.

        AWS Batch puts the containers of multi-node parallel jobs there if the compute environment names no
        group, as with EFA. That group lets its members connect to each other, unless it was changed, as CDK
        does itself to a VPC with ``restrictDefaultSecurityGroup``.
        https://docs.aws.amazon.com/batch/latest/userguide/mnp-ce.html

        Returns:
            Whether the VPC's default group is known, and as EC2 made it: so it is in a VPC of one's own.
        """
        if not isinstance(self.vpc, ec2.Vpc) or self.vpc.node.try_find_child(_EMPTIES_DEFAULT_GROUP):
            return False
        if len(self.clients) == 1:
            default = ec2.SecurityGroup.from_security_group_id(
                self, "DefaultSecurityGroup", self.vpc.vpc_default_security_group, mutable=False
            )
            self.clients.append(default)
            if self.endpoints is not None:
                self.endpoints.admit(default)
        return True

    def in_zone(self, number: int) -> ec2.SubnetSelection:
        """Select the subnet in one Availability Zone of those that jobs run in.

        Args:
            number: which zone, counted from 1.

        Raises:
            ValueError: there are not so many.
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

    def _default_subnets(self, *, anything: bool) -> ec2.SubnetSelection:
        """Choose what jobs can run in; isolated subnets only if the settings ask for no others."""
        if self.vpc.private_subnets:
            return ec2.SubnetSelection(subnet_type=ec2.SubnetType.PRIVATE_WITH_EGRESS)
        if self.vpc.public_subnets:
            return ec2.SubnetSelection(subnet_type=ec2.SubnetType.PUBLIC)
        if anything:
            return ec2.SubnetSelection(subnet_type=ec2.SubnetType.PRIVATE_ISOLATED)
        raise ValueError(
            f"vpc must have private subnets with egress or public ones, or subnets must say which to use, "
            f"got {len(self.vpc.isolated_subnets)} isolated subnets only at {self.node.path}"
        )

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

    def _warn_of_isolated(self, vpc: ec2.IVpc) -> None:
        isolated = {subnet.subnet_id for subnet in vpc.isolated_subnets}
        if isolated.isdisjoint(self.subnet_ids):
            return
        Annotations.of(self).add_warning_v2(
            "batch-stack:isolatedSubnets",
            f"Some of the subnets are isolated: without the VPC endpoints {NEEDED_ENDPOINTS} in their VPC, "
            f"which are not made here, no job leaves RUNNABLE or STARTING. At {self.node.path}",
        )

    def _own_vpc(self, settings: _OwnNetworkSettings, keeps_data: bool) -> ec2.Vpc:
        nat_gateways = settings.nat_gateways if isinstance(settings, PrivateNetworkSettings) else 0
        return ec2.Vpc(
            self,
            "Vpc",
            ip_addresses=ec2.IpAddresses.cidr(settings.cidr),
            # By number: by name they would be looked up in an account.
            availability_zones=[Fn.select(number, Fn.get_azs()) for number in range(settings.max_azs)],
            # A zone that is added takes addresses that were kept for it, and moves none.
            reserved_azs=_MAX_AZS - settings.max_azs,
            nat_gateways=nat_gateways,
            subnet_configuration=_subnet_configuration(settings, keeps_data),
            # Emptying the default group takes a custom resource; nodes with EFA are in it, and nothing else.
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

    def _furnish(
        self,
        vpc: ec2.Vpc,
        settings: _OwnNetworkSettings,
        log_retention_days: int,
        removal_policy: RemovalPolicy,
        key: kms.IKey | None,
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
            # What goes through NAT is paid for by the gigabyte.
            vpc.add_gateway_endpoint("DynamoDbEndpoint", service=ec2.GatewayVpcEndpointAwsService.DYNAMODB)
        if settings.flow_logs:
            self.flow_log = FlowLog(
                self,
                "FlowLog",
                vpc=vpc,
                log_retention_days=log_retention_days,
                removal_policy=removal_policy,
                key=key,
            )


def _subnet_configuration(settings: _OwnNetworkSettings, keeps_data: bool) -> list[ec2.SubnetConfiguration]:
    """The kinds of subnets in their fixed order; what comes before the last one used keeps its addresses."""
    kinds = {
        "Public": ec2.SubnetType.PUBLIC,
        "Private": ec2.SubnetType.PRIVATE_WITH_EGRESS,
        "Isolated": ec2.SubnetType.PRIVATE_ISOLATED,
    }
    of_modes = {"public": ["Public"], "private_with_nat": ["Public", "Private"], "isolated": ["Isolated"]}
    used = [*of_modes[settings.mode], *(["Isolated"] if keeps_data else [])]
    names = list(kinds)[: list(kinds).index(used[-1]) + 1]
    # A sixteenth of the VPC each: five zones of three kinds fit.
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
