"""Volumes of jobs: where they are mounted, and who may mount them."""

import json
from typing import Any

import pytest

from tests.stack.jobs.conftest import S3_FILES
from tests.stack.jobs.reading import HERE, container, flat, statements

pytestmark = pytest.mark.stack


def test_volumes_are_mounted_where_they_should_be_and_read_only_where_they_should(
    kinds: dict[str, Any],
) -> None:
    mounts = {
        m["SourceVolume"]: (m["ContainerPath"], m["ReadOnly"])
        for m in container(kinds, "volumes")["MountPoints"]
    }
    assert mounts == {
        "scratch": ("/scratch", False),
        "reference": ("/reference", True),
        "elsewhere": ("/elsewhere", False),
        "bucket": ("/bucket", True),
        "folder": ("/folder", False),
        "models": ("/models", True),
    }


def test_file_systems_are_mounted_with_tls_and_the_jobs_role(kinds: dict[str, Any]) -> None:
    volumes = {volume.pop("Name"): volume for volume in container(kinds, "volumes")["Volumes"]}
    ids = {"reference": "00000000000000001", "elsewhere": "0123456789abcdef0"}
    for name, one in ids.items():
        assert volumes[name] == {
            "EfsVolumeConfiguration": {
                "AuthorizationConfig": {"AccessPointId": f"fsap-{one}", "Iam": "ENABLED"},
                "FileSystemId": f"fs-{one}",
                "TransitEncryption": "ENABLED",
            }
        }
    assert volumes["bucket"] == {
        "S3FilesVolumeConfiguration": {
            "FileSystemArn": S3_FILES,
            "AccessPointArn": f"{S3_FILES}/access-point/fsap-0a1b2c3d4e5f60718",
        }
    }
    assert volumes["folder"] == {
        "S3FilesVolumeConfiguration": {"FileSystemArn": S3_FILES, "RootDirectory": "/some/folder"}
    }
    assert volumes["models"] == {"Host": {"SourcePath": "/mnt/models"}}
    assert volumes["scratch"] == {"Host": {}}


def test_the_job_role_mounts_through_its_access_points_only_and_writes_only_where_it_may(
    kinds: dict[str, Any],
) -> None:
    efs = [s for s in statements(kinds, "VolumesJobRole") if "elasticfilesystem" in json.dumps(s["Action"])]
    by_point = {
        flat(s["Condition"]["StringEquals"]["elasticfilesystem:AccessPointArn"]).rpartition("/")[2]: s
        for s in efs
    }
    assert len(efs) == len(by_point) == 2
    reading, writing = by_point["fsap-00000000000000001"], by_point["fsap-0123456789abcdef0"]
    assert reading["Action"] == "elasticfilesystem:ClientMount"
    assert writing["Action"] == ["elasticfilesystem:ClientMount", "elasticfilesystem:ClientWrite"]
    assert flat(writing["Resource"]).endswith(f"{HERE}:file-system/fs-0123456789abcdef0")
    for statement in efs:
        assert statement["Condition"]["Bool"] == {"elasticfilesystem:AccessedViaMountTarget": "true"}


def test_s3_files_are_mounted_with_the_permissions_that_the_volume_needs(kinds: dict[str, Any]) -> None:
    found = [s for s in statements(kinds, "VolumesJobRole") if "s3files" in json.dumps(s["Action"])]
    bound, whole = sorted(found, key=lambda statement: "Condition" not in statement)
    assert bound["Action"] == "s3files:ClientMount"
    assert bound["Condition"] == {
        "StringEquals": {"s3files:AccessPointArn": f"{S3_FILES}/access-point/fsap-0a1b2c3d4e5f60718"}
    }
    assert whole["Action"] == ["s3files:ClientMount", "s3files:ClientWrite"]
    assert "Condition" not in whole
    assert {bound["Resource"], whole["Resource"]} == {S3_FILES}


def test_a_volume_at_scratch_takes_the_place_of_the_empty_one(kinds: dict[str, Any]) -> None:
    one = container(kinds, "nvme")
    assert one["Volumes"] == [{"Name": "fast", "Host": {"SourcePath": "/scratch"}}]
    assert one["MountPoints"] == [{"ContainerPath": "/scratch", "ReadOnly": False, "SourceVolume": "fast"}]
