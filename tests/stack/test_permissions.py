"""Least privilege: who may do what, and who may be whom."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.stack

OfType = Callable[[str], dict[str, dict[str, Any]]]


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _statements(template: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, resource in template["Resources"].items():
        properties = resource.get("Properties", {})
        documents = [properties.get("PolicyDocument"), properties.get("AssumeRolePolicyDocument")]
        documents += [policy["PolicyDocument"] for policy in properties.get("Policies", [])]
        for document in documents:
            for statement in (document or {}).get("Statement", []):
                yield name, statement


def _allowed_to(template: dict[str, Any], role_prefix: str) -> dict[str, list[Any]]:
    """Action to resources, for the one role whose logical id begins so."""
    allowed: dict[str, list[Any]] = {}
    for resource in template["Resources"].values():
        if resource["Type"] != "AWS::IAM::Policy":
            continue
        if not any(role["Ref"].startswith(role_prefix) for role in resource["Properties"]["Roles"]):
            continue
        for statement in resource["Properties"]["PolicyDocument"]["Statement"]:
            for action in _as_list(statement["Action"]):
                allowed.setdefault(action, []).extend(_as_list(statement["Resource"]))
    return allowed


def test_no_statement_allows_a_wildcard_action(template: dict[str, Any], variant: dict[str, Any]) -> None:
    statements = [*_statements(template), *_statements(variant)]
    assert len(statements) > 20
    for name, statement in statements:
        # Refusing every action over plain HTTP is the one use of a wildcard, and it takes permissions away.
        if statement["Effect"] == "Allow":
            assert not any("*" in action for action in _as_list(statement["Action"])), name
            assert "NotAction" not in statement


def test_only_what_aws_binds_to_no_resource_is_unbound(template: dict[str, Any]) -> None:
    unbound = [
        action
        for _, statement in _statements(template)
        if statement["Effect"] == "Allow" and "*" in _as_list(statement.get("Resource", []))
        for action in _as_list(statement["Action"])
    ]
    assert sorted(unbound) == ["ecr:GetAuthorizationToken", *["ecs:DiscoverPollEndpoint"] * 2]


def test_the_job_reads_input_objects_and_writes_output_objects_and_nothing_else(
    template: dict[str, Any],
) -> None:
    allowed = _allowed_to(template, "MediaJobJobRole")

    def bucket(prefix: str) -> dict[str, Any]:
        (name,) = (n for n, r in template["Resources"].items()
                   if r["Type"] == "AWS::S3::Bucket" and n.startswith(prefix))  # fmt: skip
        return {"Fn::GetAtt": [name, "Arn"]}

    def objects_of(bucket_prefix: str) -> dict[str, Any]:
        return {"Fn::Join": ["", [bucket(bucket_prefix), "/*"]]}

    assert allowed == {
        "s3:ListBucket": [bucket("StorageInput")],
        "s3:GetObject": [objects_of("StorageInput")],
        "s3:GetObjectVersion": [objects_of("StorageInput")],
        "s3:PutObject": [objects_of("StorageOutput")],
        "s3:AbortMultipartUpload": [objects_of("StorageOutput")],
    }


def test_the_execution_role_pulls_and_logs(template: dict[str, Any]) -> None:
    assert sorted(_allowed_to(template, "MediaJobExecutionRole")) == [
        "ecr:BatchCheckLayerAvailability",
        "ecr:BatchGetImage",
        "ecr:GetAuthorizationToken",
        "ecr:GetDownloadUrlForLayer",
        "logs:CreateLogStream",
        "logs:PutLogEvents",
    ]


def test_the_function_submits_any_revision_of_one_definition_to_one_queue(template: dict[str, Any]) -> None:
    allowed = _allowed_to(template, "MediaTriggerFunctionRole")

    queues = [r for r in allowed["batch:SubmitJob"] if "Fn::GetAtt" in r]
    definitions = [r["Fn::Join"][1] for r in allowed["batch:SubmitJob"] if "Fn::Join" in r]
    assert [queue["Fn::GetAtt"][0].startswith("StandardTier") for queue in queues] == [True]
    assert len(definitions) == 2
    with_revision, without = sorted(definitions, key=len, reverse=True)
    assert with_revision == [*without, ":*"]
    assert not any(action.startswith(("s3:", "iam:")) for action in allowed)


def test_container_roles_can_only_be_taken_from_this_account(
    template: dict[str, Any], of_type: OfType
) -> None:
    trusting_ecs = {
        name: statement
        for name, statement in _statements(template)
        if statement.get("Principal") == {"Service": "ecs-tasks.amazonaws.com"}
    }
    assert len(trusting_ecs) == 2
    for statement in trusting_ecs.values():
        assert statement["Condition"]["StringEquals"] == {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}
        assert "aws:SourceArn" in statement["Condition"]["ArnLike"]


def _conditions_of_trust(path: Path) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for name, resource in json.loads(path.read_text(encoding="utf-8"))["Resources"].items():
        if resource["Type"] == "AWS::IAM::Role":
            for statement in resource["Properties"]["AssumeRolePolicyDocument"]["Statement"]:
                yield name, statement["Principal"]["Service"], statement.get("Condition", {})


def test_services_take_roles_for_this_account_only_wherever_they_say_for_whom(
    all_templates: dict[str, Path],
) -> None:
    """The exceptions name no source: EC2, and ECS as it launches managed instances (docs/adr/062)."""
    seen = set()
    for template, path in all_templates.items():
        for name, service, condition in _conditions_of_trust(path):
            if template.startswith("import-into") and name.startswith("ApiRole"):
                continue  # the example's own
            seen.add(service)
            account = condition.get("StringEquals", {}).get("aws:SourceAccount")
            silent = service in ("ec2.amazonaws.com", "ecs.amazonaws.com")
            assert account == (None if silent else {"Ref": "AWS::AccountId"}), f"{name} in {template}"
    assert seen == {
        "batch.amazonaws.com",
        "ec2.amazonaws.com",
        "ecs-tasks.amazonaws.com",
        "ecs.amazonaws.com",
        "lambda.amazonaws.com",
        "scheduler.amazonaws.com",
        "vpc-flow-logs.amazonaws.com",
    }


CLUSTERS = {":cluster/AWSBatch*", ":cluster/*_Batch_*"}


def cluster_patterns(arns: list[dict[str, Any]]) -> set[str]:
    return {arn["Fn::Join"][1][-1] for arn in arns}


@pytest.mark.parametrize(
    ("prefix", "drains"), [("SpotComputeInstanceRole", True), ("OnDemandComputeInstanceRole", False)]
)
def test_the_instance_role_does_what_the_ecs_agent_does_and_in_clusters_of_aws_batch_only(
    of_type: OfType, prefix: str, drains: bool
) -> None:
    (role,) = (r["Properties"] for n, r in of_type("AWS::IAM::Role").items() if n.startswith(prefix))
    (policy,) = role["Policies"]
    statements = {
        action: statement
        for statement in policy["PolicyDocument"]["Statement"]
        for action in _as_list(statement["Action"])
    }
    # No image is pulled and no log written with it: a job that takes it gains neither.
    on_cluster = {
        "ecs:DeregisterContainerInstance",
        "ecs:RegisterContainerInstance",
        "ecs:SubmitAttachmentStateChanges",
        "ecs:SubmitContainerStateChange",
        "ecs:SubmitTaskStateChange",
    }
    on_instance = {"ecs:Poll", "ecs:StartTelemetrySession"}
    if drains:
        on_instance.add("ecs:UpdateContainerInstancesState")
    assert set(statements) == on_cluster | on_instance | {"ecs:DiscoverPollEndpoint", "ecs:TagResource"}
    for action in on_cluster:
        assert cluster_patterns(statements[action]["Resource"]) == CLUSTERS
    for action in on_instance:
        assert cluster_patterns(statements[action]["Condition"]["ArnLike"]["ecs:cluster"]) == CLUSTERS
    assert statements["ecs:TagResource"]["Condition"] == {
        "StringEquals": {"ecs:CreateAction": "RegisterContainerInstance"}
    }


def test_the_function_reads_its_own_queue(template: dict[str, Any]) -> None:
    allowed = _allowed_to(template, "MediaTriggerFunctionRole")
    for action in ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility"):
        (queue,) = allowed[action]
        assert queue["Fn::GetAtt"][0].startswith("MediaTriggerQueue")
    assert "sqs:SendMessage" not in allowed


def test_each_purpose_has_its_own_role(of_type: OfType) -> None:
    services = [
        role["Properties"]["AssumeRolePolicyDocument"]["Statement"][0]["Principal"]["Service"]
        for role in of_type("AWS::IAM::Role").values()
    ]
    assert sorted(services) == [
        "ec2.amazonaws.com",
        "ec2.amazonaws.com",
        "ecs-tasks.amazonaws.com",
        "ecs-tasks.amazonaws.com",
        "lambda.amazonaws.com",
    ]
    for name, role in of_type("AWS::IAM::Role").items():
        assert "ManagedPolicyArns" not in role["Properties"], name
        assert "RoleName" not in role["Properties"]
