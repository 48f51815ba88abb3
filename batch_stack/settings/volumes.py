"""Settings of the volumes that a job mounts."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from batch_stack.settings.base.model import SettingsModel
from batch_stack.settings.base.values import AbsolutePath, Arn, NonEmpty

SCRATCH = "/scratch"
"""The path of an empty, writable folder that every job has, unless one of its volumes is mounted there."""


class _Volume(SettingsModel):
    path: AbsolutePath
    """The path in the container."""
    read_only: bool = False
    """Whether jobs can only read it."""


class EfsVolumeSettings(_Volume):
    """A file system on EFS, mounted with TLS and the job's role."""

    type: Literal["efs"] = "efs"
    """A file system on EFS.
    https://docs.aws.amazon.com/batch/latest/userguide/efs-volumes.html"""
    access_point: NonEmpty
    """A name of `storage.file_system.access_points`; with `file_system_id`, the id of an access point."""
    file_system_id: (
        Annotated[str, Field(pattern=r"^fs-[0-9a-f]+$", description="a file system id (fs-0a1b...)")] | None
    ) = None
    """The id of another file system (`fs-0a1b...`); by default the platform's own."""

    @model_validator(mode="after")
    def _ids_together(self) -> EfsVolumeSettings:
        if self.file_system_id is not None and not self.access_point.startswith("fsap-"):
            raise ValueError(
                "access_point must be the id of an access point (fsap-0a1b...) with file_system_id, "
                f"got {self.access_point!r}"
            )
        return self


class S3FilesVolumeSettings(_Volume):
    """A bucket as a file system, by S3 Files."""

    type: Literal["s3_files"] = "s3_files"
    """A bucket as a file system.
    https://docs.aws.amazon.com/batch/latest/APIReference/API_S3FilesVolumeConfiguration.html"""
    file_system_arn: Arn
    """The ARN of the S3 Files file system."""
    access_point_arn: Arn | None = None
    """The ARN of one of its access points."""
    root_directory: AbsolutePath | None = None
    """The folder that is mounted; by default the whole file system."""

    @model_validator(mode="after")
    def _one_root(self) -> S3FilesVolumeSettings:
        if self.access_point_arn is not None and self.root_directory not in (None, "/"):
            raise ValueError(
                f"root_directory must not be given with access_point_arn, got {self.root_directory!r}: "
                "the access point says where its root is"
            )
        return self


class HostVolumeSettings(_Volume):
    """A folder of the container instance; not on Fargate."""

    type: Literal["host"] = "host"
    """A folder of the container instance."""
    host_path: AbsolutePath
    """The folder, which jobs on the same instance share."""


class TmpfsVolumeSettings(SettingsModel):
    """A file system in memory that any user of the container may write to; not on Fargate.

    At /scratch it replaces the empty volume on disk, to which only root may write unless the image has that
    folder for other users.
    """

    type: Literal["tmpfs"] = "tmpfs"
    """A file system in memory, empty when the job starts.
    https://docs.aws.amazon.com/batch/latest/APIReference/API_Tmpfs.html"""
    path: AbsolutePath
    """The path in the container."""
    size_mib: Annotated[int, Field(ge=1)]
    """Its size in MiB; its contents count as memory of the job, of `memory_mib`."""


VolumeSettings = Annotated[
    EfsVolumeSettings | S3FilesVolumeSettings | HostVolumeSettings | TmpfsVolumeSettings,
    Field(discriminator="type"),
]
