"""The containers of jobs, on EC2 and on Fargate, as L2 constructs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from aws_cdk import Aws, Size
from aws_cdk import aws_batch as batch
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_iam as iam
from constructs import Construct

from batch_stack.compute.efa import devices, memory_to_pin
from batch_stack.jobs.volumes import JobVolumes
from batch_stack.settings.base.values import Architecture
from batch_stack.settings.jobs import JobSettings


@dataclass(frozen=True)
class JobParts:
    """The parts of a job definition that its settings do not contain and all its containers share.

    Attributes:
        image: the image.
        job_role: the role of the container's code.
        execution_role: the role with which ECS starts the container.
        logging: the log driver.
        environment: variables, without those that only some of the containers have.
        secrets: variables whose values ECS fetches.
        volumes: the volumes that are mounted.
        consumables: quantities of consumable resources, by their ARNs.
        architecture: the CPU architecture of the image.
        assign_public_ip: on Fargate, whether the task gets a public address.
        efa_interfaces: the number of Elastic Fabric Adapters that a node uses.
    """

    image: ecs.ContainerImage
    job_role: iam.IRole
    execution_role: iam.IRole
    logging: ecs.LogDriver
    environment: Mapping[str, str]
    secrets: Mapping[str, batch.Secret]
    volumes: JobVolumes
    consumables: Mapping[str, int]
    architecture: Architecture
    assign_public_ip: bool
    efa_interfaces: int = 0


def ec2_container(
    scope: Construct, construct_id: str, *, settings: JobSettings, parts: JobParts
) -> batch.EcsEc2ContainerDefinition:
    """Creates a container on EC2, which also describes one on ECS Managed Instances.

    Args:
        scope: the parent construct.
        construct_id: the container's id within it.
        settings: its resources, command and own variables.
        parts: its other parts.
    """
    return batch.EcsEc2ContainerDefinition(
        scope,
        construct_id,
        image=parts.image,
        cpu=settings.vcpu,
        gpu=settings.gpus or None,
        memory=Size.mebibytes(settings.memory_mib),
        command=settings.command,
        environment=_environment(settings, parts),
        secrets=parts.secrets or None,
        job_role=parts.job_role,
        execution_role=parts.execution_role,
        linux_parameters=_linux_parameters(scope, construct_id, settings, parts.efa_interfaces),
        ulimits=_ulimits(settings, parts.efa_interfaces) or None,
        logging=parts.logging,
        readonly_root_filesystem=settings.read_only_root,
        privileged=False,
        user=settings.user,
        volumes=parts.volumes.volumes,
    )


def fargate_container(
    scope: Construct, construct_id: str, *, settings: JobSettings, parts: JobParts
) -> batch.EcsFargateContainerDefinition:
    """Creates a container on Fargate.

    Args:
        scope: the parent construct.
        construct_id: the container's id within it.
        settings: its resources, command and own variables.
        parts: its other parts.
    """
    disk_gib = settings.ephemeral_storage_gib
    return batch.EcsFargateContainerDefinition(
        scope,
        construct_id,
        image=parts.image,
        cpu=settings.vcpu,
        memory=Size.mebibytes(settings.memory_mib),
        ephemeral_storage_size=Size.gibibytes(disk_gib) if disk_gib is not None else None,
        command=settings.command,
        environment=_environment(settings, parts),
        secrets=parts.secrets or None,
        job_role=parts.job_role,
        execution_role=parts.execution_role,
        linux_parameters=_linux_parameters(scope, construct_id, settings),
        logging=parts.logging,
        readonly_root_filesystem=settings.read_only_root,
        user=settings.user,
        volumes=parts.volumes.volumes,
        assign_public_ip=parts.assign_public_ip,
        fargate_cpu_architecture=(
            ecs.CpuArchitecture.ARM64 if parts.architecture == "arm64" else ecs.CpuArchitecture.X86_64
        ),
        fargate_operating_system_family=ecs.OperatingSystemFamily.LINUX,
        fargate_platform_version=ecs.FargatePlatformVersion.LATEST,
    )


def _environment(settings: JobSettings, parts: JobParts) -> dict[str, str]:
    return {
        # On EC2 neither ECS nor AWS Batch sets the Region of a container.
        "AWS_REGION": Aws.REGION,
        "AWS_DEFAULT_REGION": Aws.REGION,
        **parts.environment,
        # The nodes of a multi-node job may have different values.
        **settings.environment,
    }


def _ulimits(settings: JobSettings, efa_interfaces: int) -> list[batch.Ulimit]:
    own = [
        batch.Ulimit(name=batch.UlimitName[name.upper()], soft_limit=limit, hard_limit=limit)
        for name, limit in settings.ulimits.items()
    ]
    if efa_interfaces and "memlock" not in settings.ulimits:
        return [*memory_to_pin(), *own]
    return own


def _linux_parameters(
    scope: Construct, container_id: str, settings: JobSettings, efa_interfaces: int = 0
) -> batch.LinuxParameters:
    shared_mib = settings.shared_memory_mib
    parameters = batch.LinuxParameters(
        scope,
        # The one container of most jobs keeps the short id.
        "LinuxParameters" if container_id == "Container" else f"{container_id}LinuxParameters",
        init_process_enabled=True,
        shared_memory_size=Size.mebibytes(shared_mib) if shared_mib is not None else None,
    )
    if efa_interfaces:
        parameters.add_devices(*devices(efa_interfaces))
    return parameters
