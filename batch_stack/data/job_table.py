"""A table for results: an item for each job."""

from __future__ import annotations

from aws_cdk import RemovalPolicy
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from constructs import Construct

from batch_stack.common.job_access import JobResources
from batch_stack.common.kms import WRITE, grant_key


class JobTable(Construct):
    """A DynamoDB table with an item for each job, paid for by the request and restorable to any second.

    Its key is ``job_id``, and an item may have an ``expires_at``, in seconds since 1970, after which DynamoDB
    deletes it. All else is up to the jobs.

    Attributes:
        table: the table.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        removal_policy: RemovalPolicy,
        key: kms.IKey | None = None,
    ) -> None:
        """Create the table.

        Args:
            scope: the parent construct.
            construct_id: this construct's id within it.
            removal_policy: what becomes of it with the stack; one that is retained cannot be deleted at all
                until its protection is switched off.
            key: encrypts it; by default one that DynamoDB owns.
        """
        super().__init__(scope, construct_id)
        self._key = key
        encryption = dynamodb.TableEncryption
        self.table = dynamodb.Table(
            self,
            "Table",
            partition_key=dynamodb.Attribute(name="job_id", type=dynamodb.AttributeType.STRING),
            billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
            time_to_live_attribute="expires_at",
            point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
                point_in_time_recovery_enabled=True
            ),
            encryption=encryption.CUSTOMER_MANAGED if key is not None else encryption.DEFAULT,
            encryption_key=key,
            deletion_protection=removal_policy is RemovalPolicy.RETAIN,
            removal_policy=removal_policy,
        )

    def for_jobs(self) -> JobResources:
        """What a job gets of it: ``JOB_TABLE``, and leave to read, put and change items."""
        return JobResources(environment={"JOB_TABLE": self.table.table_name}, grants=[self.grant_use])

    def grant_use(self, grantee: iam.IGrantable) -> None:
        """Allow reading, putting and changing items, but neither deleting them nor reading the whole table.

        Args:
            grantee: who may.
        """
        iam.Grant.add_to_principal(
            grantee=grantee,
            actions=["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem"],
            resource_arns=[self.table.table_arn],
        )
        grant_key(grantee, self._key, actions=WRITE, service="dynamodb")
