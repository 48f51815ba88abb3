"""Consumable resources: limited quantities that jobs share, such as licences."""

from __future__ import annotations

from collections.abc import Mapping

from aws_cdk import aws_batch as batch
from constructs import Construct

from batch_stack.settings.base.names import id_of_entry
from batch_stack.settings.sections import ConsumableResourceSettings


class ConsumableResource(Construct):
    """A limited quantity that jobs occupy while they run, or use up.

    A job that needs more than is available waits at the head of its queue until other jobs have ended.
    https://docs.aws.amazon.com/batch/latest/userguide/resource-aware-scheduling.html

    Attributes:
        resource: the L2 construct. It has no name of its own, so that CloudFormation can replace it.
        arn: its ARN, to which job definitions refer.
    """

    def __init__(self, scope: Construct, construct_id: str, *, settings: ConsumableResourceSettings) -> None:
        """Creates the resource.

        Args:
            scope: the parent construct.
            construct_id: this construct's id within it.
            settings: the quantity, and whether a job gives it back when it ends. A change of the latter
                replaces the resource.
        """
        super().__init__(scope, construct_id)
        types = batch.ConsumableResourceType
        self.resource = batch.ConsumableResource(
            self,
            "Resource",
            total_quantity=settings.total,
            resource_type=types.REPLENISHABLE if settings.replenishable else types.NON_REPLENISHABLE,
        )
        self.arn = self.resource.consumable_resource_arn


def consumable_resources_of(
    scope: Construct, settings: Mapping[str, ConsumableResourceSettings]
) -> dict[str, ConsumableResource]:
    """Creates the consumable resources of a platform.

    Args:
        scope: the parent construct.
        settings: the resources by their names in the settings.
    """
    return {
        name: ConsumableResource(scope, id_of_entry("consumable_resources", name), settings=one)
        for name, one in settings.items()
    }
