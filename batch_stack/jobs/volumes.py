"""The volumes of a job: scratch space, EFS, S3 Files, folders of the host, and memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, cast

from aws_cdk import Stack
from aws_cdk import aws_batch as batch
from aws_cdk import aws_efs as efs
from aws_cdk import aws_iam as iam
from constructs import Construct

from batch_stack.settings.base.names import construct_id as pascal
from batch_stack.settings.volumes import (
    SCRATCH,
    EfsVolumeSettings,
    HostVolumeSettings,
    S3FilesVolumeSettings,
    TmpfsVolumeSettings,
    VolumeSettings,
)

# The mode of /tmp: without a mode, the mount would get the mode of the image's folder, if there is one. The
# L2 takes no options with values.
_TMPFS_OPTIONS = ("rw", "exec", "nosuid", "nodev", "mode=1777")


class SharedFileSystem(Protocol):
    """An EFS file system and its access points, by the names to which volumes of jobs refer."""

    @property
    def file_system(self) -> efs.IFileSystem:
        """The file system."""

    @property
    def access_points(self) -> Mapping[str, efs.IAccessPoint]:
        """Its access points."""


@dataclass(frozen=True)
class _EfsPlace:
    """An access point of a file system."""

    file_system: Any
    file_system_arn: str
    access_point_id: str
    access_point_arn: str


class JobVolumes:
    """The volumes that the containers of one job mount.

    Attributes:
        volumes: the volumes as aws-cdk-lib knows them; `complete` adds what it does not know.
    """

    def __init__(
        self,
        scope: Construct,
        *,
        settings: Mapping[str, VolumeSettings],
        job_role: iam.IRole,
        file_system: SharedFileSystem | None,
    ) -> None:
        """Creates the volumes, and allows the job role to mount file systems.

        Args:
            scope: the parent construct.
            settings: the volumes by their names.
            job_role: the role that mounts the file systems.
            file_system: the platform's file system, whose access points volumes name.
        """
        self._scope = scope
        self._job_role = job_role
        self._file_system = file_system
        self._s3_files: dict[int, S3FilesVolumeSettings] = {}
        self.volumes: list[batch.EcsVolume] = []
        if not any(volume.path.rstrip("/") == SCRATCH for volume in settings.values()):
            # Without a host path, it is an empty volume on the instance's disk, deleted with the task.
            self.volumes.append(batch.EcsVolume.host(name="scratch", container_path=SCRATCH, readonly=False))
        self._tmpfs = [volume for volume in settings.values() if isinstance(volume, TmpfsVolumeSettings)]
        for name, volume in settings.items():
            if not isinstance(volume, TmpfsVolumeSettings):
                self.volumes.append(self._volume(name, volume))

    def complete(self, definition: batch.CfnJobDefinition, path: str) -> None:
        """Adds the properties of volumes that the L2 does not support to a job definition.

        Args:
            definition: the job definition.
            path: the path of the list of volumes in its properties, such as ``ContainerProperties.Volumes``.
        """
        for index, settings in self._s3_files.items():
            configuration = {
                "FileSystemArn": settings.file_system_arn,
                "AccessPointArn": settings.access_point_arn,
                "RootDirectory": settings.root_directory,
            }
            given = {key: value for key, value in configuration.items() if value is not None}
            definition.add_property_deletion_override(f"{path}.{index}.Host")
            definition.add_property_override(f"{path}.{index}.S3FilesVolumeConfiguration", given)
        if self._tmpfs:
            # Volumes belong to a task, tmpfs mounts to its container.
            task = path.removesuffix(".Volumes")
            container = f"{task}.Containers.0" if task.startswith("EcsProperties") else task
            mounts = [
                {"ContainerPath": one.path, "Size": one.size_mib, "MountOptions": list(_TMPFS_OPTIONS)}
                for one in self._tmpfs
            ]
            definition.add_property_override(f"{container}.LinuxParameters.Tmpfs", mounts)

    def _volume(
        self, name: str, settings: EfsVolumeSettings | S3FilesVolumeSettings | HostVolumeSettings
    ) -> batch.EcsVolume:
        if isinstance(settings, EfsVolumeSettings):
            return self._efs(name, settings)
        if isinstance(settings, S3FilesVolumeSettings):
            self._s3_files[len(self.volumes)] = settings
            self._allow_s3_files(settings)
            # A placeholder until `complete`: the L2 has no volume of this kind.
            return batch.EcsVolume.host(name=name, container_path=settings.path, readonly=settings.read_only)
        return batch.EcsVolume.host(
            name=name,
            container_path=settings.path,
            host_path=settings.host_path,
            readonly=settings.read_only,
        )

    def _efs(self, name: str, settings: EfsVolumeSettings) -> batch.EcsVolume:
        place = self._elsewhere(name, settings) if settings.file_system_id else self._own(settings)
        actions = ["elasticfilesystem:ClientMount"]
        if not settings.read_only:
            actions.append("elasticfilesystem:ClientWrite")
        self._job_role.add_to_principal_policy(
            iam.PolicyStatement(
                actions=actions,
                resources=[place.file_system_arn],
                conditions={
                    "StringEquals": {"elasticfilesystem:AccessPointArn": place.access_point_arn},
                    "Bool": {"elasticfilesystem:AccessedViaMountTarget": "true"},
                },
            )
        )
        return batch.EcsVolume.efs(
            name=name,
            container_path=settings.path,
            readonly=settings.read_only,
            file_system=place.file_system,
            access_point_id=place.access_point_id,
            enable_transit_encryption=True,
            use_job_role=True,
        )

    def _own(self, settings: EfsVolumeSettings) -> _EfsPlace:
        # `JobSettings.unknown_access_points` has refused unknown names before.
        own = cast(SharedFileSystem, self._file_system)
        file_system, access_point = own.file_system, own.access_points[settings.access_point]
        return _EfsPlace(
            file_system=file_system,
            file_system_arn=file_system.file_system_arn,
            access_point_id=access_point.access_point_id,
            access_point_arn=access_point.access_point_arn,
        )

    def _elsewhere(self, name: str, settings: EfsVolumeSettings) -> _EfsPlace:
        file_system_id = str(settings.file_system_id)
        stack = Stack.of(self._scope)
        return _EfsPlace(
            file_system=efs.CfnFileSystem.from_file_system_id(
                self._scope, f"{pascal(name)}FileSystem", file_system_id
            ),
            file_system_arn=stack.format_arn(
                service="elasticfilesystem", resource="file-system", resource_name=file_system_id
            ),
            access_point_id=settings.access_point,
            access_point_arn=stack.format_arn(
                service="elasticfilesystem", resource="access-point", resource_name=settings.access_point
            ),
        )

    def _allow_s3_files(self, settings: S3FilesVolumeSettings) -> None:
        """Allows the job role to mount a file system of S3 Files.

        https://docs.aws.amazon.com/service-authorization/latest/reference/list_s3files.html
        """
        actions = ["s3files:ClientMount"]
        if not settings.read_only:
            actions.append("s3files:ClientWrite")
        conditions = None
        if settings.access_point_arn is not None:
            conditions = {"StringEquals": {"s3files:AccessPointArn": settings.access_point_arn}}
        self._job_role.add_to_principal_policy(
            iam.PolicyStatement(actions=actions, resources=[settings.file_system_arn], conditions=conditions)
        )
