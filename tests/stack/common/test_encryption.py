"""The platform's own key: what it encrypts, and who may use it for what."""

import fnmatch
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

import batch_stack
from batch_stack.common.retention import DataPolicy
from tests.cloudformation_changes import changes
from tests.stack.everything import EVERYTHING
from tests.stack.reading import Template

pytestmark = pytest.mark.stack

Synth = Callable[[Mapping[str, Any]], dict[str, Any]]

WRITE = {"kms:Decrypt", "kms:GenerateDataKey"}
# Encrypt*, Decrypt*, ReEncrypt*, GenerateDataKey* and Describe*, as far as symmetric keys have them.
LOG = WRITE | {
    "kms:DescribeKey",
    "kms:Encrypt",
    "kms:GenerateDataKeyWithoutPlaintext",
    "kms:ReEncryptFrom",
    "kms:ReEncryptTo",
}
KINDS = {
    "AWS::Logs::LogGroup": "KmsKeyId",
    "AWS::SNS::Topic": "KmsMasterKeyId",
    "AWS::SQS::Queue": "KmsMasterKeyId",
}
SETTINGS = {
    **EVERYTHING,
    "network": {"mode": "public", "flow_logs": True},
    "triggers": {"work": {"job": "work", "tier": "high", "prefix": "in/"}},
}


def _text(value: Any) -> str:
    """A string of a template, as it is in one account; a reference to a resource is its logical id."""
    pseudo = {
        "AWS::AccountId": "111111111111",
        "AWS::Partition": "aws",
        "AWS::Region": "us-east-1",
        "AWS::StackName": "everything",
        "AWS::URLSuffix": "amazonaws.com",
    }
    if isinstance(value, str):
        return value
    ((function, argument),) = value.items()
    if function == "Ref":
        return pseudo.get(argument, argument)
    if function == "Fn::GetAtt":
        return str(argument[0])
    assert function == "Fn::Join", value
    return str(argument[0]).join(_text(part) for part in argument[1])


