"""A table with an item for each job."""

from __future__ import annotations

from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from constructs import Construct

from batch_stack.common.iam import grant_with_key
from batch_stack.common.job_access import JobResources
from batch_stack.common.retention import DataPolicy


class JobTable(Construct):
    """A DynamoDB table with an item for each job, billed by request and restorable to any second.

    Its partition key is ``job_id``. An item may have an ``expires_at``, in seconds since 1970, after which
    DynamoDB deletes it. All other attributes are up to the jobs.

    Attributes:
        table: the table.
    """

    def __init__(
        self, scope: Construct, construct_id: str, *, data_policy: DataPolicy = DataPolicy()
    ) -> None:
        """Creates the table.

        Args:
            scope: the parent construct.
            construct_id: this construct's id within it.
            data_policy: what happens to the table when the stack is deleted, and which key encrypts it. A
                retained table cannot be deleted before its deletion protection is switched off.
        """
        super().__init__(scope, construct_id)
        self._key = data_policy.key
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
            encryption=encryption.CUSTOMER_MANAGED if self._key is not None else encryption.DEFAULT,
            encryption_key=self._key,
            deletion_protection=data_policy.retains,
            removal_policy=data_policy.removal_policy,
        )

    def for_jobs(self) -> JobResources:
        """Returns ``JOB_TABLE`` and the permissions of `grant_use`, for jobs that use the table."""
        return JobResources(environment={"JOB_TABLE": self.table.table_name}, grants=[self.grant_use])

    def grant_use(self, grantee: iam.IGrantable) -> iam.Grant:
        """Allows reading, putting and changing items, but neither deleting them nor reading the whole table.

        Args:
            grantee: the principal that may use the table.

        Returns:
            The grant, which includes the use of the table's key.
        """
        return grant_with_key(
            grantee,
            actions=["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem"],
            resource=self.table.table_arn,
            key=self._key,
            service="dynamodb",
        )
