"""IAM roles with the fewest permissions that their purpose needs, and grants to other principals.

The trust policies follow https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-iam-roles.html
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from typing import Any

from aws_cdk import Annotations, Aws, Stack, Token
from aws_cdk import aws_batch as batch
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from constructs import Construct, IConstruct

from batch_stack.common.kms import READ, WRITE, grant_key
from batch_stack.settings.base.values import SHARE_OR_PREFIX


def task_role(scope: Construct, construct_id: str, *, description: str) -> iam.Role:
    """Creates a role that only containers of this account and Region can assume: a job or an execution role.

    Args:
        scope: the parent construct.
        construct_id: the role's id within it.
        description: what the role is for; shown in IAM.
    """
    # AWS Batch runs jobs as ECS tasks, so ECS assumes the role on behalf of one of its own resources.
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
    """Creates a role that only functions of this account can assume, with no permission yet.

    The trust policy has the conditions that Lambda allows for an execution role:
    https://docs.aws.amazon.com/lambda/latest/dg/permissions-managed-policies.html

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
            # No ARN: the function gets its name after the role, and Lambda also assumes the role for the
            # function's event source mappings.
            conditions={"StringEquals": {"aws:SourceAccount": Aws.ACCOUNT_ID}},
        ),
    )


def combined_grant(first: iam.Grant, *others: iam.Grant | None) -> iam.Grant:
    """Returns one grant that combines several.

    Args:
        first: a grant.
        others: more grants; None is skipped.
    """
    return reduce(
        lambda grant, other: grant.combine(other), (one for one in others if one is not None), first
    )


def grant_with_key(
    grantee: iam.IGrantable,
    *,
    actions: Sequence[str],
    resource: str,
    key: kms.IKey | None,
    service: str,
) -> iam.Grant:
    """Allows actions that write to a resource, and using the resource's key through its service.

    Args:
        grantee: the principal that gets the permissions.
        actions: the actions.
        resource: the ARN of the resource.
        key: the key that encrypts the resource; None if CDK knows none.
        service: the service of the resource, as its endpoint begins: ``sqs``.
    """
    return combined_grant(
        iam.Grant.add_to_principal(grantee=grantee, actions=list(actions), resource_arns=[resource]),
        grant_key(grantee, key, actions=WRITE, service=service),
    )


def grant_submit_job(
    grantee: iam.IGrantable,
    *,
    queues: Sequence[batch.IJobQueue],
    job_definition_arns: Sequence[str],
    shared_queues: Sequence[batch.IJobQueue] = (),
    shares: Sequence[str] = (),
    tags: Mapping[str, str] | None = None,
) -> iam.Grant:
    """Allows submitting some jobs to some queues, and nothing else.

    https://docs.aws.amazon.com/service-authorization/latest/reference/list_batch.html

    Args:
        grantee: the principal that may submit.
        queues: the queues for which a job names no share.
        job_definition_arns: ARNs without a revision. Every revision is allowed, because each deployment makes
            a new one.
        shared_queues: queues with fair share, for jobs of `shares` only. There must be a queue.
        shares: share identifiers, or prefixes that end in ``*``; at least one if there are `shared_queues`.
        tags: the only tags that a job may be given, when it is submitted or later; by default none. A job
            that has one of these keys with another value cannot be tagged.

    Raises:
        ValueError: a share is not of letters and digits.
    """
    definitions = [*job_definition_arns, *(f"{arn}:*" for arn in job_definition_arns)]
    # A job for a queue without fair share must not name a share: one condition for all would deny it.
    grants = [
        iam.Grant.add_to_principal(
            grantee=grantee,
            actions=["batch:SubmitJob"],
            resource_arns=[*(queue.job_queue_arn for queue in some), *definitions],
            conditions=_share_condition(shares, at=some[0].node.path) if some is shared_queues else None,
        )
        for some in (queues, shared_queues)
        if some
    ]
    if tags:
        grants.append(_grant_tag_jobs(grantee, (*queues, *shared_queues)[0], tags))
    return combined_grant(*grants)


def _grant_tag_jobs(grantee: iam.IGrantable, scope: IConstruct, tags: Mapping[str, str]) -> iam.Grant:
    return iam.Grant.add_to_principal(
        grantee=grantee,
        actions=["batch:TagResource"],
        resource_arns=[_any_job_arn(scope)],
        conditions={
            "StringEquals": {f"aws:RequestTag/{key}": value for key, value in tags.items()},
            "ForAllValues:StringEquals": {"aws:TagKeys": list(tags)},
            # TagResource alone also allows tagging later, which no condition key of AWS Batch distinguishes
            # from tagging at submission. A new job has no tags yet; one with other values keeps them.
            "StringEqualsIfExists": {f"aws:ResourceTag/{key}": value for key, value in tags.items()},
        },
    )


