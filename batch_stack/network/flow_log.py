"""Flow logs of a VPC."""

from __future__ import annotations

from aws_cdk import Aws, Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from constructs import Construct

from batch_stack.common.log_group import log_group
from batch_stack.common.retention import DataPolicy


class FlowLog(Construct):
    """A log of all traffic of a VPC, accepted and rejected, in a log group of its own.

    https://docs.aws.amazon.com/vpc/latest/userguide/flow-logs-iam-role.html

    Attributes:
        log_group: the log group with the entries.
        role: the role with which VPC Flow Logs writes the entries; it reaches that log group only.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        vpc: ec2.IVpc,
        data_policy: DataPolicy = DataPolicy(),
    ) -> None:
        """Creates the flow log.

        Args:
            scope: the parent construct.
            construct_id: this construct's id within it.
            vpc: the VPC whose traffic is logged.
            data_policy: how long entries are kept, and which key encrypts them.
        """
        super().__init__(scope, construct_id)
        self.log_group = log_group(self, "LogGroup", data_policy=data_policy)
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
        # The L2 would let the role pass itself to any service.
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
