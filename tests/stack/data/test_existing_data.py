"""Buckets and a KMS key that exist already, in place of new ones."""

import json
from collections.abc import Callable
from typing import Any

import pytest

import batch_stack
from batch_stack.common.retention import DataPolicy
from batch_stack.settings.base.errors import SettingsError
from batch_stack.settings.file import parse_settings
from batch_stack.settings.storage import ExistingBucketSettings, StorageSettings

pytestmark = pytest.mark.stack

KEY = "arn:aws:kms:eu-west-1:123456789012:key/12345678-1234-1234-1234-123456789012"
OTHER_KEY = KEY.replace("12345678-", "abcdef00-")
JOB = {"image": "public.ecr.aws/docker/library/busybox:1", "command": ["true", "Ref::input"]}
SETTINGS = {
    "compute": {"spot": {"type": "spot"}},
    "tiers": {"standard": {"priority": 1, "compute": ["spot"]}},
    "jobs": {"work": {**JOB, "uses": ["input_bucket", "output_bucket", "scratch_bucket"]}},
    "triggers": {"films": {"job": "work"}},
    "storage": {
        "input_bucket": {"name": "films", "kms_key_arn": OTHER_KEY},
        "output_bucket": {"name": "results"},
        "scratch_bucket": {"name": "steps"},
        "kms_key_arn": KEY,
    },
}


@pytest.fixture(scope="module")
def existing(new_app: Callable[[], Any]) -> Any:
    """The stack with nothing of its own that keeps data."""
    stack = batch_stack.BatchStack(new_app(), "existing", settings=parse_settings(SETTINGS, source="test"))
    return stack.node.root.synth().get_stack_by_name("existing")


def _of_type(template: dict[str, Any], kind: str) -> dict[str, Any]:
    resources = template["Resources"].items()
    return {name: one["Properties"] for name, one in resources if one["Type"] == kind}


def _statements(template: dict[str, Any], role: str) -> list[dict[str, Any]]:
    return [
        statement
        for name, policy in _of_type(template, "AWS::IAM::Policy").items()
        if name.startswith(role)
        for statement in policy["PolicyDocument"]["Statement"]
    ]


def test_existing_buckets_are_what_jobs_and_triggers_are_given(existing: Any) -> None:
    template = existing.template
    assert _of_type(template, "AWS::S3::Bucket") == {}
    assert template["Outputs"]["InputBucketName"]["Value"] == "films"
    (definition,) = _of_type(template, "AWS::Batch::JobDefinition").values()
    variables = {one["Name"]: one["Value"] for one in definition["ContainerProperties"]["Environment"]}
    assert {name: variables[name] for name in variables if name.endswith("_BUCKET")} == {
        "INPUT_BUCKET": "films",
        "OUTPUT_BUCKET": "results",
        "SCRATCH_BUCKET": "steps",
    }
    rules = _of_type(template, "AWS::Events::Rule")
    (rule,) = (one for name, one in rules.items() if name.startswith("FilmsTrigger"))
    assert rule["EventPattern"]["detail"]["bucket"]["name"] == ["films"]
    reads = [one for one in _statements(template, "WorkJobJobRole") if "s3:GetObject" in one["Action"]]
    assert {"films/*", "steps/*"} == {
        word.rpartition(":::")[2]
        for one in reads
        for resource in one["Resource"]
        for word in resource["Fn::Join"][1]
        if ":::" in word
    }


def test_the_key_of_an_existing_bucket_may_be_used_through_s3_only(existing: Any) -> None:
    of_key = [
        one
        for one in _statements(existing.template, "WorkJobJobRole")
        if OTHER_KEY in json.dumps(one["Resource"])
    ]
    (statement,) = of_key
    assert statement["Action"] == "kms:Decrypt"
    assert "s3." in json.dumps(statement["Condition"]["StringEquals"]["kms:ViaService"])
    assert KEY not in json.dumps(_statements(existing.template, "WorkJobJobRole")), "no new bucket has it"


