"""Settings of the volumes that a job mounts."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from batch_stack.settings.base import AbsolutePath, Arn, NonEmpty, SettingsModel


class _Volume(SettingsModel):
    path: AbsolutePath
    read_only: bool = False


class EfsVolumeSettings(_Volume):
    """A file system on EFS, mounted with TLS and the job's role."""

    type: Literal["efs"]
    # An access point of storage.file_system.access_points; or, of a file system elsewhere, its ids.
    access_point: NonEmpty
    file_system_id: (
        Annotated[str, Field(pattern=r"^fs-[0-9a-f]+$", description="a file system id (fs-0a1b...)")] | None
    ) = None


class S3FilesVolumeSettings(_Volume):
    """A bucket as a file system, by S3 Files."""

    type: Literal["s3_files"]
    file_system_arn: Arn
    access_point_arn: Arn | None = None
    root_directory: AbsolutePath | None = None


class HostVolumeSettings(_Volume):
    """A folder of the container instance; not on Fargate."""

    type: Literal["host"]
    host_path: AbsolutePath


VolumeSettings = Annotated[
    EfsVolumeSettings | S3FilesVolumeSettings | HostVolumeSettings, Field(discriminator="type")
]
