"""Chooses the construct for a compute environment of the settings."""

from __future__ import annotations

from typing import assert_never

from constructs import Construct

from batch_stack.compute.base import ComputeEnvironment
from batch_stack.compute.ec2 import Ec2ComputeEnvironment
from batch_stack.compute.external import ExistingComputeEnvironment, UnmanagedComputeEnvironment
from batch_stack.compute.fargate import FargateComputeEnvironment
from batch_stack.compute.managed_instances import ManagedInstancesComputeEnvironment
from batch_stack.network.network import Network
from batch_stack.settings.compute.ec2 import OnDemandSettings, SpotSettings
from batch_stack.settings.compute.kinds import (
    ComputeEnvironmentSettings,
    ExistingComputeSettings,
    FargateSettings,
    ManagedInstancesSettings,
    UnmanagedSettings,
)


def compute_environment(
    scope: Construct, construct_id: str, *, network: Network, settings: ComputeEnvironmentSettings
) -> ComputeEnvironment:
    """Creates a compute environment from settings of any type.

    Args:
        scope: the parent construct.
        construct_id: the compute environment's id within it.
        network: the network of its jobs; unused for unmanaged and existing compute environments.
        settings: one entry of `compute`.

    Raises:
        SettingsError: the network has public subnets for instances with several network interfaces.
        ValueError: the network has no subnet for its placement group.
    """
    match settings:
        case SpotSettings() | OnDemandSettings():
            return Ec2ComputeEnvironment(scope, construct_id, network=network, settings=settings)
        case FargateSettings():
            return FargateComputeEnvironment(scope, construct_id, network=network, settings=settings)
        case ManagedInstancesSettings():
            return ManagedInstancesComputeEnvironment(scope, construct_id, network=network, settings=settings)
        case UnmanagedSettings():
            return UnmanagedComputeEnvironment(scope, construct_id, settings=settings)
        case ExistingComputeSettings():
            return ExistingComputeEnvironment(scope, construct_id, settings=settings)
        case _:
            assert_never(settings)