def _conditions(statement: Mapping[str, Any]) -> dict[str, str]:
    """Conditions by their keys, which no statement here has under two operators."""
    return {
        name: _text(value)
        for operator in statement.get("Condition", {}).values()
        for name, value in operator.items()
    }


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _services(statements: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    for statement in statements:
        principal = statement["Principal"]
        if statement["Effect"] == "Allow" and "Service" in principal:
            yield _text(principal["Service"]), statement


@pytest.fixture
def under_key(synth: Synth) -> Template:
    """All that keeps data or hands on messages, with a key of the platform's own."""
    return Template(synth(SETTINGS))


def _admitted(template: Template) -> dict[str, dict[str, dict[str, str]]]:
    """Services that the key admits: to the conditions of each statement, by what it is for."""
    _, key = template.one("KMS::Key")
    admitted: dict[str, dict[str, dict[str, str]]] = {}
    for service, statement in _services(key["Properties"]["KeyPolicy"]["Statement"]):
        actions = set(_listed(statement["Action"]))
        assert actions == (LOG if service.startswith("logs.") else WRITE)
        conditions = _conditions(statement)
        (context,) = (name for name in conditions if name.startswith("kms:EncryptionContext:"))
        what = context.removeprefix("kms:EncryptionContext:")
        pattern = conditions.pop(context)
        admitted.setdefault(service, {}).setdefault(f"{what} {pattern}", conditions)
    return admitted


def test_every_topic_queue_and_log_group_is_under_the_key(under_key: Template) -> None:
    key, _ = under_key.one("KMS::Key")
    found = {
        name: resource["Properties"].get(KINDS[resource["Type"]])
        for name, resource in under_key.resources.items()
        if resource["Type"] in KINDS
    }
    assert len(found) == 14
    assert {name for name, value in found.items() if value != {"Fn::GetAtt": [key, "Arn"]}} == set()
    for queue in under_key.of("SQS::Queue").values():
        assert "SqsManagedSseEnabled" not in queue["Properties"], "SQS takes one kind of encryption"


def test_services_may_use_the_key_for_these_topics_queues_and_log_groups_only(under_key: Template) -> None:
    topics = "aws:sns:topicArn arn:aws:sns:us-east-1:111111111111:everything-*"
    queues = "aws:sqs:arn arn:aws:sqs:us-east-1:111111111111:*"
    groups = "aws:logs:arn arn:aws:logs:us-east-1:111111111111:log-group:"
    account = {"aws:SourceAccount": "111111111111"}
    assert _admitted(under_key) == {
        # SNS: "not supported for EventBridge-to-encrypted topics" are conditions on the source.
        "events.amazonaws.com": {topics: {}, queues: {}},
        "sns.amazonaws.com": {queues: {}},
        "cloudwatch.amazonaws.com": {
            topics: {**account, "aws:SourceArn": "arn:aws:cloudwatch:us-east-1:111111111111:alarm:*"}
        },
        "budgets.amazonaws.com": {
            topics: {**account, "aws:SourceArn": "arn:aws:budgets::111111111111:*"},
        },
        "logs.us-east-1.amazonaws.com": {
            f"{groups}everything-*": {},
            f"{groups}/aws/rds/cluster/*/postgresql": {},
        },
    }


def test_who_may_send_to_what_is_encrypted_may_use_the_key_for_it(under_key: Template) -> None:
    admitted = _admitted(under_key)
    checked = 0
    for kind, target, context in (
        ("SNS::TopicPolicy", "Topics", "aws:sns:topicArn arn:aws:sns:us-east-1:111111111111:everything-T-1"),
        ("SQS::QueuePolicy", "Queues", "aws:sqs:arn arn:aws:sqs:us-east-1:111111111111:everything-Q-1"),
    ):
        for policy in under_key.of(kind).values():
            assert policy["Properties"][target]
            for service, _ in _services(policy["Properties"]["PolicyDocument"]["Statement"]):
                assert any(fnmatch.fnmatch(context, pattern) for pattern in admitted[service]), service
                checked += 1
    assert checked >= 7


def test_statements_of_the_key_have_names_of_their_own(under_key: Template) -> None:
    _, key = under_key.one("KMS::Key")
    names = [one["Sid"] for one in key["Properties"]["KeyPolicy"]["Statement"] if "Sid" in one]
    assert len(names) == len(set(names)) == 7, "KMS refuses two statements of one Sid"


def test_functions_use_the_key_through_sqs_and_sns(under_key: Template) -> None:
    def uses(role: str) -> dict[str, set[str]]:
        return {
            _conditions(statement)["kms:ViaService"]: set(_listed(statement["Action"]))
            for statement in under_key.statements(role)
            if "kms:" in json.dumps(statement["Action"])
        }

    assert uses("WorkTriggerFunctionRole") == {"sqs.us-east-1.amazonaws.com": {"kms:Decrypt"}}
    assert uses("LowTierBudgetFunctionRole") == {
        "sqs.us-east-1.amazonaws.com": WRITE,
        "sns.us-east-1.amazonaws.com": WRITE,
    }


def test_rules_may_still_send_to_their_queue_only(under_key: Template) -> None:
    rule, _ = under_key.one("Events::Rule", "WorkTrigger")
    queue, _ = under_key.one("SQS::Queue", "WorkTriggerQueue")
    (policy,) = (
        one["Properties"]
        for one in under_key.of("SQS::QueuePolicy").values()
        if one["Properties"]["Queues"] == [{"Ref": queue}]
    )
    ((service, statement),) = _services(policy["PolicyDocument"]["Statement"])
    assert service == "events.amazonaws.com"
    assert _conditions(statement) == {"aws:SourceArn": rule}


def test_whom_a_team_lets_use_the_work_queue_may_use_its_key(cdk: Any, new_app: Callable[[], Any]) -> None:
    stack = cdk.Stack(new_app(), "open")
    key = cdk.aws_kms.Key(stack, "Key")
    work = batch_stack.WorkQueue(stack, "Work", data_policy=DataPolicy(key=key))
    role = cdk.aws_iam.Role(stack, "Reader", assumed_by=cdk.aws_iam.AccountRootPrincipal())
    work.queue.grant_consume_messages(role)
    template = Template({**cdk.assertions.Template.from_stack(stack).to_json(), "Outputs": {}})
    actions = {one for statement in template.statements("Reader") for one in _listed(statement["Action"])}
    assert {"sqs:ReceiveMessage", "kms:Decrypt"} <= actions


def test_the_key_is_switched_on_in_place(synth: Synth) -> None:
    def settings(*, kms: bool) -> dict[str, Any]:
        bare = {name: one for name, one in SETTINGS.items() if name not in ("storage", "results")}
        jobs = {"work": {"image": "public.ecr.aws/docker/library/busybox:1"}}
        return {**bare, "jobs": jobs, "storage": {"kms": kms}, "results": {"job_table": True}}

    found = changes(synth(settings(kms=False)), synth(settings(kms=True)))
    kinds = {change.kind for change in found.values()}
    assert kinds == {"in place"}, "a budget that disables its queue has made the key before"
    changed = {change.type for change in found.values()}
    assert changed >= {*KINDS, "AWS::S3::Bucket", "AWS::DynamoDB::Table", "AWS::KMS::Key"}
    assert not [name for name in changed if name.startswith("AWS::Batch::")]


def test_a_topic_of_the_stack_brings_its_own_key(cdk: Any, new_app: Callable[[], Any]) -> None:
    stack = cdk.Stack(new_app(), "own")
    key = cdk.aws_kms.Key(stack, "TeamKey")
    topic = cdk.aws_sns.Topic(stack, "Operations", topic_name="operations", master_key=key)
    notification = batch_stack.Notification.from_topic(stack, "Notification", topic)
    assert notification.key is key
    resources = cdk.assertions.Template.from_stack(stack).to_json()
    admitted = _admitted(Template({**resources, "Outputs": {}}))
    (topics,) = admitted["events.amazonaws.com"]
    assert topics.endswith(":sns:us-east-1:111111111111:*"), "it has a name that others gave it"
    assert sorted(admitted) == ["cloudwatch.amazonaws.com", "events.amazonaws.com"]


def test_a_key_of_another_stack_admits_what_these_stacks_encrypt(
    cdk: Any, new_app: Callable[[], Any]
) -> None:
    app = new_app()
    security = cdk.Stack(app, "security")
    key = cdk.aws_kms.Key(security, "CompanyKey")
    for name in ("films", "music"):
        stack = cdk.Stack(app, name)
        batch_stack.Notification(stack, "Notification", data_policy=DataPolicy(key=key))
        batch_stack.WorkQueue(stack, "Work", data_policy=DataPolicy(key=key))
    template = Template({**cdk.assertions.Template.from_stack(security).to_json(), "Outputs": {}})
    topics = "aws:sns:topicArn arn:aws:sns:us-east-1:111111111111:"
    admitted = _admitted(template)
    for service in ("events", "cloudwatch"):
        patterns = {one for one in admitted[f"{service}.amazonaws.com"] if one.startswith(topics)}
        assert patterns == {f"{topics}films-*", f"{topics}music-*"}, "not the names of the key's own stack"
    _, resource = template.one("KMS::Key")
    names = [one["Sid"] for one in resource["Properties"]["KeyPolicy"]["Statement"] if "Sid" in one]
    assert len(names) == len(set(names)) == 6


def test_of_a_key_of_others_the_owner_is_told_whom_to_admit(cdk: Any, new_app: Callable[[], Any]) -> None:
    stack = cdk.Stack(new_app(), "imported")
    arn = "arn:aws:kms:us-east-1:111111111111:key/11111111-2222-3333-4444-555555555555"
    key = cdk.aws_kms.Key.from_key_arn(stack, "CompanyKey", arn)
    batch_stack.Notification(stack, "Notification", data_policy=DataPolicy(key=key))
    annotations = cdk.assertions.Annotations.from_stack(stack)
    warnings = " ".join(
        str(one.entry.data) for one in annotations.find_warning("*", cdk.assertions.Match.any_value())
    )
    for service in ("events", "cloudwatch"):
        told = (
            f"policy of the existing key must let {service}.amazonaws.com do kms:Decrypt, kms:GenerateDataKey"
        )
        assert told in warnings
