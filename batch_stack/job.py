"""A container job: its image, definition, roles and log group."""

from __future__ import annotations

from pathlib import Path

from aws_cdk import Aws, Duration, RemovalPolicy, Size, Stack
from aws_cdk import aws_batch as batch
from aws_cdk import aws_ecr_assets as ecr_assets
from aws_cdk import aws_ecs as ecs
from constructs import Construct

from batch_stack.compute_environment import Architecture
from batch_stack.log_group import log_group
from batch_stack.permissions import task_role
from batch_stack.settings import JobSettings, Platform
from batch_stack.settings_file import SettingsError

SCRATCH = "/scratch"
EX_TEMPFAIL = 75
"""The exit code with which a worker asks for another attempt; any other failure would only repeat itself."""

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
        retry_attempts: int,
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
            retry_attempts: 1 to 10, the first attempt included.
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
        image = _image(self, name, settings.folder, containers_dir, architecture)
        self.definition = batch.EcsJobDefinition(
            self,
            "Definition",
            container=self._container(name, settings, image, architecture, assign_public_ip),
            retry_attempts=retry_attempts,
            retry_strategies=retry_strategies(settings.platform),
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


def retry_strategies(platform: Platform) -> list[batch.RetryStrategy]:
    """The rules for another attempt: what the platform did is retried, what the code did is not.

    The one exception is the exit code by which a worker says that another attempt may succeed. The first rule
    that matches decides; the last one is there because a failure that no rule matches would be retried.
    https://docs.aws.amazon.com/batch/latest/userguide/job_retries.html
    """
    lost_host = "Host EC2*" if platform == "ec2" else "Your Spot Task was interrupted*"
    retry, stop = batch.Action.RETRY, batch.Action.EXIT
    reasons = [
        (retry, batch.Reason.custom(on_status_reason=lost_host)),
        (retry, batch.Reason.custom(on_reason="CannotPullContainerError:*")),
        (retry, batch.Reason.custom(on_status_reason="Task failed to start*")),
        (retry, batch.Reason.custom(on_exit_code=str(EX_TEMPFAIL))),
        (stop, batch.Reason.custom(on_reason="*")),
    ]
    return [batch.RetryStrategy.of(action, reason) for action, reason in reasons]


def _image(
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
