"""Job definitions: on EC2, Fargate and ECS Managed Instances."""

from __future__ import annotations

from typing import Any, cast

from aws_cdk import Duration
from aws_cdk import aws_batch as batch
from constructs import Construct

from batch_stack.jobs.container import JobParts, ec2_container, fargate_container
from batch_stack.jobs.multi_node import consumable_properties, multi_node_definition
from batch_stack.jobs.retry import retry_strategies
from batch_stack.settings.base import Architecture
from batch_stack.settings.jobs import JobSettings
from batch_stack.settings.retry import RetrySettings

CONTAINER_NAME = "main"
"""The container of a job on ECS Managed Instances, as `ecsPropertiesOverride` has to name it."""

_CPU = {"x86_64": "X86_64", "arm64": "ARM64"}


def job_definition(
    scope: Construct,
    construct_id: str,
    *,
    settings: JobSettings,
    retry: RetrySettings,
    parts: JobParts,
) -> batch.EcsJobDefinition | batch.MultiNodeJobDefinition:
    """Create a job definition of the kind that the settings ask for.

    Args:
        scope: the parent construct.
        construct_id: the definition's id within it.
        settings: the job.
        retry: how often a failed attempt is followed by another, and after which failures.
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
    """ECS Managed Instances take `ecsProperties` only, which no L2 has: the same container, said otherwise.

    https://docs.aws.amazon.com/batch/latest/APIReference/API_EcsTaskProperties.html
    """
    container: Any = definition.container_properties
    task = batch.CfnJobDefinition.EcsTaskPropertiesProperty(
        containers=[
            batch.CfnJobDefinition.TaskContainerPropertiesProperty(
                name=CONTAINER_NAME,
                essential=True,
                image=container.image,
                command=container.command,
                environment=container.environment,
                linux_parameters=container.linux_parameters,
                log_configuration=container.log_configuration,
                mount_points=container.mount_points,
                privileged=container.privileged,
                readonly_root_filesystem=container.readonly_root_filesystem,
                resource_requirements=container.resource_requirements,
                secrets=container.secrets,
                user=container.user,
            )
        ],
        execution_role_arn=container.execution_role_arn,
        task_role_arn=container.job_role_arn,
        runtime_platform=batch.CfnJobDefinition.RuntimePlatformProperty(
            cpu_architecture=_CPU[architecture], operating_system_family="LINUX"
        ),
        volumes=container.volumes,
    )
    definition.ecs_properties = batch.CfnJobDefinition.EcsPropertiesProperty(task_properties=[task])
    definition.container_properties = None
    definition.platform_capabilities = ["MANAGED_INSTANCES"]
