"""A job gets the services of the platform that its `uses` names, and of no other anything."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, get_args

import pytest

import batch_stack
from batch_stack.settings.file import parse_settings
from batch_stack.settings.jobs import JobSettings
from batch_stack.settings.services import DataService
from tests.stack.jobs.conftest import IMAGE
from tests.stack.jobs.reading import container, listed, statements, variables

pytestmark = pytest.mark.stack

# Variables, secrets, what the code may do, and what ECS may do to start it.
GIVEN: dict[str, tuple[set[str], set[str], set[str], set[str]]] = {
    "input_bucket": (
        {"INPUT_BUCKET"},
        set(),
        {"s3:ListBucket", "s3:GetObject", "s3:GetObjectVersion"},
        set(),
    ),
    "output_bucket": ({"OUTPUT_BUCKET"}, set(), {"s3:AbortMultipartUpload", "s3:PutObject"}, set()),
    "scratch_bucket": (
        {"SCRATCH_BUCKET"},
        set(),
        {
            "s3:ListBucket",
            "s3:GetObject",
            "s3:GetObjectVersion",
            "s3:AbortMultipartUpload",
            "s3:PutObject",
        },
        set(),
    ),
    "job_table": (
        {"JOB_TABLE"},
        set(),
        {"dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem"},
        set(),
    ),
    "database": (
        {"DATABASE_HOST", "DATABASE_PORT", "DATABASE_NAME"},
        {"DATABASE_USER", "DATABASE_PASSWORD"},
        set(),
        {"secretsmanager:GetSecretValue"},
    ),
    "event_bus": ({"EVENT_BUS_NAME"}, set(), {"events:PutEvents"}, set()),
    "work_queue": (
        {"WORK_QUEUE_URL"},
        set(),
        {"sqs:ChangeMessageVisibility", "sqs:DeleteMessage", "sqs:ReceiveMessage", "sqs:SendMessage"},
        set(),
    ),
}
ALWAYS = {"AWS_REGION", "AWS_DEFAULT_REGION"}


@pytest.fixture(scope="module")
def _given_text(cdk: Any, new_app: Callable[[], Any]) -> str:
    stack = cdk.Stack(new_app(), "services")
    content = {
        "jobs": {
            "default": {"image": IMAGE},
            "none": {"image": IMAGE, "uses": []},
            "backwards": {"image": IMAGE, "uses": list(reversed(GIVEN))},
            "forwards": {"image": IMAGE, "uses": list(GIVEN)},
        },
        "storage": {"scratch_expiry_days": 1},
        "results": {"job_table": True, "database": {}},
        "messaging": {"event_bus": True, "work_queue": True},
    }
    platform = batch_stack.BatchPlatform(stack, "Default", settings=parse_settings(content, source="test"))
    for service in get_args(DataService):
        platform.add_job(service, JobSettings(image=IMAGE, uses=[service]))
    return (Path(stack.node.root.synth().directory) / stack.template_file).read_text()


@pytest.fixture
def given(_given_text: str) -> dict[str, Any]:
    resources: dict[str, Any] = json.loads(_given_text)["Resources"]
    return resources


def _actions(resources: Mapping[str, Any], role: str) -> set[str]:
    return {action for one in statements(resources, role) for action in listed(one["Action"])}


def _gets(resources: Mapping[str, Any], name: str) -> tuple[set[str], set[str], set[str], set[str]]:
    """What a job gets: variables, secrets, and the actions of its role and of the execution role."""
    job = f"{name.title().replace('_', '')}Job"
    one = container(resources, job)
    logs = {"logs:CreateLogStream", "logs:PutLogEvents"}
    return (
        set(variables(one)) - ALWAYS,
        {secret["Name"] for secret in one.get("Secrets", [])},
        _actions(resources, f"{job}JobRole"),
        _actions(resources, f"{job}ExecutionRole") - logs,
    )


@pytest.mark.parametrize("service", get_args(DataService))
def test_a_job_that_names_one_service_gets_that_and_nothing_else(given: dict[str, Any], service: str) -> None:
    assert _gets(given, service) == GIVEN[service]


def test_by_default_a_job_reads_input_and_writes_output(given: dict[str, Any]) -> None:
    expected = tuple(a | b for a, b in zip(GIVEN["input_bucket"], GIVEN["output_bucket"], strict=True))
    assert _gets(given, "default") == expected


def test_a_job_that_uses_nothing_may_do_nothing(given: dict[str, Any]) -> None:
    assert _gets(given, "none") == (set(), set(), set(), set())


def test_the_order_in_the_settings_makes_no_new_definition(given: dict[str, Any]) -> None:
    one, other = container(given, "BackwardsJob"), container(given, "ForwardsJob")
    assert len(one["Environment"]) == 2 + 9
    assert (one["Environment"], one["Secrets"]) == (other["Environment"], other["Secrets"])
