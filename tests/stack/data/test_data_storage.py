"""Buckets under a key, scratch space, access logs, and the file system."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from tests.cloudformation_changes import changes
from tests.stack.reading import Template

pytestmark = pytest.mark.stack

Synth = Callable[[Mapping[str, Any]], dict[str, Any]]

KEY = "Key961B73FD"
JOB_ROLE = "WorkJobJobRole"


def test_one_key_is_rotated_kept_and_encrypts_all_data(everything: Template, plain: Template) -> None:
    name, key = everything.one("KMS::Key")
    assert key["Properties"]["EnableKeyRotation"] is True
    assert (key["DeletionPolicy"], key["UpdateReplacePolicy"]) == ("Retain", "Retain")
    users = {
        other
        for other, one in everything.resources.items()
        if one["Type"].startswith(("AWS::S3::B", "AWS::EFS::F", "AWS::DynamoDB", "AWS::RDS::DBCluster"))
        if f'"{name}"' in json.dumps(one.get("Properties"))
    }
    assert sorted(user[:-8] for user in users) == [
        "DatabaseCluster",
        "FilesFileSystem",
        "JobTable",
        "StorageInput",
        "StorageOutput",
        "StorageScratch",
    ]
    assert not plain.of("KMS::Key")


def test_buckets_take_the_key_in_place_and_ask_it_once_for_many_objects(synth: Synth) -> None:
    before, after = synth({"name": "keys"}), synth({"name": "keys", "storage": {"kms": True}})
    found = {change.logical_id[:-8]: change.kind for change in changes(before, after).values()}
    assert found["StorageInput"] == found["StorageOutput"] == "in place"
    assert "replaced" not in found.values()
    for name in ("StorageInput124FA7A1", "StorageOutputBB69BB33"):
        (rule,) = after["Resources"][name]["Properties"]["BucketEncryption"][
            "ServerSideEncryptionConfiguration"
        ]
        assert rule["BucketKeyEnabled"] is True
        assert rule["ServerSideEncryptionByDefault"]["SSEAlgorithm"] == "aws:kms"


def test_roles_may_use_the_key_through_one_service_and_by_two_actions(everything: Template) -> None:
    uses = {}
    for policy in everything.of("IAM::Policy").values():
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]:
            if "kms:" in json.dumps(statement["Action"]):
                assert statement["Resource"] == {"Fn::GetAtt": [KEY, "Arn"]}
                via = statement["Condition"]["StringEquals"]["kms:ViaService"]["Fn::Join"][1][0]
                uses[policy["Properties"]["PolicyName"].partition("DefaultPolicy")[0], via] = statement[
                    "Action"
                ]
    write = ["kms:Decrypt", "kms:GenerateDataKey"]
    for service in ("s3.", "dynamodb.", "sqs."):
        assert uses.pop(("WorkJobJobRole", service)) == write
    assert uses.pop(("WorkJobExecutionRole", "secretsmanager.")) == "kms:Decrypt"
    assert uses.pop(("SmallJobJobRole", "s3.")) == write
    for service in ("sns.", "sqs."):
        assert uses.pop(("LowTierBudgetFunctionRole", service)) == write
    assert uses == {}


def test_scratch_space_expires_keeps_no_versions_and_is_for_jobs_to_read_and_write(
    everything: Template, template: dict[str, Any]
) -> None:
    name, bucket = everything.one("S3::Bucket", "StorageScratch")
    assert "VersioningConfiguration" not in bucket["Properties"]
    (rule,) = bucket["Properties"]["LifecycleConfiguration"]["Rules"]
    assert (rule["ExpirationInDays"], rule["AbortIncompleteMultipartUpload"]) == (
        3,
        {"DaysAfterInitiation": 7},
    )
    assert "NoncurrentVersionExpiration" not in rule
    assert everything.environment("WorkJob")["SCRATCH_BUCKET"] == {"Ref": name}
    assert everything.actions_on(JOB_ROLE, name) == {
        "s3:AbortMultipartUpload",
        "s3:GetObject",
        "s3:GetObjectVersion",
        "s3:ListBucket",
        "s3:PutObject",
    }
    assert everything.outputs["ScratchBucketName"] == {"Value": {"Ref": name}}
    assert not [name for name in template["Resources"] if "Scratch" in name]


def test_access_logs_of_every_bucket_go_to_one_that_only_s3_may_write(everything: Template) -> None:
    name, logs = everything.one("S3::Bucket", "StorageLogs")
    (encryption,) = logs["Properties"]["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert encryption["ServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}
    assert logs["Properties"]["LifecycleConfiguration"]["Rules"][0]["ExpirationInDays"] == 14
    others = {other: one for other, one in everything.of("S3::Bucket").items() if other != name}
    assert len(others) == 3
    prefixes = set()
    for bucket in others.values():
        logging = bucket["Properties"]["LoggingConfiguration"]
        assert logging["DestinationBucketName"] == {"Ref": name}
        prefixes.add(logging["LogFilePrefix"])
    assert prefixes == {"input/", "output/", "scratch/"}

    _, policy = everything.one("S3::BucketPolicy", "StorageLogs")
    allowed = [s for s in policy["Properties"]["PolicyDocument"]["Statement"] if s["Effect"] == "Allow"]
    assert {s["Condition"]["ArnLike"]["aws:SourceArn"]["Fn::GetAtt"][0] for s in allowed} == set(others)
    for statement in allowed:
        assert statement["Principal"] == {"Service": "logging.s3.amazonaws.com"}
        assert statement["Action"] == "s3:PutObject"
        assert "aws:SourceAccount" in statement["Condition"]["StringEquals"]


def test_the_file_system_is_encrypted_backed_up_and_kept(everything: Template, plain: Template) -> None:
    _, files = everything.one("EFS::FileSystem")
    properties = files["Properties"]
    assert properties["Encrypted"] is True
    assert properties["KmsKeyId"] == {"Fn::GetAtt": [KEY, "Arn"]}
    assert properties["ThroughputMode"] == "elastic"
    assert properties["BackupPolicy"] == {"Status": "ENABLED"}
    assert properties["LifecyclePolicies"] == [
        {"TransitionToIA": "AFTER_30_DAYS"},
        {"TransitionToPrimaryStorageClass": "AFTER_1_ACCESS"},
    ]
    assert files["DeletionPolicy"] == files["UpdateReplacePolicy"] == "Retain"
    _, other = plain.one("EFS::FileSystem")
    assert "KmsKeyId" not in other["Properties"]
    assert (other["Properties"]["Encrypted"], other["DeletionPolicy"]) == (True, "Delete")


def test_nobody_mounts_the_file_system_without_tls_or_unasked(everything: Template) -> None:
    _, files = everything.one("EFS::FileSystem")
    (statement,) = files["Properties"]["FileSystemPolicy"]["Statement"]
    # An Allow for everybody, as a policy against anonymous access often has, would let any role in.
    assert statement["Effect"] == "Deny"
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    name, group = everything.one("EC2::SecurityGroup", "FilesSecurityGroup")
    assert "SecurityGroupIngress" not in group["Properties"]
    (rule,) = (
        one["Properties"]
        for one in everything.of("EC2::SecurityGroupIngress").values()
        if one["Properties"]["GroupId"]["Fn::GetAtt"][0] == name
    )
    jobs, _ = everything.one("EC2::SecurityGroup", "NetworkJobSecurityGroup")
    assert (rule["IpProtocol"], rule["FromPort"], rule["ToPort"]) == ("tcp", 2049, 2049)
    assert rule["SourceSecurityGroupId"] == {"Fn::GetAtt": [jobs, "GroupId"]}


def test_access_points_are_owned_as_told_mountable_at_once_and_outlive_edits(
    everything: Template, plain: Template
) -> None:
    _, shared = everything.one("EFS::AccessPoint", "FilesShared")
    assert shared["Properties"]["PosixUser"] == {"Uid": "1001", "Gid": "1002"}
    assert shared["Properties"]["RootDirectory"] == {
        "Path": "/shared",
        "CreationInfo": {"OwnerUid": "1001", "OwnerGid": "1002", "Permissions": "0770"},
    }
    assert shared["DeletionPolicy"] == shared["UpdateReplacePolicy"] == "Retain"
    assert set(shared["DependsOn"]) == set(everything.of("EFS::MountTarget"))
    _, other = plain.one("EFS::AccessPoint", "FilesShared")
    assert other["DeletionPolicy"] == other["UpdateReplacePolicy"] == "Delete"


def test_a_job_may_mount_the_access_point_of_its_volume_and_no_other(everything: Template) -> None:
    files, _ = everything.one("EFS::FileSystem")
    shared, _ = everything.one("EFS::AccessPoint", "FilesShared")
    (statement,) = (
        s for s in everything.statements(JOB_ROLE) if "elasticfilesystem" in json.dumps(s["Action"])
    )
    assert statement["Resource"] == {"Fn::GetAtt": [files, "Arn"]}
    point = json.dumps(statement["Condition"]["StringEquals"]["elasticfilesystem:AccessPointArn"])
    assert f'"{shared}"' in point
    assert not everything.actions_on("SmallJobJobRole", files)
    _, definition = everything.one("Batch::JobDefinition", "WorkJob")
    volumes = definition["Properties"]["ContainerProperties"]["Volumes"]
    (volume,) = (one["EfsVolumeConfiguration"] for one in volumes if "EfsVolumeConfiguration" in one)
    assert volume["FileSystemId"] == {"Ref": files}
    assert volume["AuthorizationConfig"] == {"AccessPointId": {"Ref": shared}, "Iam": "ENABLED"}
    assert volume["TransitEncryption"] == "ENABLED"


FILES = {"file_system": {"access_points": {"all": {"path": "/all"}}}}
MODES: list[dict[str, Any]] = [
    {"mode": "public"},
    {"mode": "private_with_nat"},
    {"mode": "isolated", "endpoints": ["secretsmanager"]},
]


def test_no_change_of_mode_moves_what_keeps_data(synth: Synth) -> None:
    """EFS has one mount target in each zone: a second one, made before the first is deleted, is refused."""
    small = {"compute": {"a": {"type": "spot"}}, "tiers": {"x": {"priority": 1, "compute": ["a"]}}}
    kept = {"storage": FILES, "results": {"database": {}}}
    templates = [synth({**small, **kept, "network": mode}) for mode in MODES]
    for before in templates:
        for after in templates:
            found = changes(before, after).values()
            kinds = {change.type: change.kind for change in found}
            assert not kinds.keys() & {
                "AWS::EFS::FileSystem",
                "AWS::EFS::MountTarget",
                "AWS::EFS::AccessPoint",
                "AWS::RDS::DBCluster",
                "AWS::RDS::DBSubnetGroup",
            }
            moved = [c.logical_id for c in found if "IsolatedSubnet" in c.logical_id and c.kind == "replaced"]
            assert moved == []


def test_subnets_for_data_leave_those_of_jobs_where_they_were(synth: Synth) -> None:
    found = changes(synth({"name": "files"}), synth({"name": "files", "storage": FILES}))
    network = {name: change.kind for name, change in found.items() if name.startswith("NetworkVpc")}
    assert {kind for name, kind in network.items() if "IsolatedSubnet" in name} == {"added"}
    assert {kind for name, kind in network.items() if "IsolatedSubnet" not in name} <= {"in place"}


def test_another_owner_is_another_access_point_and_the_old_one_stays(synth: Synth) -> None:
    def settings(uid: int) -> dict[str, Any]:
        return {
            "name": "files",
            "storage": {"file_system": {"access_points": {"all": {"path": "/all", "uid": uid}}}},
        }

    before, after = synth(settings(1000)), synth(settings(2000))
    (change,) = (c for c in changes(before, after).values() if c.type == "AWS::EFS::AccessPoint")
    assert change.kind == "replaced"
    assert before["Resources"][change.logical_id]["UpdateReplacePolicy"] == "Retain"