def _share_condition(shares: Sequence[str], *, at: str) -> dict[str, dict[str, list[str]]]:
    for share in shares:
        if not Token.is_unresolved(share) and not SHARE_OR_PREFIX.fullmatch(share):
            raise ValueError(
                f"shares must be 1 to 255 letters and digits, and may end in *, got {share!r} at {at}"
            )
    # Values of one key are alternatives within an operator only: one operator for names and for prefixes.
    operator = "StringLike" if any(share.endswith("*") for share in shares) else "StringEquals"
    return {operator: {"batch:ShareIdentifier": list(shares)}}


def grant_read_jobs(grantee: iam.IGrantable) -> iam.Grant:
    """Allows describing and listing the jobs of every queue: AWS binds neither action to a resource.

    Args:
        grantee: the principal that may describe and list them.
    """
    return iam.Grant.add_to_principal(
        grantee=grantee, actions=["batch:DescribeJobs", "batch:ListJobs"], resource_arns=["*"]
    )


def grant_stop_jobs(grantee: iam.IGrantable, scope: Construct, *, tags: Mapping[str, str]) -> iam.Grant:
    """Allows cancelling and terminating the jobs that have some tags, and no others.

    The ARN of a job contains neither its queue nor its definition, so tags are the only way to tell jobs
    apart. Jobs get tags at submission, which `ContainerJob.grant_submit` can allow. AWS Batch has no
    permission for that alone: it includes tagging existing jobs. So a principal with both permissions can
    tag a job that has none of these keys, and then stop it. A job that has the same keys with other values is
    safe from that.

    Args:
        grantee: the principal that may stop them.
        scope: a construct of the stack whose account and Region the jobs are in.
        tags: the tags that a job must have, all of them.

    Raises:
        ValueError: no tag is given, which would allow stopping every job of the account.
    """
    if not tags:
        raise ValueError(f"tags must have at least one entry, got {dict(tags)} at {scope.node.path}")
    return iam.Grant.add_to_principal(
        grantee=grantee,
        actions=["batch:CancelJob", "batch:TerminateJob"],
        resource_arns=[_any_job_arn(scope)],
        conditions={"StringEquals": {f"aws:ResourceTag/{key}": value for key, value in tags.items()}},
    )


def _any_job_arn(scope: IConstruct) -> str:
    return Stack.of(scope).format_arn(service="batch", resource="job", resource_name="*")


def grant_read_objects(grantee: iam.IGrantable, bucket: s3.IBucket) -> iam.Grant:
    """Allows reading objects, of any version, by name; the L2 grant would add wildcard actions.

    Listing makes S3 answer 404 for an object that does not exist, instead of 403: a worker can then tell a
    missing input from a missing permission.

    Args:
        grantee: the principal that may read.
        bucket: the bucket.
    """
    return combined_grant(
        iam.Grant.add_to_principal(
            grantee=grantee, actions=["s3:ListBucket"], resource_arns=[bucket.bucket_arn]
        ),
        iam.Grant.add_to_principal(
            grantee=grantee,
            actions=["s3:GetObject", "s3:GetObjectVersion"],
            resource_arns=[bucket.arn_for_objects("*")],
        ),
        grant_key(grantee, bucket.encryption_key, actions=READ, service="s3"),
    )


def grant_write_objects(grantee: iam.IGrantable, bucket: s3.IBucket) -> iam.Grant:
    """Allows writing objects, and aborting a multipart upload that cannot be finished.

    Args:
        grantee: the principal that may write.
        bucket: the bucket.
    """
    return grant_with_key(
        grantee,
        actions=["s3:AbortMultipartUpload", "s3:PutObject"],
        resource=bucket.arn_for_objects("*"),
        key=bucket.encryption_key,
        service="s3",
    )


def warn_if_not_granted(scope: Construct, grantee: iam.IGrantable, what: str) -> None:
    """Warns if a permission that was just granted to a role had no effect.

    CDK accepts a grant to an imported role of another account, or to a role that must not be changed
    (``mutable=False``), but creates no policy. `Grant.success` is true nevertheless.

    Args:
        scope: the construct whose permission was granted; CDK shows the warning there.
        grantee: the principal of the grant.
        what: the actions that the grant should allow, for the warning.
    """
    # A principal with an ARN is a construct, although the interface does not say so.
    principal: Any = grantee.grant_principal
    arn = getattr(principal, "role_arn", None)
    if arn is None or any(isinstance(one, iam.Policy) for one in principal.node.find_all()):
        return
    Annotations.of(scope).add_warning_v2(
        f"batch-stack:notGranted:{principal.node.path}",
        f"The role {principal.node.path} is not allowed to {what}, because it belongs to another account or "
        "must not be changed: attach the managed policy of an entry of submitters in the settings to it, or, "
        f"if it belongs to another account, let it assume a role of this one. At {scope.node.path}",
    )
