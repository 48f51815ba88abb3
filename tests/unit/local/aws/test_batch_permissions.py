"""What each request to AWS Batch needs to be allowed, against AWS's own list of actions and resources."""

import json
from importlib.resources import files
from typing import Any

import pytest

from batch_engine.core.model.ids import Arns
from batch_engine.local.aws.batch_permissions import Check, checks
from tests.api_world import MODEL

ARNS = Arns("123456789012", "eu-central-1")
BATCH = "arn:aws:batch:eu-central-1:123456789012:"
IAM = "arn:aws:iam::123456789012:role/"
# Optional resources that AWS lists and that no request names by itself, or names only in passing.
NOT_CHECKED = {
    ("SubmitJob", "job"),  # of tags: there is no id yet
    ("SubmitJob", "consumable-resource"),
    ("RegisterJobDefinition", "consumable-resource"),
    ("SubmitServiceJob", "service-job"),
    ("SubmitServiceJob", "quota-share"),
}
SAME = {"job-definition-revision": "job-definition", "quota-share": "job-queue"}


def needed(operation: str, tags: dict[str, dict[str, str]] | None = None, /, **request: Any) -> list[Check]:
    known = tags or {}
    profiles = {"profile": [f"{IAM}instances"]}
    return [
        *checks(
            operation,
            request,
            ARNS,
            lambda arn: known.get(arn, {}),
            lambda profile: profiles.get(profile.rpartition("/")[2], []),
        )
    ]


def pairs(found: list[Check]) -> list[tuple[str, str]]:
    return [(check.action, check.resource.removeprefix(BATCH)) for check in found]


def _sample(operation: str) -> dict[str, Any]:
    """A request with every member that could name something."""
    request: dict[str, Any] = {
        "computeEnvironmentOrder": [{"order": 1, "computeEnvironment": "n"}],
        "serviceEnvironmentOrder": [{"order": 1, "serviceEnvironment": "n"}],
        "jobs": ["n"],
        "arn": f"{BATCH}scheduling-policy/n",
        "schedulingPolicyArn": f"{BATCH}scheduling-policy/n",
        "quotaShareArn": f"{BATCH}job-queue/n/quota-share/n",
        "resourceArn": f"{BATCH}job-queue/n",
    }
    shape = MODEL.operation_model(operation).input_shape
    members = {} if shape is None else shape.members
    return {
        name: request.get(name, "n")
        for name, member in members.items()
        if name in request or member.type_name == "string"
    }


@pytest.mark.parametrize("operation", MODEL.operation_names)
def test_resources_are_those_of_the_service_authorization_reference(operation: str) -> None:
    policies = json.loads(
        (files("cfnlint.data.AdditionalSpecs") / "Policies.json").read_text(encoding="utf-8")
    )
    bulk = {"CancelJobs", "TerminateJobs", "TerminateServiceJobs"}
    action = operation.removesuffix("s") if operation in bulk else operation
    listed = policies["batch"]["Actions"][action.lower()].get("Resources", [])
    expected = {SAME.get(kind, kind) for kind in listed if (operation, kind) not in NOT_CHECKED}
    own = [check for check in needed(operation, **_sample(operation)) if check.action == f"batch:{action}"]
    found = {check.resource.removeprefix(BATCH).partition("/")[0] for check in own}
    if operation in ("TagResource", "UntagResource", "ListTagsForResource"):
        assert found == {"job-queue"}, "whatever the ARN names"
    elif operation in ("DescribeSchedulingPolicies",) or not expected:
        assert found == {"*"}
    elif operation == "UpdateJobQueue":
        assert found == expected | {"service-environment"}
    else:
        assert found == expected


def test_a_submission_is_checked_under_the_names_that_it_gives() -> None:
    by_name = needed("SubmitJob", jobName="j", jobQueue="q", jobDefinition="media")
    assert pairs(by_name) == [
        ("batch:SubmitJob", "job-definition/media"),
        ("batch:SubmitJob", "job-queue/q"),
    ]
    revision = f"{BATCH}job-definition/media:3"
    by_arn = needed("SubmitJob", jobName="j", jobQueue=f"{BATCH}job-queue/q", jobDefinition=revision)
    assert pairs(by_arn) == [
        ("batch:SubmitJob", "job-definition/media:3"),
        ("batch:SubmitJob", "job-queue/q"),
    ]
    assert pairs(needed("SubmitJob", jobQueue="q", jobDefinition="media:3")) == pairs(by_arn)


