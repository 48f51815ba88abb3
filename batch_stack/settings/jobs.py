"""Settings of jobs: image, resources, environment and volumes."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Annotated, Literal

from pydantic import Field, model_validator

from batch_stack.settings.base.model import SettingsModel
from batch_stack.settings.base.names import construct_id, did_you_mean, known
from batch_stack.settings.base.values import (
    Architecture,
    Gpus,
    LogRetentionDays,
    MemoryMib,
    NonEmpty,
    PolicyArn,
    Variable,
    Vcpu,
)
from batch_stack.settings.compute.base import ComputeSettings
from batch_stack.settings.images import (
    LARGEST_ID,
    ContainerUser,
    ImageReference,
    ImageTag,
    Repository,
)
from batch_stack.settings.nodes import NodeGroupSettings, NodesSettings
from batch_stack.settings.retry import RetrySettings
from batch_stack.settings.secrets import SecretSettings
from batch_stack.settings.services import DataService
from batch_stack.settings.volumes import SCRATCH, VolumeSettings

JobPlatformCapability = Literal["ec2", "fargate", "managed_instances"]
_ULIMITS = (
    "core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile", "nproc", "rss",
    "rtprio", "rttime", "sigpending", "stack",
)  # fmt: skip

_MEMORY_MIB_BY_FARGATE_VCPU: dict[float, range | tuple[int, ...]] = {
    0.25: (512, 1024, 2048),
    0.5: range(1024, 4097, 1024),
    1: range(2048, 8193, 1024),
    2: range(4096, 16385, 1024),
    4: range(8192, 30721, 1024),
    8: range(16384, 61441, 4096),
    16: range(32768, 122881, 8192),
    32: (61440, 122880, 249856),
}

_REF = re.compile(r"Ref::([A-Za-z0-9_-]+)")
_CONSUMABLE_ARN = re.compile(r"arn:[a-z-]+:batch:[a-z0-9-]+:\d{12}:consumable-resource/[^\s/]+")
_VOLUME_NAME = re.compile(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*")
_VARIABLE_NAME = re.compile(r"[^=\s\x00]+")


def _any_of(values: range | tuple[int, ...]) -> str:
    if isinstance(values, range):
        return f"between {values[0]} and {values[-1]} in steps of {values.step}"
    return "one of " + ", ".join(map(str, values))


class JobSettings(SettingsModel):
    """A job definition. Its image is built from a folder, or comes from a registry or an ECR repository."""

    folder: (
        Annotated[
            str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$", description="the name of a folder of containers/")
        ]
        | None
    ) = None
    """A folder of containers/ whose Dockerfile the image is built from. Give one of `folder`, `image` and
    `ecr_repository`."""
    image: ImageReference | None = None
    """An image of any registry, with its tag or digest: `public.ecr.aws/docker/library/busybox:1.37`."""
    ecr_repository: Repository | None = None
    """The name of an Amazon ECR repository of this account and Region, or the ARN of any repository. In
    Python, for a repository of the app, its `repository_name`: tokens of CDK are read as names."""
    tag: ImageTag = "latest"
    """The tag of the ECR repository's image, or its digest (`sha256:...`)."""

    platform: JobPlatformCapability = "ec2"
    """The platform capability: `ec2`, `fargate` or `managed_instances`. A tier has one only."""
    tiers: Annotated[list[str], Field(min_length=1)] | None = None
    """The tiers whose queues it may be submitted to; by default all that can run it."""
    vcpu: Vcpu = 1
    """vCPUs; on Fargate one of 0.25, 0.5, 1, 2, 4, 8, 16 and 32, elsewhere a whole number.
    https://docs.aws.amazon.com/batch/latest/APIReference/API_ResourceRequirement.html"""
    memory_mib: MemoryMib = 2048
    """Memory in MiB, a hard limit; on Fargate one of the sizes that go with `vcpu`. An instance has some 8 %
    less for jobs than its data sheet says.
    https://docs.aws.amazon.com/batch/latest/userguide/memory-management.html"""
    gpus: Gpus = 0
    """GPUs, each for this job alone; not on Fargate.
    https://docs.aws.amazon.com/batch/latest/userguide/gpu-jobs.html"""
    shared_memory_mib: Annotated[int, Field(ge=1)] | None = None
    """Size in MiB of /dev/shm, through which processes of some frameworks share data; Docker's default is 64.
    It is part of `memory_mib`. Not on Fargate.
    https://docs.aws.amazon.com/batch/latest/APIReference/API_LinuxParameters.html"""
    ephemeral_storage_gib: Annotated[int, Field(ge=21, le=200)] | None = None
    """Size in GiB of the job's disk, on Fargate only, where it is 20 by default.
    https://docs.aws.amazon.com/batch/latest/APIReference/API_EphemeralStorage.html"""
    timeout_s: Annotated[int, Field(ge=60, le=2**31 - 1)] = 3600
    """Seconds after which a running attempt is ended. Fargate may end it after 14 days.
    https://docs.aws.amazon.com/batch/latest/userguide/job_timeouts.html"""
    retry: RetrySettings | None = None
    """The retry policy; by default that of its tier: of several tiers, the one with the most attempts."""
    scheduling_priority: Annotated[int, Field(ge=0, le=9999)] | None = None
    """In a tier with fair share, the order among jobs of one share: the highest priority first."""

    command: list[NonEmpty] = []
    """The container's command, in which `Ref::name` is replaced by a parameter; by default the image's.
    https://docs.aws.amazon.com/batch/latest/userguide/job_definition_parameters.html"""
    parameters: dict[str, str] = {}
    """Defaults of the command's `Ref::` placeholders, which a submission may replace."""
    environment: dict[str, Variable] = {}
    """Environment variables. The console shows them: put secrets under `secrets`."""
    secrets: dict[str, SecretSettings] = {}
    """Environment variables whose values ECS fetches when the job starts, by their names."""
    uses: list[DataService] = ["input_bucket", "output_bucket"]
    """The platform's services that it may use, with environment variables for each (docs/workers.md). A list
    in the file replaces the default: name the buckets, too. Running jobs also lose
    access to a service that you remove."""
    volumes: dict[str, VolumeSettings] = {}
    """The volumes, by names of your own. Every job has /scratch, an empty volume on disk. Users other than
    root may write to it if the image has the folder for them (docs/workers.md)."""
    user: ContainerUser | None = None
    """The user, or user and group (`1000:1000`), of its processes, by names of the image or by numbers; by
    default the image's."""
    read_only_root: bool = True
    """Whether the job can write to volumes and /scratch only."""
    ulimits: dict[str, Annotated[int, Field(ge=-1)]] = {}
    """Limits of the container, such as `nofile: 65536` for open files; -1 is no limit. Not on Fargate.
    https://docs.aws.amazon.com/batch/latest/APIReference/API_Ulimit.html"""
    array_size: Annotated[int, Field(ge=2, le=10_000)] | None = None
    """The number of children with which triggers and schedules submit it; by default it is no array. Others
    that submit it pass `--array-properties size=100`.
    https://docs.aws.amazon.com/batch/latest/userguide/array_jobs.html"""
    nodes: NodesSettings | None = None
    """Makes it a multi-node parallel job: on EC2, On-Demand only."""
    consumable_resources: Annotated[dict[str, Annotated[int, Field(ge=1)]], Field(max_length=5)] = {}
    """Quantities of consumable resources that it needs, by the names of `consumable_resources` or by ARNs."""
    managed_policy_arns: Annotated[list[PolicyArn], Field(max_length=10)] = []
    """Managed policies for the job role, besides the permissions that the platform grants."""
    log_retention_days: LogRetentionDays | None = None
    """Days that CloudWatch Logs keeps its output; by default the platform's."""

    @property
    def any_architecture(self) -> bool:
        """Whether its definition leaves the CPU architecture open, so that its image may have several."""
        return self.folder is None and self.platform == "ec2"

    @property
    def node_vcpus(self) -> list[float]:
        """The vCPUs of each of its nodes; only its own, if it has no nodes."""
        return [node.vcpu for node in self.for_nodes()]

    @property
    def placeholders(self) -> frozenset[str]:
        """The names of the parameters for which its commands have a `Ref::`."""
        groups = self.nodes.groups if self.nodes is not None else []
        commands = [self.command, *(group.command or [] for group in groups)]
        return frozenset(name for command in commands for word in command for name in _REF.findall(word))

    def for_group(self, group: NodeGroupSettings) -> JobSettings:
        """Returns the settings for the nodes of a group: settings of the group replace those of the job.

        Args:
            group: one of `nodes.groups`.
        """
        own = group.model_dump(exclude={"nodes", "environment"}, exclude_none=True)
        return self.model_copy(update={**own, "environment": {**self.environment, **group.environment}})

    def for_nodes(self) -> list[JobSettings]:
        """Returns the settings for each of its nodes; only the job itself, if it has no nodes."""
        if self.nodes is None:
            return [self]
        groups = [(self.nodes.bounds(group), self.for_group(group)) for group in self.nodes.groups]
        return [
            next((job for (first, last), job in groups if first <= node <= last), self)
            for node in range(self.nodes.count)
        ]

    def incompatibility(
        self, compute: Mapping[str, ComputeSettings], architecture: Architecture | None = None
    ) -> str | None:
        """Returns the reason why a queue cannot run the job, or None if it can.

        Args:
            compute: the compute environments of the queue, by the names that messages give them.
            architecture: the CPU architecture that the job's image is made for; None if that is open.

        Returns:
            The words that follow the path of the job in a message: ``.platform is fargate``.
        """
        first = next(iter(compute.values()))
        if first.platform_capability != self.platform:
            return f".platform is {self.platform}"
        if self.nodes is not None:
            for name, one in compute.items():
                if not one.runs_multi_node:
                    return f".nodes cannot run on {one.type} compute ({name})"
        if architecture not in (None, first.architecture) and not self.any_architecture:
            return f" is made for {architecture}"
        return None

    def unknown_consumable_resources(self, known_names: Collection[str]) -> Iterator[str]:
        """Finds consumable resources that are neither known by name nor ARNs.

        Args:
            known_names: the names of the existing consumable resources.

        Returns:
            The problems, each beginning with the field.
        """
        for name in self.consumable_resources:
            if name not in known_names and not _CONSUMABLE_ARN.fullmatch(name):
                yield (
                    f"consumable_resources must name one of {known(known_names)}, or an ARN, got {name!r}"
                    f"{did_you_mean(name, known_names)}"
                )

    def unknown_access_points(self, known_names: Collection[str]) -> Iterator[str]:
        """Finds volumes that name an access point which the platform's file system does not have.

        Args:
            known_names: the names of the existing access points.

        Returns:
            The problems, each beginning with the field.
        """
        for name, volume in self.volumes.items():
            if (
                volume.type == "efs"
                and volume.file_system_id is None
                and volume.access_point not in known_names
            ):
                yield (
                    f"volumes.{name}.access_point must be one of storage.file_system.access_points, "
                    f"{known(known_names)}, got {volume.access_point!r}"
                    f"{did_you_mean(volume.access_point, known_names)}"
                )

    @model_validator(mode="after")
    def _one_image(self) -> JobSettings:
        given = [name for name in ("folder", "image", "ecr_repository") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(
                "folder, image or ecr_repository must be given, one of the three, "
                f"got {' and '.join(given) or 'none'}"
            )
        if "tag" in self.model_fields_set and self.ecr_repository is None:
            raise ValueError(f"tag must not be given without ecr_repository, got {self.tag!r}")
        return self

    @model_validator(mode="after")
    def _ids_of_users(self) -> JobSettings:
        ids = [one for one in (self.user or "").split(":") if one.isdecimal()]
        if any(int(one) > LARGEST_ID for one in ids):
            raise ValueError(f"user must have numbers between 0 and {LARGEST_ID}, got {self.user!r}")
        return self

    @model_validator(mode="after")
    def _ulimits_exist(self) -> JobSettings:
        for name in self.ulimits:
            if name not in _ULIMITS:
                raise ValueError(
                    f"ulimits must name one of {known(_ULIMITS)}, got {name!r}{did_you_mean(name, _ULIMITS)}"
                )
        return self

    @model_validator(mode="after")
    def _resources_fit_the_platform(self) -> JobSettings:
        if self.platform == "fargate":
            self._check_fargate()
        elif self.vcpu != int(self.vcpu):
            raise ValueError(
                f"vcpu must be a whole number of at least 1 on {self.platform}, got {self.vcpu:g}"
            )
        elif self.ephemeral_storage_gib is not None:
            raise ValueError(
                f"ephemeral_storage_gib must not be given on {self.platform}, "
                f"got {self.ephemeral_storage_gib}: its disk is that of the compute environment"
            )
        groups = self.nodes.groups if self.nodes is not None else []
        least_mib = min(one.memory_mib for one in (self, *map(self.for_group, groups)))
        if self.shared_memory_mib is not None and self.shared_memory_mib > least_mib:
            raise ValueError(
                f"shared_memory_mib must be at most memory_mib, which is {least_mib} and which it is part "
                f"of, got {self.shared_memory_mib}"
            )
        for name, volume in self.volumes.items():
            if volume.type == "tmpfs" and volume.size_mib >= least_mib:
                raise ValueError(
                    f"volumes.{name}.size_mib must be less than memory_mib, which is {least_mib} and which "
                    f"it is part of, got {volume.size_mib}"
                )
        if self.nodes is not None and self.platform != "ec2":
            raise ValueError(f"nodes must not be given on {self.platform}: multi-node jobs run on ec2 only")
        if self.nodes is not None and self.array_size is not None:
            raise ValueError(
                f"array_size must not be given with nodes, got {self.array_size}: "
                "a multi-node job cannot be an array"
            )
        return self

    def _check_fargate(self) -> None:
        if self.vcpu not in _MEMORY_MIB_BY_FARGATE_VCPU:
            allowed = ", ".join(f"{vcpu:g}" for vcpu in _MEMORY_MIB_BY_FARGATE_VCPU)
            raise ValueError(f"vcpu must be one of {allowed} on fargate, got {self.vcpu:g}")
        memories_mib = _MEMORY_MIB_BY_FARGATE_VCPU[self.vcpu]
        if self.memory_mib not in memories_mib:
            raise ValueError(
                f"memory_mib must be {_any_of(memories_mib)} on fargate with vcpu {self.vcpu:g}, "
                f"got {self.memory_mib}"
            )
        if self.gpus:
            raise ValueError(f"gpus must be 0 on fargate, got {self.gpus}")
        if self.shared_memory_mib is not None:
            raise ValueError(f"shared_memory_mib must not be given on fargate, got {self.shared_memory_mib}")
        if self.ulimits:
            raise ValueError(f"ulimits must not be given on fargate, got {self.ulimits}")
        for name, volume in self.volumes.items():
            if volume.type in ("host", "tmpfs"):
                raise ValueError(
                    f"volumes.{name}.type must be efs or s3_files on fargate, got {volume.type!r}"
                )

    @model_validator(mode="after")
    def _each_service_once(self) -> JobSettings:
        for index, service in enumerate(self.uses):
            if service in self.uses[:index]:
                raise ValueError(f"uses[{index}] must differ from those before it, got {service!r} again")
        return self

    @model_validator(mode="after")
    def _places_of_volumes_differ(self) -> JobSettings:
        owners: dict[str, str] = {}
        for name, volume in self.volumes.items():
            path = volume.path.rstrip("/") or "/"
            if not _VOLUME_NAME.fullmatch(name) or (name == "scratch" and path != SCRATCH):
                raise ValueError(
                    "volumes must have names of lower-case letters, digits and single hyphens or "
                    f"underscores, other than 'scratch' unless its path is {SCRATCH}, got {name!r}"
                )
            if not path.strip("/"):
                raise ValueError(
                    f"volumes.{name}.path must not be the root of the container, got {volume.path!r}"
                )
            other = owners.setdefault(path, name)
            if other != name:
                raise ValueError(
                    f"volumes.{name}.path must differ from that of volumes.{other}, got {volume.path!r}"
                )
        return self

    @model_validator(mode="after")
    def _file_systems_elsewhere_differ(self) -> JobSettings:
        owners: dict[str, str] = {}
        for name, volume in self.volumes.items():
            if volume.type == "efs" and volume.file_system_id is not None:
                other = owners.setdefault(construct_id(name), name)
                if other != name:
                    raise ValueError(
                        "volumes must have names that differ in more than hyphens and underscores where they "
                        f"have file_system_id, got {other!r} and {name!r}: both become {construct_id(name)}"
                    )
        return self

    @model_validator(mode="after")
    def _no_reserved_variable(self) -> JobSettings:
        sections: dict[str, Iterable[str]] = {"environment": self.environment, "secrets": self.secrets}
        for index, group in enumerate(self.nodes.groups if self.nodes is not None else []):
            sections[f"nodes.groups[{index}].environment"] = group.environment
        for section, names in sections.items():
            for name in names:
                if not _VARIABLE_NAME.fullmatch(name):
                    raise ValueError(
                        f"{section} must have names without white space and equals signs, got {name!r}"
                    )
                if name.startswith("AWS_BATCH"):
                    raise ValueError(f"{section} must not set {name!r}: the prefix AWS_BATCH is reserved")
        for name in self.secrets:
            for section, names in sections.items():
                if section != "secrets" and name in names:
                    raise ValueError(f"secrets must not set {name!r}, which {section} sets too")
        return self
