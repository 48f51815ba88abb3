"""One stack with a job of every kind, synthesised once."""

import json
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import batch_stack
from batch_stack.common.retention import DataPolicy
from batch_stack.settings.jobs import JobSettings
from batch_stack.settings.nodes import NodeGroupSettings, NodesSettings
from batch_stack.settings.retry import RetrySettings
from batch_stack.settings.secrets import SecretSettings
from batch_stack.settings.sections import ConsumableResourceSettings
from batch_stack.settings.volumes import EfsVolumeSettings, HostVolumeSettings, S3FilesVolumeSettings

IMAGE = "public.ecr.aws/docker/library/busybox:1.37"
KEY = "arn:aws:kms:us-east-1:123456789012:key/0f1e2d3c-1111-2222-3333-444455556666"
FULL_SECRET = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:licence-AbCd12"
PARTIAL_SECRET = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:team/licence"
OTHER_PARAMETER = "arn:aws:ssm:eu-west-1:123456789012:parameter/other/region"
S3_FILES = "arn:aws:s3files:us-east-1:123456789012:file-system/fs-0a1b2c3d4e5f60718"
LICENCES = "arn:aws:batch:us-east-1:123456789012:consumable-resource/licences"

JOBS = {
    "plain": JobSettings(
        image=IMAGE,
        parameters={"quality": "high"},
        scheduling_priority=7,
        user="1000:1000",
        read_only_root=False,
        shared_memory_mib=512,
        ulimits={"nofile": 65536, "memlock": -1},
        gpus=2,
        managed_policy_arns=["arn:aws:iam::aws:policy/AWSXRayDaemonWriteAccess"],
        consumable_resources={"seats": 2, LICENCES: 1},
    ),
    "tagged": JobSettings(ecr_repository="team/tool", tag="1.4"),
    "digest": JobSettings(ecr_repository="team/tool", tag="sha256:" + "ab" * 32),
    "theirs": JobSettings(
        ecr_repository="arn:aws:ecr:eu-west-1:210987654321:repository/team/tool", tag="1.4"
    ),
    "private": JobSettings(image="210987654321.dkr.ecr.eu-west-1.amazonaws.com/team/tool:1.4"),
    "pinned": JobSettings(image="210987654321.dkr.ecr.eu-west-1.amazonaws.com/team/tool@sha256:" + "cd" * 32),
    "nvme": JobSettings(
        image=IMAGE,
        volumes={"fast": HostVolumeSettings(type="host", path="/scratch", host_path="/scratch")},
    ),
    "disk": JobSettings(image=IMAGE, platform="fargate", ephemeral_storage_gib=120),
    "managed": JobSettings(
        image=IMAGE,
        platform="managed_instances",
        gpus=1,
        command=["echo", "Ref::what"],
        parameters={"what": "hello"},
        environment={"MODE": "fast"},
        secrets={"TOKEN": SecretSettings(parameter="/tool/token")},
        volumes={"models": S3FilesVolumeSettings(type="s3_files", path="/models", file_system_arn=S3_FILES)},
        consumable_resources={"seats": 1},
    ),
    "nodes": JobSettings(
        image=IMAGE,
        vcpu=4,
        memory_mib=8192,
        command=["solve"],
        environment={"MODE": "mpi", "ROLE": "worker"},
        volumes={"data": S3FilesVolumeSettings(type="s3_files", path="/data", file_system_arn=S3_FILES)},
        consumable_resources={"seats": 1},
        nodes=NodesSettings(
            count=6,
            main=1,
            instance_type="c6i.2xlarge",
            groups=[
                NodeGroupSettings(nodes="1", environment={"ROLE": "main"}, command=["lead"], memory_mib=4096),
                NodeGroupSettings(nodes="4:", vcpu=2),
            ],
        ),
    ),
    "secrets": JobSettings(
        image=IMAGE,
        secrets={
            "PASSWORD": SecretSettings(secret="db/main", field="password"),
            "LICENCE": SecretSettings(secret=FULL_SECRET, kms_key_arn=KEY),
            "PARTIAL": SecretSettings(secret=PARTIAL_SECRET),
            "TOKEN": SecretSettings(parameter="/tool/token", kms_key_arn=KEY),
            "BARE": SecretSettings(parameter="bare"),
            "REMOTE": SecretSettings(parameter=OTHER_PARAMETER),
        },
    ),
    "volumes": JobSettings(
        image=IMAGE,
        volumes={
            "reference": EfsVolumeSettings(
                type="efs", path="/reference", access_point="reference", read_only=True
            ),
            "elsewhere": EfsVolumeSettings(
                type="efs",
                path="/elsewhere",
                access_point="fsap-0123456789abcdef0",
                file_system_id="fs-0123456789abcdef0",
            ),
            "bucket": S3FilesVolumeSettings(
                type="s3_files",
                path="/bucket",
                read_only=True,
                file_system_arn=S3_FILES,
                access_point_arn=f"{S3_FILES}/access-point/fsap-0a1b2c3d4e5f60718",
            ),
            "folder": S3FilesVolumeSettings(
                type="s3_files", path="/folder", file_system_arn=S3_FILES, root_directory="/some/folder"
            ),
            "models": HostVolumeSettings(
                type="host", path="/models", host_path="/mnt/models", read_only=True
            ),
        },
    ),
}


class World:
    """A stack of its own with one job of each kind."""

    def __init__(self, cdk: Any, app: Any) -> None:
        efs, ec2 = import_module("aws_cdk.aws_efs"), import_module("aws_cdk.aws_ec2")
        self.stack = cdk.Stack(app, "kinds")
        file_system = efs.FileSystem.from_file_system_attributes(
            self.stack,
            "Shared",
            file_system_id="fs-00000000000000001",
            security_group=ec2.SecurityGroup.from_security_group_id(
                self.stack, "Group", "sg-00000000000000001"
            ),
        )
        access_point = efs.AccessPoint.from_access_point_attributes(
            self.stack, "Reference", access_point_id="fsap-00000000000000001", file_system=file_system
        )
        self.file_system = SimpleNamespace(file_system=file_system, access_points={"reference": access_point})
        self.seats = batch_stack.ConsumableResource(
            self.stack, "Seats", settings=ConsumableResourceSettings(total=8)
        )
        batch_stack.ConsumableResource(
            self.stack, "Credits", settings=ConsumableResourceSettings(total=100, replenishable=False)
        )
        self.jobs = {name: self.job(name, settings) for name, settings in JOBS.items()}

    def job(self, name: str, settings: JobSettings, **others: Any) -> Any:
        given = {
            "file_system": self.file_system,
            "consumable_resources": {"seats": self.seats},
            "architecture": "arm64" if name == "managed" else "x86_64",
            **others,
        }
        return batch_stack.ContainerJob(
            self.stack,
            name.capitalize(),
            name=name,
            settings=settings,
            containers_dir=Path("unused"),
            retry=RetrySettings(),
            data_policy=DataPolicy(log_retention_days=7),
            **given,
        )


@pytest.fixture(scope="session")
def world(cdk: Any, new_app: Callable[[], Any]) -> World:
    """The stack with one job of each kind."""
    return World(cdk, new_app())


@pytest.fixture(scope="session")
def synthesised(world: World) -> Path:
    """Its template's file."""
    return Path(world.stack.node.root.synth().directory) / world.stack.template_file


@pytest.fixture
def kinds(synthesised: Path) -> dict[str, Any]:
    """Its resources; each test gets its own copy."""
    resources: dict[str, Any] = json.loads(synthesised.read_text())["Resources"]
    return resources