def test_tags_need_permission_to_tag() -> None:
    submitted = needed("SubmitJob", jobQueue="q", jobDefinition="d", tags={"team": "a"})
    assert pairs(submitted)[-1] == ("batch:TagResource", "job/*")
    keys = {"aws:RequestTag/team": "a", "aws:TagKeys": ["team"]}
    assert [dict(check.context) for check in submitted] == [keys, keys, keys]
    registered = needed("RegisterJobDefinition", jobDefinitionName="d", tags={"team": "a"})
    assert pairs(registered)[-1] == ("batch:TagResource", "job-definition/d:*")
    created = needed("CreateJobQueue", jobQueueName="q", tags={"team": "a"})
    assert pairs(created)[-1] == ("batch:TagResource", "job-queue/q")
    tagged = needed("TagResource", resourceArn=f"{BATCH}job-queue/q", tags={"team": "a"})
    assert pairs(tagged) == [("batch:TagResource", "job-queue/q")]
    (untagged,) = needed("UntagResource", resourceArn=f"{BATCH}job-queue/q", tagKeys=["team", "stage"])
    assert untagged.context == {"aws:TagKeys": ["team", "stage"]}


def test_tags_of_the_resource_are_condition_keys() -> None:
    tags = {f"{BATCH}job-queue/q": {"stage": "prod"}}
    definition, queue = needed("SubmitJob", tags, jobQueue="q", jobDefinition="d")
    assert (definition.context, queue.context) == ({}, {"aws:ResourceTag/stage": "prod"})


def test_condition_keys_of_a_job_definition() -> None:
    log = {
        "logDriver": "awslogs",
        "options": {
            "awslogs-group": "g",
            "awslogs-region": "eu-central-1",
            "awslogs-stream-prefix": "p",
            "awslogs-create-group": "true",
        },
    }
    container = {"image": "i", "user": "root", "privileged": True, "logConfiguration": log}
    (check,) = needed("RegisterJobDefinition", jobDefinitionName="d", containerProperties=container)
    assert check.context == {
        "batch:Image": "i",
        "batch:User": "root",
        "batch:Privileged": "true",
        "batch:LogDriver": "awslogs",
        "batch:AWSLogsGroup": "g",
        "batch:AWSLogsRegion": "eu-central-1",
        "batch:AWSLogsStreamPrefix": "p",
        "batch:AWSLogsCreateGroup": "true",
    }


def test_condition_keys_of_several_containers_are_sets() -> None:
    nodes = [
        {"targetNodes": "0:", "container": {"image": "a"}},
        {"targetNodes": "1:", "container": {"image": "b"}},
    ]
    (check,) = needed(
        "RegisterJobDefinition", jobDefinitionName="d", nodeProperties={"nodeRangeProperties": nodes}
    )
    assert check.context == {"batch:Image": ["a", "b"]}
    pod = {
        "serviceAccountName": "s",
        "metadata": {"namespace": "n"},
        "containers": [
            {"image": "i", "securityContext": {"privileged": False, "runAsUser": 7, "runAsGroup": 8}}
        ],
    }
    (check,) = needed("RegisterJobDefinition", jobDefinitionName="d", eksProperties={"podProperties": pod})
    assert check.context == {
        "batch:EKSImage": "i",
        "batch:EKSNamespace": "n",
        "batch:EKSPrivileged": "false",
        "batch:EKSRunAsUser": "7",
        "batch:EKSRunAsGroup": "8",
        "batch:EKSServiceAccountName": "s",
    }


def test_the_share_is_a_condition_key_of_a_submission() -> None:
    for check in needed("SubmitJob", jobQueue="q", jobDefinition="d", shareIdentifier="teamA"):
        assert check.context == {"batch:ShareIdentifier": "teamA"}


@pytest.mark.parametrize(
    "properties",
    [
        {"containerProperties": {"jobRoleArn": f"{IAM}job", "executionRoleArn": f"{IAM}execution"}},
        {
            "ecsProperties": {
                "taskProperties": [{"taskRoleArn": f"{IAM}job", "executionRoleArn": f"{IAM}execution"}]
            }
        },
    ],
)
def test_roles_of_a_job_definition_are_passed_to_ecs(properties: dict[str, Any]) -> None:
    _, *passed = needed("RegisterJobDefinition", jobDefinitionName="d", **properties)
    assert pairs(passed) == [("iam:PassRole", f"{IAM}job"), ("iam:PassRole", f"{IAM}execution")]
    assert {check.context["iam:PassedToService"] for check in passed} == {"ecs-tasks.amazonaws.com"}


def test_roles_of_a_compute_environment_are_passed_to_their_services() -> None:
    resources = {
        "instanceRole": "arn:aws:iam::123456789012:instance-profile/profile",
        "spotIamFleetRole": f"{IAM}fleet",
    }
    _, *passed = needed(
        "CreateComputeEnvironment",
        computeEnvironmentName="ce",
        serviceRole="service",
        computeResources=resources,
    )
    assert [(check.resource, check.context["iam:PassedToService"]) for check in passed] == [
        (f"{IAM}service", "batch.amazonaws.com"),
        (f"{IAM}fleet", "spotfleet.amazonaws.com"),
        (f"{IAM}instances", "ec2.amazonaws.com"),
    ]


def test_each_job_of_a_bulk_request_is_checked() -> None:
    found = needed("TerminateJobs", jobs=["a", f"{BATCH}job/b"], reason="r")
    assert pairs(found) == [("batch:TerminateJob", "job/a"), ("batch:TerminateJob", "job/b")]
