"""VPC endpoints, through which jobs in subnets without internet reach AWS services."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aws_cdk import Aws
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from constructs import Construct, DependencyGroup

from batch_stack.settings.network import EndpointName

_PULL_IMAGES = (
    "ecr:BatchCheckLayerAvailability",
    "ecr:BatchGetImage",
    "ecr:GetAuthorizationToken",
    "ecr:GetDownloadUrlForLayer",
)


@dataclass(frozen=True)
class _Endpoint:
    """An interface endpoint: the construct's id, the service, and the actions that its policy allows."""

    construct_id: str
    service: str
    actions: Sequence[str] = ()


# The three endpoints of the ECS agent have no policy: AWS documents one for the API only, and the role of the
# instance says what the agent may do. https://docs.aws.amazon.com/AmazonECS/latest/developerguide/vpc-endpoints.html
_REQUIRED = (
    _Endpoint("EcsEndpoint", "ecs"),
    _Endpoint("EcsAgentEndpoint", "ecs-agent"),
    _Endpoint("EcsTelemetryEndpoint", "ecs-telemetry"),
    _Endpoint("EcrApiEndpoint", "ecr.api", _PULL_IMAGES),
    _Endpoint("EcrDockerEndpoint", "ecr.dkr", _PULL_IMAGES),
    _Endpoint(
        "LogsEndpoint", "logs", ("logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents")
    ),
)

_OPTIONAL: Mapping[EndpointName, Sequence[str]] = {
    "batch": (
        "batch:CancelJob",
        "batch:DescribeJobDefinitions",
        "batch:DescribeJobQueues",
        "batch:DescribeJobs",
        "batch:ListJobs",
        "batch:SubmitJob",
        "batch:TagResource",
        "batch:TerminateJob",
    ),
    "events": ("events:PutEvents",),
    "kms": ("kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey"),
    "monitoring": ("cloudwatch:PutMetricData",),
    "secretsmanager": ("secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue"),
    "sns": ("sns:Publish",),
    "sqs": (
        "sqs:ChangeMessageVisibility",
        "sqs:DeleteMessage",
        "sqs:GetQueueAttributes",
        "sqs:GetQueueUrl",
        "sqs:ReceiveMessage",
        "sqs:SendMessage",
    ),
    "ssm": ("ssm:GetParameter", "ssm:GetParameters", "ssm:GetParametersByPath"),
    "sts": ("sts:AssumeRole", "sts:GetCallerIdentity", "sts:TagSession"),
}

_READ_OBJECTS = ("s3:GetObject", "s3:GetObjectAttributes", "s3:GetObjectTagging", "s3:GetObjectVersion")
_LIST_BUCKETS = ("s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketVersions")
_WRITE_OBJECTS = (
    "s3:AbortMultipartUpload",
    "s3:DeleteObject",
    "s3:DeleteObjectVersion",
    "s3:ListBucketMultipartUploads",
    "s3:ListMultipartUploadParts",
    "s3:PutObject",
    "s3:PutObjectTagging",
)
_TABLE_ITEMS = tuple(
    f"dynamodb:{action}"
    for action in (
        "BatchGetItem",
        "BatchWriteItem",
        "ConditionCheckItem",
        "DeleteItem",
        "DescribeTable",
        "GetItem",
        "PutItem",
        "Query",
        "Scan",
        "UpdateItem",
    )
)


