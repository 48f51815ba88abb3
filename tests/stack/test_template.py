"""The template as a whole."""

import json
import re
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest
from syrupy.assertion import SnapshotAssertion
from syrupy.extensions.json import JSONSnapshotExtension

pytestmark = pytest.mark.stack

ROOT = Path(__file__).resolve().parents[2]


def test_the_default_template_is_as_reviewed(template: dict[str, Any], snapshot: SnapshotAssertion) -> None:
    text = re.sub(r"\b[0-9a-f]{64}\b", "<asset hash>", json.dumps(template))
    assert json.loads(text) == snapshot(extension_class=JSONSnapshotExtension)


def test_cfn_lint_has_nothing_to_say(all_templates: dict[str, Path], tmp_path: Path) -> None:
    command = [str(Path(sys.executable).parent / "cfn-lint"), *map(str, all_templates.values())]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_nothing_in_a_template_silences_a_linter(all_templates: dict[str, Path]) -> None:
    for name, path in all_templates.items():
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"cfn-lint|cdk_nag|checkov", text), name
    assert not list(ROOT.glob(".cfnlintrc*")) + list(ROOT.glob(".checkov*"))


def test_logical_ids_of_what_holds_data_or_jobs_never_change(template: dict[str, Any]) -> None:
    kinds = {
        "AWS::Batch::ComputeEnvironment",
        "AWS::Batch::JobDefinition",
        "AWS::Batch::JobQueue",
        "AWS::EC2::Subnet",
        "AWS::EC2::VPC",
        "AWS::Logs::LogGroup",
        "AWS::S3::Bucket",
        "AWS::SNS::Topic",
        "AWS::SQS::Queue",
    }
    assert sorted(name for name, r in template["Resources"].items() if r["Type"] in kinds) == [
        "BulkTierQueue617A182E",
        "CriticalTierQueue85BFD518",
        "FargateComputeA597E16D",
        "FargateTierQueue3CB7CCA9",
        "MediaJobDefinition60EF45A6",
        "MediaJobLogGroup1225DB00",
        "MediaTriggerDeadLetterQueueDD9CE268",
        "MediaTriggerFunctionLogGroup446696CA",
        "MediaTriggerQueue12E87C8A",
        "NetworkVpc7FB7348F",
        "NetworkVpcPublicSubnet1Subnet36933139",
        "NetworkVpcPublicSubnet2SubnetC427CCE0",
        "NotificationDeadLetterQueueF4646466",
        "NotificationTopicC6E25629",
        "OnDemandCompute4044C159",
        "SpotCompute4DA05793",
        "StandardTierQueue47EA55B0",
        "StorageInput124FA7A1",
        "StorageOutputBB69BB33",
    ]


def test_there_are_no_custom_resources(template: dict[str, Any], variant: dict[str, Any]) -> None:
    for one in (template, variant):
        kinds = {resource["Type"] for resource in one["Resources"].values()}
        assert not [kind for kind in kinds if "Custom" in kind]


def test_outputs_are_of_what_their_names_say(template: dict[str, Any]) -> None:  # names: test_outputs.py
    assert template["Outputs"]["InputBucketName"]["Value"] == {"Ref": "StorageInput124FA7A1"}
    assert template["Outputs"]["MediaJobDefinitionArn"]["Value"] == {"Ref": "MediaJobDefinition60EF45A6"}


def test_feature_flags_are_those_that_this_version_of_the_library_recommends(cdk: Any) -> None:
    (library,) = (Path(cdk.__file__).parent / "_jsii").glob("aws-cdk-lib@*.tgz")
    with tarfile.open(library) as archive:
        member = next(m for m in archive if m.name == "package/recommended-feature-flags.json")
        content = archive.extractfile(member)
        assert content is not None
        recommended = json.load(content)
    assert json.loads((ROOT / "cdk.json").read_text(encoding="utf-8"))["context"] == recommended
