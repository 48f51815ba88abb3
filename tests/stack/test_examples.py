"""The examples: what they deploy is as reviewed, and nothing in them needs a warning."""

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from syrupy.assertion import SnapshotAssertion
from syrupy.extensions.json import JSONSnapshotExtension

pytestmark = pytest.mark.stack

ROOT = Path(__file__).resolve().parents[2]
NAMES = ["genomics-hpc", "gpu-training", "import-into-another-stack", "minimal", "production"]
LOGICAL_IDS = Path(__file__).with_name("logical_ids.toml")
# And what others know by its name: networks, buses, policies.
HOLD_JOBS_OR_DATA = {
    "AWS::Batch::ComputeEnvironment",
    "AWS::Batch::ConsumableResource",
    "AWS::Batch::JobDefinition",
    "AWS::Batch::JobQueue",
    "AWS::Batch::SchedulingPolicy",
    "AWS::DynamoDB::Table",
    "AWS::EC2::Subnet",
    "AWS::EC2::VPC",
    "AWS::EFS::AccessPoint",
    "AWS::EFS::FileSystem",
    "AWS::Events::EventBus",
    "AWS::KMS::Key",
    "AWS::Logs::LogGroup",
    "AWS::RDS::DBCluster",
    "AWS::S3::Bucket",
    "AWS::SNS::Topic",
    "AWS::SQS::Queue",
}


def _template(assembly: Path) -> dict[str, Any]:
    (path,) = assembly.glob("*.template.json")
    text = re.sub(r"\b[0-9a-f]{64}\b", "<asset hash>", path.read_text(encoding="utf-8"))
    template: dict[str, Any] = json.loads(text)
    return template


def test_every_folder_of_examples_is_one(examples: dict[str, Path]) -> None:
    assert sorted(examples) == NAMES
    assert all((ROOT / "examples" / name / "README.md").is_file() for name in NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_an_example_is_as_reviewed(name: str, examples: dict[str, Path], snapshot: SnapshotAssertion) -> None:
    assert _template(examples[name]) == snapshot(extension_class=JSONSnapshotExtension)


@pytest.mark.parametrize("name", NAMES)
def test_logical_ids_of_what_holds_data_or_jobs_never_change(name: str, examples: dict[str, Path]) -> None:
    """No snapshot: the file is edited by hand, by somebody who means to have these resources replaced."""
    reviewed = tomllib.loads(LOGICAL_IDS.read_text(encoding="utf-8"))
    ids: dict[str, list[str]] = {}
    for logical_id, resource in sorted(_template(examples[name])["Resources"].items()):
        if resource["Type"] in HOLD_JOBS_OR_DATA:
            ids.setdefault(resource["Type"], []).append(logical_id)
    assert ids == reviewed[name], f"see {LOGICAL_IDS.relative_to(ROOT)}"


def test_logical_ids_are_reviewed_of_everything_that_holds_data_or_jobs_or_is_known_to_others() -> None:
    reviewed = tomllib.loads(LOGICAL_IDS.read_text(encoding="utf-8"))
    assert sorted(reviewed) == NAMES
    assert {kind for kinds in reviewed.values() for kind in kinds} == HOLD_JOBS_OR_DATA


@pytest.mark.parametrize("name", NAMES)
def test_synthesis_of_an_example_warns_of_nothing(name: str, examples: dict[str, Path]) -> None:
    manifest = json.loads((examples[name] / "manifest.json").read_text(encoding="utf-8"))
    said = [
        entry
        for artifact in manifest["artifacts"].values()
        for entries in artifact.get("metadata", {}).values()
        for entry in entries
        if entry["type"] in ("aws:cdk:warning", "aws:cdk:error")
    ]
    for artifact in manifest["artifacts"].values():
        if "additionalMetadataFile" in artifact:
            further = json.loads((examples[name] / artifact["additionalMetadataFile"]).read_text("utf-8"))
            said += [one for entries in further.values() for one in entries if "warning" in one["type"]]
    assert said == []


def test_no_example_has_a_custom_resource(examples: dict[str, Path]) -> None:
    for assembly in examples.values():
        kinds = {resource["Type"] for resource in _template(assembly)["Resources"].values()}
        assert not [kind for kind in kinds if "Custom" in kind]


def test_production_is_locked_as_it_is() -> None:
    lock = json.loads((ROOT / "examples/production/batch.lock.json").read_text(encoding="utf-8"))
    assert list(lock["tiers"]) == ["bulk", "critical", "reports", "standard"]


def test_the_separate_app_has_the_feature_flags_of_the_project() -> None:
    own, projects = (
        json.loads(path.read_text(encoding="utf-8"))
        for path in (ROOT / "examples/import-into-another-stack/cdk.json", ROOT / "cdk.json")
    )
    assert own["context"] == projects["context"]
    assert own["app"] == "python3 app.py"


def test_only_the_catalogue_s_own_jobs_are_within_reach_of_its_api(examples: dict[str, Path]) -> None:
    template = _template(examples["import-into-another-stack"])["Resources"]
    (policy,) = (
        one["Properties"]["PolicyDocument"]["Statement"]
        for name, one in template.items()
        if one["Type"] == "AWS::IAM::Policy" and name.startswith("ApiRole")
    )
    for statement in policy:
        actions = [statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"]
        if "batch:SubmitJob" in actions:
            named = re.findall(
                r'"(\w+(?:JobDefinition|Queue)[0-9A-F]{8})"', json.dumps(statement["Resource"])
            )
            assert {name[:-8] for name in named} == {
                "BatchIndexJobDefinition",
                "BatchOnlineTierQueue",
                "NightlyTierQueue",
            }
        elif actions != ["batch:DescribeJobs", "batch:ListJobs"]:
            assert "catalogue" in json.dumps(statement["Condition"]), actions
