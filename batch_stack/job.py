"""A container job: its image, definition, roles and log group."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from aws_cdk import Aws, Duration, RemovalPolicy, Size, Stack
from aws_cdk import aws_batch as batch
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_ecr_assets as ecr_assets
from aws_cdk import aws_ecs as ecs
from constructs import Construct

from batch_stack.log_group import log_group
from batch_stack.permissions import task_role
from batch_stack.retry import retry_strategies
from batch_stack.settings import Architecture, JobSettings, RetrySettings, SettingsError

SCRATCH = "/scratch"

_NOT_IN_IMAGES = [
    "**/__pycache__",
    "**/*.pyc",
    "**/*.egg-info",
    "**/.mypy_cache",
    "**/.pytest_cache",
    "**/.ruff_cache",
    "**/.venv",
    "**/build",
    "**/dist",
    "**/sample",
    "**/samples",
    "**/tests",
]


class ContainerJob(Construct):
    """A job definition for an image that is built from `containers/<folder>/Dockerfile`.

    The container has a read-only root file system, a writable volume on /scratch, an init process that hands
    on signals, no privileges, and never runs without a timeout. Revisions stay active when a new one is
    registered, so that jobs which wait on an old one still start.

    Attributes:
        definition: the L2 construct of the job definition.
        unversioned_arn: its ARN without a revision, which stays the same from deployment to deployment.
        job_role: what the container's code may do; grant to it.
        execution_role: what ECS needs to start it: pull the image, write the log.
        log_group: where its output goes.
        platform: ``ec2`` or ``fargate``.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        name: str,
        settings: JobSettings,
        containers_dir: Path,
        retry: RetrySettings,
        log_retention_days: int,
        architecture: Architecture = "x86_64",
        assign_public_ip: bool = False,
        removal_policy: RemovalPolicy = RemovalPolicy.RETAIN,
    ) -> None:
        """Create the job definition.

        Args:
            scope: the parent construct.
            construct_id: this construct's id within it.
            name: the job's name in the settings; it begins the names of log streams.
            settings: image folder, platform, vCPUs, memory in MiB, timeout in seconds, command.
            containers_dir: the build context, which holds the folder.
            retry: how often a failed attempt is followed by another, and after which failures.
            log_retention_days: one of the periods that CloudWatch Logs allows.
            architecture: the CPU architecture to build for.
            assign_public_ip: on Fargate, needed in public subnets.
            removal_policy: what becomes of the log group with the stack.

        Raises:
            SettingsError: there is no Dockerfile in the folder.
        """
        super().__init__(scope, construct_id)
        self.platform = settings.platform
        self.job_role = task_role(self, "JobRole", description=f"What the code of {name} jobs may do")
        self.execution_role = task_role(
            self, "ExecutionRole", description=f"Pulls the image of {name} jobs and writes their log"
        )
        self.log_group = log_group(
            self, "LogGroup", retention_days=log_retention_days, removal_policy=removal_policy
        )
        image = _image(self, name, settings, containers_dir, architecture)
        self.definition = batch.EcsJobDefinition(
            self,
            "Definition",
            container=self._container(name, settings, image, architecture, assign_public_ip),
            retry_attempts=retry.attempts,
            retry_strategies=retry_strategies(retry, settings.platform),
            timeout=Duration.seconds(settings.timeout_s),
            skip_deregister_on_update=True,
            propagate_tags=True,
        )
        self.unversioned_arn = Stack.of(self).format_arn(
            service="batch", resource="job-definition", resource_name=self.definition.job_definition_name
        )

    def _container(
        self,
        name: str,
        settings: JobSettings,
        image: ecs.ContainerImage,
        architecture: Architecture,
        assign_public_ip: bool,
    ) -> batch.IEcsContainerDefinition:
        environment = {
            # On EC2 neither ECS nor AWS Batch tells a container its Region.
            "AWS_REGION": Aws.REGION,
            "AWS_DEFAULT_REGION": Aws.REGION,
            **settings.environment,
        }
        linux_parameters = batch.LinuxParameters(self, "LinuxParameters", init_process_enabled=True)
        logging = ecs.LogDriver.aws_logs(stream_prefix=name, log_group=self.log_group)
        # Without a host path it is an empty volume on the instance's disk, gone with the task.
        scratch = batch.EcsVolume.host(name="scratch", container_path=SCRATCH, readonly=False)
        if settings.platform == "ec2":
            return batch.EcsEc2ContainerDefinition(
                self,
                "Container",
                image=image,
                cpu=settings.vcpu,
                memory=Size.mebibytes(settings.memory_mib),
                command=settings.command,
                environment=environment,
                job_role=self.job_role,
                execution_role=self.execution_role,
                linux_parameters=linux_parameters,
                logging=logging,
                readonly_root_filesystem=True,
                privileged=False,
                volumes=[scratch],
            )
        return batch.EcsFargateContainerDefinition(
            self,
            "Container",
            image=image,
            cpu=settings.vcpu,
            memory=Size.mebibytes(settings.memory_mib),
            command=settings.command,
            environment=environment,
            job_role=self.job_role,
            execution_role=self.execution_role,
            linux_parameters=linux_parameters,
            logging=logging,
            readonly_root_filesystem=True,
            volumes=[scratch],
            assign_public_ip=assign_public_ip,
            fargate_cpu_architecture=(
                ecs.CpuArchitecture.ARM64 if architecture == "arm64" else ecs.CpuArchitecture.X86_64
            ),
            fargate_operating_system_family=ecs.OperatingSystemFamily.LINUX,
            fargate_platform_version=ecs.FargatePlatformVersion.LATEST,
        )


def _image(
    scope: Construct, name: str, settings: JobSettings, containers_dir: Path, architecture: Architecture
) -> ecs.ContainerImage:
    if settings.folder is not None:
        return _built_image(scope, name, settings.folder, containers_dir, architecture)
    if settings.ecr_repository is not None:
        repository = ecr.Repository.from_repository_name(scope, "Repository", settings.ecr_repository)
        return ecs.ContainerImage.from_ecr_repository(repository, settings.tag)
    return ecs.ContainerImage.from_registry(cast(str, settings.image))


def _built_image(
    scope: Construct, name: str, folder: str, containers_dir: Path, architecture: Architecture
) -> ecs.ContainerImage:
    dockerfile = containers_dir / folder / "Dockerfile"
    if not dockerfile.is_file():
        raise SettingsError(
            f"jobs.{name}.folder must be a folder of {containers_dir} with a Dockerfile, got {folder!r}"
        )
    # The build context holds all workers; without this an edit to any of them would rebuild this one.
    other_workers = sorted(
        path.parent.name for path in containers_dir.glob("*/Dockerfile") if path.parent.name != folder
    )
    asset = ecr_assets.DockerImageAsset(
        scope,
        "Image",
        directory=str(containers_dir),
        file=f"{folder}/Dockerfile",
        exclude=[*_NOT_IN_IMAGES, *other_workers],
        # Stated, so that an image built on a laptop of the other architecture still starts.
        platform=(
            ecr_assets.Platform.LINUX_ARM64 if architecture == "arm64" else ecr_assets.Platform.LINUX_AMD64
        ),
    )
    return ecs.ContainerImage.from_docker_image_asset(asset)
