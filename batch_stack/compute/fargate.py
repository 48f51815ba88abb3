"""Compute environments on Fargate."""

from __future__ import annotations

from aws_cdk import aws_batch as batch
from constructs import Construct

from batch_stack.compute.base import ComputeEnvironment
from batch_stack.network.network import Network
from batch_stack.settings.compute.kinds import FargateSettings


class FargateComputeEnvironment(ComputeEnvironment):
    """A managed compute environment on Fargate, without instances: each job is a task.

    It runs jobs of either CPU architecture; ``architecture`` is that of its queue.
    https://docs.aws.amazon.com/batch/latest/userguide/fargate.html
    """

    def __init__(
        self, scope: Construct, construct_id: str, *, network: Network, settings: FargateSettings
    ) -> None:
        """Creates the compute environment.

        Args:
            scope: the parent construct.
            construct_id: this construct's id within it.
            network: the network of its tasks.
            settings: vCPU limit, CPU architecture, and whether it is Fargate Spot.
        """
        super().__init__(scope, construct_id)
        self.settings = settings
        self.resource = batch.FargateComputeEnvironment(
            self,
            "Resource",
            vpc=network.vpc,
            vpc_subnets=network.subnets,
            security_groups=[network.security_group],
            spot=settings.type == "fargate_spot",
            maxv_cpus=settings.max_vcpus,
            enabled=settings.state == "enabled",
            replace_compute_environment=False,
        )
        # The L2 writes an empty UpdatePolicy, with which AWS Batch refuses every update on Fargate.
        self._cfn.add_property_deletion_override("UpdatePolicy")
        self._never_replace_for_tags()
        self._delete_before_routes_of(network)