def test_an_existing_key_encrypts_everything_and_its_owner_is_told_whom_to_admit_once(existing: Any) -> None:
    template = existing.template
    assert _of_type(template, "AWS::KMS::Key") == {}
    queues, groups = _of_type(template, "AWS::SQS::Queue"), _of_type(template, "AWS::Logs::LogGroup")
    assert {one["KmsMasterKeyId"] for one in queues.values()} == {KEY}
    assert {one["KmsKeyId"] for one in groups.values()} == {KEY}
    assert {one["KmsMasterKeyId"] for one in _of_type(template, "AWS::SNS::Topic").values()} == {KEY}
    assert template["Outputs"]["KeyArn"]["Value"] == KEY
    texts = [str(message.entry.data) for message in existing.messages]
    told = sorted(text.partition(" must let ")[2].split()[0] for text in texts if "keyPolicy" in text)
    assert told == ["cloudwatch.amazonaws.com", "events.amazonaws.com", "logs"]


def test_a_key_of_the_same_app_is_amended(cdk: Any, new_app: Callable[[], Any]) -> None:
    stack = cdk.Stack(new_app(), "theirs")
    key = cdk.aws_kms.Key(stack, "TeamKey")
    bucket = cdk.aws_s3.Bucket(stack, "Films", encryption_key=key)
    films = ExistingBucketSettings(name=bucket.bucket_name, kms_key_arn=key.key_arn)
    settings = parse_settings({"jobs": {"work": JOB}}, source="test")
    storage = StorageSettings(input_bucket=films)
    settings = settings.model_copy(update={"storage": storage})
    platform = batch_stack.BatchPlatform(stack, "Batch", settings=settings, key=key)
    assert platform.key is key
    template = cdk.assertions.Template.from_stack(stack).to_json()
    ((name, own),) = _of_type(template, "AWS::KMS::Key").items()
    principals = json.dumps([one["Principal"] for one in own["KeyPolicy"]["Statement"]])
    assert all(f"{service}.amazonaws.com" in principals for service in ("events", "cloudwatch"))
    (definition,) = _of_type(template, "AWS::Batch::JobDefinition").values()
    variables = {one["Name"]: one["Value"] for one in definition["ContainerProperties"]["Environment"]}
    assert variables["INPUT_BUCKET"]["Ref"].startswith("Films")
    decrypts = [one for one in _statements(template, "BatchWorkJobJobRole") if "kms:Decrypt" in one["Action"]]
    assert name in json.dumps([one["Resource"] for one in decrypts])


def test_two_keys_are_refused(cdk: Any, new_app: Callable[[], Any]) -> None:
    stack = cdk.Stack(new_app(), "two")
    key = cdk.aws_kms.Key(stack, "TeamKey")
    settings = parse_settings({"storage": {"kms_key_arn": KEY}}, source="test")
    with pytest.raises(SettingsError, match=rf"must not be given with key, .*, got {KEY} at two/Batch"):
        batch_stack.BatchPlatform(stack, "Batch", settings=settings, key=key)


@pytest.fixture
def films(cdk: Any, new_app: Callable[[], Any]) -> Any:
    """A stack of a team that has a bucket with a key."""
    stack = cdk.Stack(new_app(), "films")
    stack.key = cdk.aws_kms.Key(stack, "TeamKey")
    stack.bucket = cdk.aws_s3.Bucket(stack, "Films", encryption_key=stack.key)
    return stack


def _warnings(cdk: Any, stack: Any, pattern: str) -> list[str]:
    annotations = cdk.assertions.Annotations.from_stack(stack)
    found = annotations.find_warning("*", cdk.assertions.Match.string_like_regexp(pattern))
    return [str(one.entry.data) for one in found]


