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


def instance_role(scope: Construct, construct_id: str) -> iam.Role:
    """Create the role of container instances, which the ECS agent uses; jobs have their own.

    Args:
        scope: the parent construct.
        construct_id: the role's id within it.
    """
    return iam.Role(
        scope,
        construct_id,
        description="Lets container instances join the ECS cluster of their compute environment",
        assumed_by=iam.ServicePrincipal("ec2.amazonaws.com"),
        # The cluster's name is made up by AWS Batch, so no policy of ours could be narrower than AWS's own.
        managed_policies=[
            iam.ManagedPolicy.from_aws_managed_policy_name("service-role/AmazonEC2ContainerServiceforEC2Role")
        ],
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
