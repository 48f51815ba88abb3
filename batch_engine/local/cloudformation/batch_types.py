"""The table of ``AWS::Batch::*`` resource types: the operations and members of the AWS Batch API for each."""

from collections.abc import Mapping
from dataclasses import dataclass

from batch_engine import translation as cfn


@dataclass(frozen=True, slots=True)
class ResourceType:
    """A resource type.

    Args:
        noun: the noun in the names of its operations: ``Update<noun>``, ``Delete<noun>``.
        reference: the member that names a resource in the requests of those operations.
        arn: the attribute with its ARN, which is also its ``Ref``.
        describe: the operation that describes it.
        describe_by: the member that names it in the describing request.
        described_in: the member of the answer that lists descriptions; None if the answer is the description.
        settles: whether it has a status, and can be used when that is ``VALID``.
        disabled_first: whether it must be disabled before it can be deleted.
        counters: further attributes, and the member of the description that each comes from.
    """

    noun: str
    reference: str
    arn: str
    describe: str
    describe_by: str
    described_in: str | None = None
    settles: bool = False
    disabled_first: bool = False
    counters: Mapping[str, str] | None = None

    @property
    def arn_member(self) -> str:
        """Returns the member with the ARN in the answer of the creating operation."""
        return self.arn[0].lower() + self.arn[1:]

    @property
    def update(self) -> str:
        """Returns the name of the updating operation."""
        return f"Update{self.noun}"

    @property
    def delete(self) -> str:
        """Returns the name of the deleting operation."""
        return f"Delete{self.noun}"


RESOURCE_TYPES: Mapping[str, ResourceType] = {
    cfn.COMPUTE_ENVIRONMENT: ResourceType(
        noun="ComputeEnvironment",
        reference="computeEnvironment",
        arn="ComputeEnvironmentArn",
        describe="DescribeComputeEnvironments",
        describe_by="computeEnvironments",
        described_in="computeEnvironments",
        settles=True,
        disabled_first=True,
    ),
    cfn.JOB_QUEUE: ResourceType(
        noun="JobQueue",
        reference="jobQueue",
        arn="JobQueueArn",
        describe="DescribeJobQueues",
        describe_by="jobQueues",
        described_in="jobQueues",
        settles=True,
        disabled_first=True,
    ),
    cfn.JOB_DEFINITION: ResourceType(
        noun="JobDefinition",
        reference="jobDefinition",
        arn="JobDefinitionArn",
        describe="DescribeJobDefinitions",
        describe_by="jobDefinitions",
        described_in="jobDefinitions",
    ),
    cfn.SCHEDULING_POLICY: ResourceType(
        noun="SchedulingPolicy",
        reference="arn",
        arn="Arn",
        describe="DescribeSchedulingPolicies",
        describe_by="arns",
        described_in="schedulingPolicies",
    ),
    cfn.CONSUMABLE_RESOURCE: ResourceType(
        noun="ConsumableResource",
        reference="consumableResource",
        arn="ConsumableResourceArn",
        describe="DescribeConsumableResource",
        describe_by="consumableResource",
        counters={
            "CreatedAt": "createdAt",
            "InUseQuantity": "inUseQuantity",
            "AvailableQuantity": "availableQuantity",
        },
    ),
    cfn.SERVICE_ENVIRONMENT: ResourceType(
        noun="ServiceEnvironment",
        reference="serviceEnvironment",
        arn="ServiceEnvironmentArn",
        describe="DescribeServiceEnvironments",
        describe_by="serviceEnvironments",
        described_in="serviceEnvironments",
        settles=True,
        disabled_first=True,
    ),
    cfn.QUOTA_SHARE: ResourceType(
        noun="QuotaShare",
        reference="quotaShareArn",
        arn="QuotaShareArn",
        describe="DescribeQuotaShare",
        describe_by="quotaShareArn",
        settles=True,
        disabled_first=True,
    ),
}