def test_buckets_of_cdk_are_given_like_those_by_name(cdk: Any, films: Any) -> None:
    imported = cdk.aws_s3.Bucket.from_bucket_name(films, "Results", "results")
    content = {"jobs": {"work": JOB}, "triggers": {"new": {"job": "work"}}}
    platform = batch_stack.BatchPlatform(
        films,
        "Batch",
        settings=parse_settings(content, source="test"),
        input_bucket=films.bucket,
        output_bucket=imported,
    )
    assert (platform.storage.input_bucket, platform.storage.output_bucket) == (films.bucket, imported)
    template = cdk.assertions.Template.from_stack(films).to_json()
    assert len(_of_type(template, "AWS::S3::Bucket")) == 1
    (definition,) = _of_type(template, "AWS::Batch::JobDefinition").values()
    variables = {one["Name"]: one["Value"] for one in definition["ContainerProperties"]["Environment"]}
    assert variables["INPUT_BUCKET"]["Ref"].startswith("Films")
    assert variables["OUTPUT_BUCKET"] == "results"
    statements = _statements(template, "BatchWorkJobJobRole")
    (decrypt,) = [one for one in statements if one["Action"] == "kms:Decrypt"]
    assert decrypt["Resource"]["Fn::GetAtt"][0].startswith("TeamKey")
    (rule,) = [one for one in _of_type(template, "AWS::Events::Rule").values() if "aws.s3" in str(one)]
    assert rule["EventPattern"]["detail"]["bucket"]["name"][0]["Ref"].startswith("Films")
    assert len(_warnings(cdk, films, "storage.input_bucket must send its events to Amazon EventBridge")) == 1


def test_a_bucket_of_cdk_for_both_is_checked_like_one_by_name(films: Any) -> None:
    content = {"jobs": {"work": JOB}, "triggers": {"new": {"job": "work"}}}
    with pytest.raises(SettingsError, match=r"triggers\.new\.output_prefix must not overlap "):
        batch_stack.BatchPlatform(
            films,
            "Batch",
            settings=parse_settings(content, source="test"),
            input_bucket=films.bucket,
            output_bucket=films.bucket,
        )


@pytest.mark.parametrize(
    ("storage", "message"),
    [
        (
            {"input_bucket": {"name": "other"}},
            "storage.input_bucket must not be given with input_bucket, .*'ot",
        ),
        (
            {"input_expiry_days": 3},
            "input_expiry_days must not be given with input_bucket, an existing bucket",
        ),
    ],
)
def test_settings_that_contradict_a_bucket_of_cdk_are_refused(
    films: Any, storage: dict[str, Any], message: str
) -> None:
    settings = parse_settings({"storage": storage}, source="test")
    with pytest.raises(SettingsError, match=message):
        batch_stack.BatchPlatform(films, "Batch", settings=settings, input_bucket=films.bucket)
    with pytest.raises(SettingsError, match=message):
        batch_stack.Storage(films, "Storage", settings=settings.storage, input_bucket=films.bucket)


def test_storage_alone_follows_its_settings_or_a_policy(cdk: Any, films: Any) -> None:
    batch_stack.Storage(films, "Kept")
    batch_stack.Storage(films, "Gone", settings=StorageSettings(on_delete="destroy"))
    under_key = DataPolicy(key=films.key, log_retention_days=7)
    batch_stack.Storage(films, "Logged", settings=StorageSettings(access_logs=True), data_policy=under_key)
    template = cdk.assertions.Template.from_stack(films).to_json()
    buckets = {name: one for name, one in template["Resources"].items() if one["Type"] == "AWS::S3::Bucket"}
    policies = {name[:4]: one["DeletionPolicy"] for name, one in buckets.items()}
    assert policies == {"Film": "Retain", "Kept": "Retain", "Gone": "Delete", "Logg": "Retain"}
    (logs,) = [one["Properties"] for name, one in buckets.items() if name.startswith("LoggedLogs")]
    assert logs["LifecycleConfiguration"]["Rules"][0]["ExpirationInDays"] == 7
    (inputs,) = [one["Properties"] for name, one in buckets.items() if name.startswith("LoggedInput")]
    (rule,) = inputs["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    key = rule["ServerSideEncryptionByDefault"]["KMSMasterKeyID"]
    assert key["Fn::GetAtt"][0].startswith("TeamKey")
