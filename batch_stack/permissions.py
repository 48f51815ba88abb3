"""IAM roles: one for each purpose, each with the least that it needs.

The trust policies follow https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-iam-roles.html
"""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import Aws, Stack
from aws_cdk import aws_batch as batch
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from constructs import Construct


def task_role(scope: Construct, construct_id: str, *, description: str) -> iam.Role:
    """Create a role that only containers of this account and Region can take: a job or an execution role.

    Args:
        scope: the parent construct.
        construct_id: the role's id within it.
        description: what the role is for; shown in IAM.
    """
    # AWS Batch runs jobs as ECS tasks, so it is ECS that takes the role, on behalf of a resource of ECS.
    any_ecs_resource = Stack.of(scope).format_arn(service="ecs", resource="*")
    return iam.Role(
        scope,
        construct_id,
        description=description,
        assumed_by=iam.ServicePrincipal(
            "ecs-tasks.amazonaws.com",
            conditions={
                "StringEquals": {"aws:SourceAccount": Aws.ACCOUNT_ID},
                "ArnLike": {"aws:SourceArn": any_ecs_resource},
            },
        ),
    )


def instance_role(scope: Construct, construct_id: str, *, drains: bool) -> iam.Role:
    """Create the role of container instances, with what the ECS agent needs and no more.

    Jobs on EC2 share the host's network, so a job that runs as root can take this role (see
    docs/adr/015). It therefore holds nothing of the managed AmazonEC2ContainerServiceforEC2Role that pulls
    images or writes logs, for every job has an execution role; and it reaches the clusters of AWS Batch only,
    by both forms of the names that it gives them.
    https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonelasticcontainerservice.html

    Args:
        scope: the parent construct.
        construct_id: the role's id within it.
        drains: whether the agent may set its instance DRAINING, which it does on a Spot interruption notice.
    """
    stack = Stack.of(scope)
    clusters = [
        stack.format_arn(service="ecs", resource="cluster", resource_name=name)
        for name in ("AWSBatch*", "*_Batch_*")
    ]
    instances = stack.format_arn(service="ecs", resource="container-instance", resource_name="*")
    of_instances = ["ecs:Poll", "ecs:StartTelemetrySession"]
    if drains:
        of_instances.append("ecs:UpdateContainerInstancesState")
    statements = [
        # AWS lets this one be bound to no resource: it tells the agent which endpoint to talk to.
        iam.PolicyStatement(actions=["ecs:DiscoverPollEndpoint"], resources=["*"]),
        iam.PolicyStatement(
            actions=[
                "ecs:DeregisterContainerInstance",
                "ecs:RegisterContainerInstance",
                "ecs:SubmitAttachmentStateChanges",
                "ecs:SubmitContainerStateChange",
                "ecs:SubmitTaskStateChange",
            ],
            resources=clusters,
        ),
        iam.PolicyStatement(
            actions=of_instances,
            resources=[instances],
            conditions={"ArnLike": {"ecs:cluster": clusters}},
        ),
        iam.PolicyStatement(
            actions=["ecs:TagResource"],
            resources=[instances],
            conditions={"StringEquals": {"ecs:CreateAction": "RegisterContainerInstance"}},
        ),
    ]
    return iam.Role(
        scope,
        construct_id,
        description="Lets container instances join the ECS cluster of their compute environment",
        assumed_by=iam.ServicePrincipal("ec2.amazonaws.com"),
        inline_policies={"EcsAgent": iam.PolicyDocument(statements=statements)},
    )


def function_role(scope: Construct, construct_id: str, *, description: str) -> iam.Role:
    """Create a role for a Lambda function, with no permission yet.

    Args:
        scope: the parent construct.
        construct_id: the role's id within it.
        description: what the role is for; shown in IAM.
    """
    return iam.Role(
        scope,
        construct_id,
        description=description,
        assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"),
    )


def grant_submit_job(
    grantee: iam.IGrantable, *, queue: batch.IJobQueue, job_definition_arns: Sequence[str]
) -> None:
    """Allow submitting some jobs to one queue, and nothing else.

    Args:
        grantee: who may submit.
        queue: the only queue.
        job_definition_arns: ARNs without a revision. Every revision is allowed, because each deployment makes
            a new one: https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsbatch.html
    """
    revisions = [f"{arn}:*" for arn in job_definition_arns]
    grantee.grant_principal.add_to_principal_policy(
        iam.PolicyStatement(
            actions=["batch:SubmitJob"],
            resources=[queue.job_queue_arn, *job_definition_arns, *revisions],
        )
    )


def grant_read_objects(grantee: iam.IGrantable, bucket: s3.IBucket) -> None:
    """Allow reading objects, of any version, by name: the L2 grant would add wildcard actions.

    Listing makes S3 answer 404 for an object that is not there, instead of 403: a worker can then tell a
    missing input from a missing permission.
    """
    grantee.grant_principal.add_to_principal_policy(
        iam.PolicyStatement(actions=["s3:ListBucket"], resources=[bucket.bucket_arn])
    )
    grantee.grant_principal.add_to_principal_policy(
        iam.PolicyStatement(
            actions=["s3:GetObject", "s3:GetObjectVersion"], resources=[bucket.arn_for_objects("*")]
        )
    )


def grant_write_objects(grantee: iam.IGrantable, bucket: s3.IBucket) -> None:
    """Allow writing objects, and giving up an upload in parts that cannot be finished."""
    grantee.grant_principal.add_to_principal_policy(
        iam.PolicyStatement(
            actions=["s3:AbortMultipartUpload", "s3:PutObject"], resources=[bucket.arn_for_objects("*")]
        )
    )
