"""The network that jobs run in."""

from __future__ import annotations

from aws_cdk import aws_ec2 as ec2
from constructs import Construct


class Network(Construct):
    """A VPC that costs nothing while idle: public subnets, no NAT gateway, nothing reachable from outside.

    Instances have public addresses, to reach AWS's own services, and a security group without any ingress.
    Traffic to S3 stays inside AWS, through a gateway endpoint, which is free.

    Attributes:
        vpc: the VPC.
        subnets: which of its subnets jobs run in.
        security_group: for instances and Fargate tasks; all egress, no ingress.
        assigns_public_ip: whether Fargate tasks need a public address.
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
            subnets: where in an existing VPC; by default its private subnets with egress. They need a way to
                ECR, ECS, CloudWatch Logs and S3, through NAT or endpoints.
        """
        super().__init__(scope, construct_id)
        self.assigns_public_ip = vpc is None
        self.vpc = vpc or self._public_vpc()
        subnet_type = ec2.SubnetType.PUBLIC if self.assigns_public_ip else ec2.SubnetType.PRIVATE_WITH_EGRESS
        self.subnets = subnets or ec2.SubnetSelection(subnet_type=subnet_type)
        self.security_group = ec2.SecurityGroup(
            self,
            "JobSecurityGroup",
            vpc=self.vpc,
            description="Batch jobs: all egress, no ingress",
            allow_all_outbound=True,
        )

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
