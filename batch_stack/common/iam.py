"""IAM roles: one for each purpose, each with the least that it needs.

The trust policies follow https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-iam-roles.html
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aws_cdk import Aws, Stack, Token
from aws_cdk import aws_batch as batch
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from constructs import Construct, IConstruct

from batch_stack.common.kms import READ, WRITE, grant_key
from batch_stack.settings.base.values import SHARE_OR_PREFIX


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


def function_role(scope: Construct, construct_id: str, *, description: str) -> iam.Role:
    """Create a role that only functions of this account can take, with no permission yet.

    https://docs.aws.amazon.com/lambda/latest/dg/permissions-managed-policies.html tells which conditions the
    trust policy of an execution role may have.

    Args:
        scope: the parent construct.
        construct_id: the role's id within it.
        description: what the role is for; shown in IAM.
    """
    return iam.Role(
        scope,
        construct_id,
        description=description,
        assumed_by=iam.ServicePrincipal(
            "lambda.amazonaws.com",
            # No ARN: the function gets its name after the role, and Lambda takes the role for the function's
            # event source mappings, too.
            conditions={"StringEquals": {"aws:SourceAccount": Aws.ACCOUNT_ID}},
        ),
    )


def grant_submit_job(
    grantee: iam.IGrantable,
    *,
    queues: Sequence[batch.IJobQueue],
    job_definition_arns: Sequence[str],
    shared_queues: Sequence[batch.IJobQueue] = (),
    shares: Sequence[str] = (),
    tags: Mapping[str, str] | None = None,
) -> None:
    """Allow submitting some jobs to some queues, and nothing else.

    https://docs.aws.amazon.com/service-authorization/latest/reference/list_batch.html

    Args:
        grantee: who may submit.
        queues: the queues that no share is asked for.
        job_definition_arns: ARNs without a revision. Every revision is allowed, because each deployment makes
            a new one.
        shared_queues: queues with fair share, for jobs of `shares` only.
        shares: share identifiers, or prefixes that end in ``*``; at least one if there are `shared_queues`.
        tags: the only tags that a job may be given, when it is submitted or later; by default none. One that
            has one of these keys with another value stays as it is.

    Raises:
        ValueError: a share is not of letters and digits.
    """
    definitions = [*job_definition_arns, *(f"{arn}:*" for arn in job_definition_arns)]
    # A job for a queue without fair share must not name a share: one condition for all would deny it.
    for some in (queues, shared_queues):
        if some:
            iam.Grant.add_to_principal(
                grantee=grantee,
                actions=["batch:SubmitJob"],
                resource_arns=[*(queue.job_queue_arn for queue in some), *definitions],
                conditions=_of_share(shares, at=some[0].node.path) if some is shared_queues else None,
            )
    if tags:
        iam.Grant.add_to_principal(
            grantee=grantee,
            actions=["batch:TagResource"],
            resource_arns=[_any_job((*queues, *shared_queues)[0])],
            conditions={
                "StringEquals": {f"aws:RequestTag/{key}": value for key, value in tags.items()},
                "ForAllValues:StringEquals": {"aws:TagKeys": list(tags)},
                # TagResource alone allows tagging later, too, which no key of AWS Batch tells from tagging at
                # submission. A job has no tags yet then; one that somebody has tagged otherwise stays theirs.
                "StringEqualsIfExists": {f"aws:ResourceTag/{key}": value for key, value in tags.items()},
            },
        )


def _of_share(shares: Sequence[str], *, at: str) -> dict[str, dict[str, list[str]]]:
    for share in shares:
        if not Token.is_unresolved(share) and not SHARE_OR_PREFIX.fullmatch(share):
            raise ValueError(
                f"shares must be 1 to 255 letters and digits, and may end in *, got {share!r} at {at}"
            )
    # Values of one key are alternatives within an operator only: one operator for names and for prefixes.
    operator = "StringLike" if any(share.endswith("*") for share in shares) else "StringEquals"
    return {operator: {"batch:ShareIdentifier": list(shares)}}


def grant_read_jobs(grantee: iam.IGrantable) -> None:
    """Allow asking how jobs are doing, of every queue: AWS binds neither action to a resource.

    Args:
        grantee: who may ask.
    """
    iam.Grant.add_to_principal(
        grantee=grantee, actions=["batch:DescribeJobs", "batch:ListJobs"], resource_arns=["*"]
    )


def grant_stop_jobs(grantee: iam.IGrantable, scope: Construct, *, tags: Mapping[str, str]) -> None:
    """Allow cancelling and terminating the jobs that carry some tags, and no others.

    The ARN of a job tells neither its queue nor its definition: tags are the only way to tell jobs apart.
    They have to be given when the job is submitted, which `ContainerJob.grant_submit` can allow. AWS Batch
    cannot allow that without allowing to tag later: whoever may do both can tag a job that has none of these
    keys, and then stop it. A job that has to be safe from them needs the same keys with other values.

    Args:
        grantee: who may stop them.
        scope: a construct of the stack whose account and Region the jobs are in.
        tags: what a job must be tagged with, all of it.

    Raises:
        ValueError: no tag is given, which would allow stopping every job of the account.
    """
    if not tags:
        raise ValueError(f"tags must have at least one entry, got {dict(tags)} at {scope.node.path}")
    iam.Grant.add_to_principal(
        grantee=grantee,
        actions=["batch:CancelJob", "batch:TerminateJob"],
        resource_arns=[_any_job(scope)],
        conditions={"StringEquals": {f"aws:ResourceTag/{key}": value for key, value in tags.items()}},
    )


def _any_job(scope: IConstruct) -> str:
    return Stack.of(scope).format_arn(service="batch", resource="job", resource_name="*")


def grant_read_objects(grantee: iam.IGrantable, bucket: s3.IBucket) -> None:
    """Allow reading objects, of any version, by name: the L2 grant would add wildcard actions.

    Listing makes S3 answer 404 for an object that is not there, instead of 403: a worker can then tell a
    missing input from a missing permission.
    """
    iam.Grant.add_to_principal(grantee=grantee, actions=["s3:ListBucket"], resource_arns=[bucket.bucket_arn])
    iam.Grant.add_to_principal(
        grantee=grantee,
        actions=["s3:GetObject", "s3:GetObjectVersion"],
        resource_arns=[bucket.arn_for_objects("*")],
    )
    grant_key(grantee, bucket.encryption_key, actions=READ, service="s3")


def grant_write_objects(grantee: iam.IGrantable, bucket: s3.IBucket) -> None:
    """Allow writing objects, and giving up an upload in parts that cannot be finished."""
    iam.Grant.add_to_principal(
        grantee=grantee,
        actions=["s3:AbortMultipartUpload", "s3:PutObject"],
        resource_arns=[bucket.arn_for_objects("*")],
    )
    grant_key(grantee, bucket.encryption_key, actions=WRITE, service="s3")
