"""Job definitions: on EC2, Fargate and ECS Managed Instances."""

from __future__ import annotations

from typing import Any, cast

from aws_cdk import Duration
from aws_cdk import aws_batch as batch
from constructs import Construct

from batch_stack.jobs.container import JobParts, ec2_container, fargate_container
from batch_stack.jobs.multi_node import consumable_properties, multi_node_definition
from batch_stack.jobs.retry import retry_strategies
from batch_stack.settings.base.values import Architecture
from batch_stack.settings.jobs import JobSettings
from batch_stack.settings.retry import RetrySettings

CONTAINER_NAME = "main"
"""The name of a job's container on ECS Managed Instances, which `ecsPropertiesOverride` needs."""

NOT_OF_A_TASKS_CONTAINER = frozenset(
    {
        # Fields of the task, on ECS Managed Instances.
        "enable_execute_command",
        "ephemeral_storage",
        "execution_role_arn",
        "job_role_arn",
        "network_configuration",
        "runtime_platform",
        "volumes",
        # Fields that no container on ECS Managed Instances has.
        "fargate_platform_configuration",
        "instance_type",
        # Older forms of `resource_requirements`.
        "memory",
        "vcpus",
    }
)
"""Fields of a job's container that the container of a task does not have. All others are copied."""

_CPU = {"x86_64": "X86_64", "arm64": "ARM64"}


def job_definition(
    scope: Construct,
    construct_id: str,
    *,
    settings: JobSettings,
    retry: RetrySettings,
    parts: JobParts,
) -> batch.EcsJobDefinition | batch.MultiNodeJobDefinition:
    """Creates a job definition of the kind that the settings ask for.

    Args:
        scope: the parent construct.
        construct_id: the definition's id within it.
        settings: the job.
        retry: the retry policy: the number of attempts, and the failures that are retried.
        parts: its image, roles, variables, volumes and so on.
    """
    common: dict[str, Any] = {
        "parameters": settings.parameters or None,
        "retry_attempts": retry.attempts,
        "retry_strategies": retry_strategies(retry, settings.platform),
        "timeout": Duration.seconds(settings.timeout_s),
        "scheduling_priority": settings.scheduling_priority,
        "skip_deregister_on_update": True,
        "propagate_tags": True,
    }
    if settings.nodes is not None:
        return multi_node_definition(
            scope, construct_id, settings=settings, nodes=settings.nodes, parts=parts, common=common
        )
    make = fargate_container if settings.platform == "fargate" else ec2_container
    container = make(scope, "Container", settings=settings, parts=parts)
    definition = batch.EcsJobDefinition(scope, construct_id, container=container, **common)
    cfn = cast(batch.CfnJobDefinition, definition.node.default_child)
    if settings.platform == "managed_instances":
        _to_managed_instances(cfn, parts.architecture)
        parts.volumes.complete(cfn, "EcsProperties.TaskProperties.0.Volumes")
    else:
        parts.volumes.complete(cfn, "ContainerProperties.Volumes")
    if parts.consumables:
        cfn.add_property_override("ConsumableResourceProperties", consumable_properties(parts.consumables))
    return definition


def _to_managed_instances(definition: batch.CfnJobDefinition, architecture: Architecture) -> None:
    """Rewrites the container as `ecsProperties`, which ECS Managed Instances need and no L2 supports.

    https://docs.aws.amazon.com/batch/latest/APIReference/API_EcsTaskProperties.html
    """
    given: Any = definition.container_properties
    fields = {
        name: getattr(given, name) for name in _names(batch.CfnJobDefinition.ContainerPropertiesProperty)
    }
    task = batch.CfnJobDefinition.EcsTaskPropertiesProperty(
        containers=[
            batch.CfnJobDefinition.TaskContainerPropertiesProperty(
                name=CONTAINER_NAME,
                essential=True,
                **{name: value for name, value in fields.items() if name not in NOT_OF_A_TASKS_CONTAINER},
            )
        ],
        execution_role_arn=fields["execution_role_arn"],
        task_role_arn=fields["job_role_arn"],
        runtime_platform=batch.CfnJobDefinition.RuntimePlatformProperty(
            cpu_architecture=_CPU[architecture], operating_system_family="LINUX"
        ),
        volumes=fields["volumes"],
        enable_execute_command=fields["enable_execute_command"],
    )
    definition.ecs_properties = batch.CfnJobDefinition.EcsPropertiesProperty(task_properties=[task])
    definition.container_properties = None
    definition.platform_capabilities = ["MANAGED_INSTANCES"]


def _names(structure: type) -> list[str]:
    """Returns the names of the fields of one of aws-cdk-lib's structures."""
    return [name for name, member in vars(structure).items() if isinstance(member, property)]
