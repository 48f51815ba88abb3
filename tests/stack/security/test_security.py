"""cdk-nag and checkov on every template: each finding is mended, or accepted with a reason."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.stack.security import findings
from tests.stack.security.findings import (
    Acceptance,
    Finding,
    acceptances,
    covered_twice,
    not_accepted,
    stale,
)

pytestmark = pytest.mark.stack

CARELESS = {
    "Resources": {
        "Bucket": {"Type": "AWS::S3::Bucket"},
        "Open": {
            "Type": "AWS::EC2::SecurityGroup",
            "Properties": {
                "GroupDescription": "open to all",
                "VpcId": "vpc-0123456789abcdef0",
                "SecurityGroupIngress": [
                    {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "CidrIp": "0.0.0.0/0"}
                ],
            },
        },
    }
}


@pytest.fixture(scope="session")
def everything(all_templates: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """All templates, and one that any reviewer would send back."""
    path = tmp_path_factory.mktemp("careless") / "careless.json"
    path.write_text(json.dumps(CARELESS), encoding="utf-8")
    return {**all_templates, "careless": path}


@pytest.fixture(scope="session")
def nag_findings(new_app: Callable[[], Any], everything: dict[str, Path]) -> list[Finding]:
    return findings.nag(new_app(), everything)


@pytest.fixture(scope="session")
def checkov_findings(everything: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> list[Finding]:
    return findings.checkov(tmp_path_factory.mktemp("checkov"), everything)


@pytest.fixture(scope="session")
def found(nag_findings: list[Finding], checkov_findings: list[Finding]) -> list[Finding]:
    """What both tools say about our own templates."""
    return [one for one in [*nag_findings, *checkov_findings] if one.template != "careless"]


def test_every_finding_is_accepted_for_a_stated_reason(found: list[Finding]) -> None:
    left = not_accepted(found, acceptances())
    assert not left, "mend these, or add a reason to accepted.toml:\n" + "\n".join(map(str, left))


def test_no_finding_is_accepted_for_two_reasons(found: list[Finding]) -> None:
    assert covered_twice(found, acceptances()) == []


def test_with_a_key_of_ones_own_nothing_is_left_to_keys_of_aws(
    found: list[Finding], whole_stacks: dict[str, Any]
) -> None:
    """What accepted.toml says of log groups, queues and topics."""
    rules = {"CKV_AWS_158", "CKV_AWS_26", "CKV_AWS_27"}
    with_key = {name for name, one in whole_stacks.items() if one.platform.settings.storage.kms}
    with_key |= {"genomics-hpc.genomics", "production.batch-production"}
    assert "everything" in with_key
    assert [one for one in found if one.rule in rules and one.template in with_key] == []
    assert {one.rule for one in found} >= rules


def test_nothing_is_accepted_that_no_longer_occurs(found: list[Finding]) -> None:
    assert stale(found, acceptances()) == []


def test_every_reason_is_a_sentence() -> None:
    assert [one.rule for one in acceptances() if len(one.reason.split()) < 8] == []


def test_each_tool_reports_a_careless_template(
    nag_findings: list[Finding], checkov_findings: list[Finding]
) -> None:
    careless = [one for one in [*nag_findings, *checkov_findings] if one.template == "careless"]
    assert {(one.rule, one.logical_id) for one in not_accepted(careless, acceptances())} >= {
        ("AwsSolutions-S10", "Bucket"),
        ("AwsSolutions-EC23", "Open"),
        ("CKV_AWS_53", "Bucket"),
        ("CKV_AWS_24", "Open"),
    }


def test_an_acceptance_covers_what_it_names_and_no_more() -> None:
    finding = Finding("R1", "Resource::*", "AWS::IAM::Role", "SpotRole1", "default")
    accepted = Acceptance("R1", "AWS::IAM::Role", r"Spot\w+", r"Resource::\*", "because")
    assert accepted.covers(finding)
    others = {"rule": "R2", "detail": "Action::*", "kind": "AWS::IAM::Policy", "logical_id": "MySpotRole1"}
    for field, value in others.items():
        other = replace(finding, **{field: value})
        assert not_accepted([finding, other], [accepted]) == [other]
        assert stale([other], [accepted]) == [accepted]
    wider = replace(accepted, logical_id=".*")
    assert covered_twice([finding], [accepted]) == []
    assert covered_twice([finding], [accepted, wider]) == [finding]


def test_the_file_of_acceptances_has_no_key_that_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "accepted.toml"
    path.write_text(
        '[[accepted]]\nrules = ["R1"]\nkind = ".*"\nlogical = "A"\nreason = "r"\n', encoding="utf-8"
    )
    with pytest.raises(ValueError, match=r"accepted\.toml has no key logical, at \['R1'\]"):
        acceptances(path)
