"""An event bus for the events of jobs."""

from __future__ import annotations

from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from constructs import Construct

from batch_stack.common.job_access import JobResources


class EventBus(Construct):
    """An EventBridge bus for the events of jobs. Only principals of this account reach it, by their roles.

    Attributes:
        bus: the bus.
    """

    def __init__(self, scope: Construct, construct_id: str) -> None:
        """Creates the bus.

        Args:
            scope: the parent construct.
            construct_id: this construct's id within it.
        """
        super().__init__(scope, construct_id)
        self.bus = events.EventBus(self, "Bus", description="Events of batch jobs")

    def for_jobs(self) -> JobResources:
        """Returns ``EVENT_BUS_NAME`` and the permission to put events, for jobs that use the bus."""
        return JobResources(
            environment={"EVENT_BUS_NAME": self.bus.event_bus_name}, grants=[self.grant_put_events]
        )

    def grant_put_events(self, grantee: iam.IGrantable) -> iam.Grant:
        """Allows putting events, of any source, on this bus only.

        Args:
            grantee: the principal that may put events.

        Returns:
            The grant.
        """
        return iam.Grant.add_to_principal(
            grantee=grantee, actions=["events:PutEvents"], resource_arns=[self.bus.event_bus_arn]
        )