class VpcEndpoints(Construct):
    """The VPC endpoints that AWS Batch jobs in isolated subnets need.

    Endpoint policies are a limit, not a grant: through these endpoints, principals of this account reach
    resources of this account, with the actions that jobs need. Interface endpoints cost money by the hour,
    each in each Availability Zone; gateway endpoints are free.
    https://docs.aws.amazon.com/batch/latest/userguide/vpc-interface-endpoints.html

    Attributes:
        security_group: the security group of the interface endpoints. It admits the jobs' security group to
            port 443, and with EFA the VPC's default group.
        interfaces: the interface endpoints, by the names of their services.
        gateways: the gateway endpoints of S3 and DynamoDB.
        connectivity: all of them together. A resource that depends on it is created after them and deleted
            before them.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        vpc: ec2.Vpc,
        subnets: ec2.SubnetSelection,
        clients: ec2.ISecurityGroup,
        names: Sequence[EndpointName],
        readable_buckets: Sequence[str] = (),
    ) -> None:
        """Creates the endpoints.

        Args:
            scope: the parent construct.
            construct_id: this construct's id within it.
            vpc: the VPC of the endpoints; it must resolve DNS names, as VPCs do by default.
            subnets: the subnets in which the interface endpoints have addresses, one in each zone.
            clients: the security group that may use them.
            names: services besides those that every job needs to start (ECS, ECR, CloudWatch Logs).
            readable_buckets: names of other accounts' buckets that may be read through the endpoint of S3.
        """
        super().__init__(scope, construct_id)
        self.security_group = ec2.SecurityGroup(
            self,
            "SecurityGroup",
            vpc=vpc,
            description="VPC endpoints: HTTPS from batch jobs",
            allow_all_outbound=False,
        )
        self.allow_from(clients)
        optional = [
            _Endpoint(f"{name.capitalize()}Endpoint", name, _OPTIONAL[name]) for name in sorted(set(names))
        ]
        self.interfaces = {
            endpoint.service: self._interface(endpoint, vpc, subnets) for endpoint in (*_REQUIRED, *optional)
        }
        self.gateways = {
            "s3": vpc.add_gateway_endpoint("S3Endpoint", service=ec2.GatewayVpcEndpointAwsService.S3),
            "dynamodb": vpc.add_gateway_endpoint(
                "DynamoDbEndpoint", service=ec2.GatewayVpcEndpointAwsService.DYNAMODB
            ),
        }
        for statement in _s3_statements(readable_buckets):
            self.gateways["s3"].add_to_policy(statement)
        tables = f"arn:{Aws.PARTITION}:dynamodb:{Aws.REGION}:{Aws.ACCOUNT_ID}:table/*"
        self.gateways["dynamodb"].add_to_policy(_own_account(_TABLE_ITEMS, [tables]))
        self.connectivity = DependencyGroup(
            self.security_group, *self.interfaces.values(), *self.gateways.values()
        )

    def allow_from(self, clients: ec2.ISecurityGroup) -> None:
        """Lets the members of a security group use the interface endpoints.

        Args:
            clients: the security group.
        """
        self.security_group.add_ingress_rule(clients, ec2.Port.tcp(443), "HTTPS from batch jobs")

    def _interface(
        self, endpoint: _Endpoint, vpc: ec2.Vpc, subnets: ec2.SubnetSelection
    ) -> ec2.InterfaceVpcEndpoint:
        made = ec2.InterfaceVpcEndpoint(
            self,
            endpoint.construct_id,
            vpc=vpc,
            subnets=subnets,
            service=ec2.InterfaceVpcEndpointAwsService(endpoint.service),
            security_groups=[self.security_group],
            private_dns_enabled=True,
            # The security group admits jobs only, not the whole VPC.
            open=False,
        )
        if endpoint.actions:
            # The policies of the roles name the resources: images may belong to other accounts.
            made.add_to_policy(_own_account(endpoint.actions, ["*"]))
        return made


def _own_account(actions: Sequence[str], resources: Sequence[str], **conditions: str) -> iam.PolicyStatement:
    """Returns a statement for principals of this account, which a condition selects."""
    return iam.PolicyStatement(
        principals=[iam.AnyPrincipal()],
        actions=list(actions),
        resources=list(resources),
        conditions={"StringEquals": {"aws:PrincipalAccount": Aws.ACCOUNT_ID, **conditions}},
    )


def _s3_statements(readable_buckets: Sequence[str]) -> list[iam.PolicyStatement]:
    """Returns statements for this account's buckets, the named ones, and two of AWS (unsigned requests)."""
    s3 = f"arn:{Aws.PARTITION}:s3:::"
    # Layers of images: https://docs.aws.amazon.com/AmazonECR/latest/userguide/vpc-endpoints.html
    layers = f"{s3}prod-{Aws.REGION}-starport-layer-bucket/*"
    # Packages: https://docs.aws.amazon.com/linux/al2023/ug/managing-repos-os-updates.html
    packages = f"{s3}al2023-repos-{Aws.REGION}-de612dc2/*"
    statements = [
        _own_account(
            [*_LIST_BUCKETS, *_READ_OBJECTS, *_WRITE_OBJECTS],
            [f"{s3}*"],
            **{"aws:ResourceAccount": Aws.ACCOUNT_ID},
        ),
        iam.PolicyStatement(
            principals=[iam.AnyPrincipal()], actions=["s3:GetObject"], resources=[layers, packages]
        ),
    ]
    if readable_buckets:
        statements.append(
            _own_account(
                [*_LIST_BUCKETS, *_READ_OBJECTS],
                [f"{s3}{name}{suffix}" for name in sorted(set(readable_buckets)) for suffix in ("", "/*")],
            )
        )
    return statements
