"""The image of a job: built from a Dockerfile, or from an ECR repository or another registry."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from aws_cdk import Annotations, Stack, Token
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_ecr_assets as ecr_assets
from aws_cdk import aws_ecs as ecs
from constructs import Construct

from batch_stack.settings.base.errors import SettingsError
from batch_stack.settings.base.names import did_you_mean
from batch_stack.settings.base.values import Architecture
from batch_stack.settings.images import PRIVATE_ECR
from batch_stack.settings.jobs import JobSettings

_REPOSITORY_ARN = re.compile(r"arn:[a-z-]+:ecr:[a-z0-9-]+:\d{12}:repository/(?P<name>.+)")

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


def job_image(
    scope: Construct,
    *,
    name: str,
    settings: JobSettings,
    containers_dir: Path | None,
    architecture: Architecture,
) -> ecs.ContainerImage:
    """Returns the image of a job; builds it if the settings name a folder.

    The execution role may pull the image from its ECR repository, if it is in ECR, and from no other. For an
    `image` that only the deployment knows (a token of CDK) a warning says that the role gets no permission;
    for a repository of the app, `ecr_repository` takes its name, which may be a token.

    Args:
        scope: the parent construct.
        name: the job's name in the settings, for errors.
        settings: one of `folder`, `ecr_repository` (with `tag`, a tag or a ``sha256:`` digest) and `image`.
        containers_dir: the build context, which contains the folder; only `folder` needs it.
        architecture: the CPU architecture to build for.

    Raises:
        SettingsError: there is no Dockerfile in the folder, or no build context.
    """
    if settings.folder is not None:
        check_folders({name: settings}, containers_dir)
        return _built_image(scope, settings.folder, cast(Path, containers_dir), architecture)
    if settings.ecr_repository is not None:
        repository = _repository(scope, settings.ecr_repository)
        return ecs.ContainerImage.from_ecr_repository(repository, settings.tag)
    return _named_image(scope, cast(str, settings.image))


def check_folders(jobs: Mapping[str, JobSettings], containers_dir: Path | None) -> None:
    """Checks that there is a Dockerfile for each job whose image is built here.

    Args:
        jobs: the jobs by their names in the settings, for errors.
        containers_dir: the build context, which contains their folders.

    Raises:
        SettingsError: a job has no Dockerfile; the message has a line for each such job.
    """
    problems = []
    for name, job in jobs.items():
        if job.folder is None:
            continue
        if containers_dir is None:
            problems.append(
                f"jobs.{name}.folder must not be given without containers_dir, the folder that holds it, got "
                f"{job.folder!r}"
            )
        elif not (containers_dir / job.folder / "Dockerfile").is_file():
            there = sorted(path.parent.name for path in containers_dir.glob("*/Dockerfile"))
            problems.append(
                f"jobs.{name}.folder must be a folder of {containers_dir} with a Dockerfile, got "
                f"{job.folder!r}{did_you_mean(job.folder, there)}"
            )
    if problems:
        raise SettingsError("\n  ".join(problems))


def _named_image(scope: Construct, image: str) -> ecs.ContainerImage:
    found = PRIVATE_ECR.fullmatch(image)
    if found is None:
        if Token.is_unresolved(image):
            _warn_of_token(scope)
        return ecs.ContainerImage.from_registry(image)
    # The L2 grants the permission to pull only for a repository, not for an image's name.
    arn = Stack.of(scope).format_arn(
        service="ecr",
        account=found["account"],
        region=found["region"],
        resource="repository",
        resource_name=found["name"],
    )
    repository = _repository_elsewhere(scope, arn, found["name"])
    return ecs.ContainerImage.from_ecr_repository(repository, found["digest"] or found["tag"] or "latest")


def _warn_of_token(scope: Construct) -> None:
    Annotations.of(scope).add_warning_v2(
        "batch-stack:imageOfToken",
        "Only the deployment knows the image, so the execution role gets no permission to pull it: if it is "
        "in Amazon ECR, the job never starts. Give ecr_repository the repository's name "
        f"(repository_name, not repository_uri), and its tag. At {scope.node.path}",
    )


def _repository(scope: Construct, name_or_arn: str) -> ecr.IRepository:
    found = _REPOSITORY_ARN.fullmatch(name_or_arn)
    if found is None:
        return ecr.Repository.from_repository_name(scope, "Repository", name_or_arn)
    return _repository_elsewhere(scope, name_or_arn, found["name"])


def _repository_elsewhere(scope: Construct, arn: str, name: str) -> ecr.IRepository:
    return ecr.Repository.from_repository_attributes(
        scope, "Repository", repository_arn=arn, repository_name=name
    )


def _built_image(
    scope: Construct, folder: str, containers_dir: Path, architecture: Architecture
) -> ecs.ContainerImage:
    # The build context contains all workers; without this, an edit to any of them would rebuild this one.
    other_workers = sorted(
        path.parent.name for path in containers_dir.glob("*/Dockerfile") if path.parent.name != folder
    )
    asset = ecr_assets.DockerImageAsset(
        scope,
        "Image",
        directory=str(containers_dir),
        file=f"{folder}/Dockerfile",
        exclude=[*_NOT_IN_IMAGES, *other_workers],
        # Explicit, so that an image built on a computer of the other architecture still starts.
        platform=(
            ecr_assets.Platform.LINUX_ARM64 if architecture == "arm64" else ecr_assets.Platform.LINUX_AMD64
        ),
    )
    return ecs.ContainerImage.from_docker_image_asset(asset)
