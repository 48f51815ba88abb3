"""The network that jobs run in."""

from __future__ import annotations

from aws_cdk import aws_ec2 as ec2
from constructs import Construct, IDependable


class Network(Construct):
    """A VPC that costs nothing while idle: public subnets, no NAT gateway, nothing reachable from outside.

    Instances have public addresses, to reach AWS's own services, and a security group without any ingress.
    Traffic to S3 stays inside AWS, through a gateway endpoint, which is free.

    Attributes:
        vpc: the VPC.
        subnets: which of its subnets jobs run in.
        security_group: for instances and Fargate tasks; all egress, no ingress.
        assigns_public_ip: whether Fargate tasks need a public address, as they do in public subnets.
        connectivity: the routes of these subnets to the outside; depend on it to be deleted before them.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        vpc: ec2.IVpc | None = None,
        subnets: ec2.SubnetSelection | None = None,
    ) -> None:
        """Create a network, or use one that exists.

        Args:
            scope: the parent construct.
            construct_id: this construct's id within it.
            vpc: an existing VPC; by default one is made.
            subnets: where in the VPC; by default its private subnets with egress, else its public ones. Jobs
                need a way from there to ECR, ECS, CloudWatch Logs and S3: NAT, endpoints, or, in public
                subnets, a public address, which EC2 instances get only if the subnet assigns one.

        Raises:
            ValueError: the VPC has no such subnet.
        """
        super().__init__(scope, construct_id)
        self.vpc = vpc or self._public_vpc()
        self.subnets = subnets or self._default_subnets()
        selected = self._selected()
        public_ids = {subnet.subnet_id for subnet in self.vpc.public_subnets}
        self.assigns_public_ip = not public_ids.isdisjoint(selected.subnet_ids)
        self.connectivity: IDependable = selected.internet_connectivity_established
        self.security_group = ec2.SecurityGroup(
            self,
            "JobSecurityGroup",
            vpc=self.vpc,
            description="Batch jobs: all egress, no ingress",
            allow_all_outbound=True,
        )

    def _default_subnets(self) -> ec2.SubnetSelection:
        if self.vpc.private_subnets:
            return ec2.SubnetSelection(subnet_type=ec2.SubnetType.PRIVATE_WITH_EGRESS)
        if self.vpc.public_subnets:
            return ec2.SubnetSelection(subnet_type=ec2.SubnetType.PUBLIC)
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

    def _public_vpc(self) -> ec2.Vpc:
        vpc = ec2.Vpc(
            self,
            "Vpc",
            max_azs=2,
            nat_gateways=0,
            subnet_configuration=[
                ec2.SubnetConfiguration(name="Public", subnet_type=ec2.SubnetType.PUBLIC, cidr_mask=20)
            ],
            # Emptying the default group takes a custom resource; nothing here uses that group.
            restrict_default_security_group=False,
        )
        vpc.add_gateway_endpoint("S3Endpoint", service=ec2.GatewayVpcEndpointAwsService.S3)
        return vpc
