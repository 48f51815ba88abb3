"""Flow logs of a VPC: who spoke to whom."""

from __future__ import annotations

from aws_cdk import Aws, RemovalPolicy, Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from constructs import Construct

from batch_stack.common.log_group import log_group


class FlowLog(Construct):
    """All traffic of a VPC, accepted and rejected, in a log group of its own.

    https://docs.aws.amazon.com/vpc/latest/userguide/flow-logs-iam-role.html

    Attributes:
        log_group: where the entries go.
        role: what VPC Flow Logs writes them with; it reaches that log group only.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        vpc: ec2.IVpc,
        log_retention_days: int,
        removal_policy: RemovalPolicy,
        key: kms.IKey | None = None,
    ) -> None:
        """Create the flow log.

        Args:
            scope: the parent construct.
            construct_id: this construct's id within it.
            vpc: whose traffic.
            log_retention_days: how long entries are kept, in days: a period that CloudWatch Logs has.
            removal_policy: what becomes of the entries with the stack.
            key: encrypts the entries; by default that of CloudWatch Logs.
        """
        super().__init__(scope, construct_id)
        self.log_group = log_group(
            self, "LogGroup", retention_days=log_retention_days, removal_policy=removal_policy, key=key
        )
        flow_logs = Stack.of(self).format_arn(service="ec2", resource="vpc-flow-log", resource_name="*")
        self.role = iam.Role(
            self,
            "Role",
            description="Lets VPC Flow Logs write to its log group",
            assumed_by=iam.ServicePrincipal(
                "vpc-flow-logs.amazonaws.com",
                conditions={
                    "StringEquals": {"aws:SourceAccount": Aws.ACCOUNT_ID},
                    "ArnLike": {"aws:SourceArn": flow_logs},
                },
            ),
            inline_policies={
                "Write": iam.PolicyDocument(
                    statements=[
                        iam.PolicyStatement(
                            actions=["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"],
                            resources=[self.log_group.log_group_arn],
                        )
                    ]
                )
            },
        )
        # The L2 would let the role pass itself to anything.
        ec2.CfnFlowLog(
            self,
            "Resource",
            resource_id=vpc.vpc_id,
            resource_type="VPC",
            traffic_type="ALL",
            log_destination_type="cloud-watch-logs",
            log_group_name=self.log_group.log_group_name,
            deliver_logs_permission_arn=self.role.role_arn,
            max_aggregation_interval=60,
        )
