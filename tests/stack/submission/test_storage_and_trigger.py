"""Buckets, and how an object becomes a job."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import batch_stack

pytestmark = pytest.mark.stack

OfType = Callable[[str], dict[str, dict[str, Any]]]


def _resources(template: dict[str, Any], kind: str) -> dict[str, dict[str, Any]]:
    return {k: v for k, v in template["Resources"].items() if v["Type"] == kind}


def test_buckets_are_private_encrypted_versioned_and_cleaned_up(of_type: OfType) -> None:
    buckets = of_type("AWS::S3::Bucket")
    assert len(buckets) == 2
    for resource in buckets.values():
        properties = resource["Properties"]
        assert set(properties["PublicAccessBlockConfiguration"].values()) == {True}
        (encryption,) = properties["BucketEncryption"]["ServerSideEncryptionConfiguration"]
        assert encryption["ServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"
        assert properties["VersioningConfiguration"] == {"Status": "Enabled"}
        (rule,) = properties["LifecycleConfiguration"]["Rules"]
        assert rule["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 7}
        assert rule["NoncurrentVersionExpiration"] == {"NoncurrentDays": 30}
        assert "ExpirationInDays" not in rule
        assert resource["DeletionPolicy"] == resource["UpdateReplacePolicy"] == "Retain"


def test_buckets_refuse_plain_http(of_type: OfType) -> None:
    policies = of_type("AWS::S3::BucketPolicy")
    assert {p["Properties"]["Bucket"]["Ref"] for p in policies.values()} == set(of_type("AWS::S3::Bucket"))
    for policy in policies.values():
        (statement,) = policy["Properties"]["PolicyDocument"]["Statement"]
        assert statement["Effect"] == "Deny"
        assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_storage_settings_reach_the_buckets(variant: dict[str, Any]) -> None:
    buckets = _resources(variant, "AWS::S3::Bucket")
    rules = [b["Properties"]["LifecycleConfiguration"]["Rules"][0] for b in buckets.values()]

    assert {b["DeletionPolicy"] for b in buckets.values()} == {"Delete"}
    assert not any("VersioningConfiguration" in b["Properties"] for b in buckets.values())
    assert sorted(rule.get("ExpirationInDays", 0) for rule in rules) == [0, 9]
    groups = _resources(variant, "AWS::Logs::LogGroup").values()
    assert {(g["Properties"]["RetentionInDays"], g["DeletionPolicy"]) for g in groups} == {(7, "Delete")}


def test_the_input_bucket_tells_eventbridge(of_type: OfType) -> None:
    notifying = [
        name
        for name, bucket in of_type("AWS::S3::Bucket").items()
        if bucket["Properties"].get("NotificationConfiguration")
        == {"EventBridgeConfiguration": {"EventBridgeEnabled": True}}
    ]
    assert len(notifying) == 1
    assert notifying[0].startswith("StorageInput")


def _rule(template: dict[str, Any], prefix: str) -> dict[str, Any]:
    (rule,) = (
        resource["Properties"]
        for name, resource in _resources(template, "AWS::Events::Rule").items()
        if name.startswith(prefix)
    )
    return rule


def test_objects_under_the_prefix_reach_the_queue(template: dict[str, Any]) -> None:
    rule = _rule(template, "MediaTrigger")
    (bucket,) = rule["EventPattern"]["detail"]["bucket"]["name"]

    assert rule["EventPattern"]["source"] == ["aws.s3"]
    assert rule["EventPattern"]["detail-type"] == ["Object Created"]
    assert rule["EventPattern"]["detail"]["object"] == {"key": [{"prefix": "media/"}]}
    assert bucket["Ref"].startswith("StorageInput")
    (target,) = rule["Targets"]
    assert template["Resources"][target["Arn"]["Fn::GetAtt"][0]]["Type"] == "AWS::SQS::Queue"


def test_an_empty_prefix_means_every_object(variant: dict[str, Any]) -> None:
    assert "object" not in _rule(variant, "AllMediaTrigger")["EventPattern"]["detail"]
    quick = _rule(variant, "QuickTrigger")["EventPattern"]["detail"]["object"]
    assert quick == {"key": [{"prefix": "quick/"}]}


def test_the_queue_feeds_the_function_no_faster_than_jobs_may_be_submitted(of_type: OfType) -> None:
    (mapping,) = (r["Properties"] for r in of_type("AWS::Lambda::EventSourceMapping").values())
    (function,) = of_type("AWS::Lambda::Function").items()
    (queue,) = (r["Properties"] for n, r in of_type("AWS::SQS::Queue").items() if "DeadLetter" not in n)

    assert mapping["EventSourceArn"]["Fn::GetAtt"][0].startswith("MediaTriggerQueue")
    assert mapping["FunctionName"] == {"Ref": function[0]}
    assert mapping["ScalingConfig"] == {"MaximumConcurrency": 2}
    assert mapping["BatchSize"] == 10
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert "MaximumBatchingWindowInSeconds" not in mapping, "a lone upload must not wait for others"
    assert queue["VisibilityTimeout"] >= 6 * function[1]["Properties"]["Timeout"]
    assert "ReservedConcurrentExecutions" not in function[1]["Properties"]


def test_a_burst_of_ten_thousand_uploads_outlives_the_rate_limit(of_type: OfType) -> None:
    (queue,) = (r["Properties"] for n, r in of_type("AWS::SQS::Queue").items() if "DeadLetter" not in n)
    burst_s = 10_000 / 50
    assert queue["MessageRetentionPeriod"] > 100 * burst_s
    # Even if every attempt but the last were refused for as long as the burst lasts.
    assert queue["RedrivePolicy"]["maxReceiveCount"] * queue["VisibilityTimeout"] > 10 * burst_s


def test_both_hops_end_in_the_dead_letter_queue(template: dict[str, Any], of_type: OfType) -> None:
    (target,) = _rule(template, "MediaTrigger")["Targets"]
    (queue,) = (r["Properties"] for n, r in of_type("AWS::SQS::Queue").items() if "DeadLetter" not in n)

    assert target["RetryPolicy"] == {"MaximumRetryAttempts": 185, "MaximumEventAgeInSeconds": 86_400}
    assert queue["RedrivePolicy"]["deadLetterTargetArn"] == target["DeadLetterConfig"]["Arn"]
    assert queue["RedrivePolicy"]["maxReceiveCount"] == 20
    dead_letters = template["Resources"][target["DeadLetterConfig"]["Arn"]["Fn::GetAtt"][0]]
    assert dead_letters["Properties"] == {
        "MessageRetentionPeriod": 1_209_600,
        "SqsManagedSseEnabled": True,
    }
    # Nothing calls the function asynchronously any more, so nothing waits in Lambda's own queue.
    assert not of_type("AWS::Lambda::EventInvokeConfig")
    assert not of_type("AWS::Lambda::Permission")


def test_queues_are_encrypted_and_refuse_plain_http(of_type: OfType) -> None:
    queues = of_type("AWS::SQS::Queue")
    assert len(queues) == 3
    assert all(r["Properties"]["SqsManagedSseEnabled"] is True for r in queues.values())
    denied = {
        queue["Ref"]
        for policy in of_type("AWS::SQS::QueuePolicy").values()
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]
        for queue in policy["Properties"]["Queues"]
        if statement["Effect"] == "Deny"
        and statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    }
    assert denied == set(queues)


def test_only_the_rule_may_fill_the_queue(template: dict[str, Any], of_type: OfType) -> None:
    (policy,) = (
        r["Properties"]
        for n, r in of_type("AWS::SQS::QueuePolicy").items()
        if n.startswith("MediaTriggerQueue")
    )
    (allowed,) = (s for s in policy["PolicyDocument"]["Statement"] if s["Effect"] == "Allow")
    source = allowed["Condition"]["ArnEquals"]["aws:SourceArn"]["Fn::GetAtt"][0]
    assert allowed["Principal"] == {"Service": "events.amazonaws.com"}
    assert template["Resources"][source]["Type"] == "AWS::Events::Rule"
    assert source.startswith("MediaTrigger")


def test_deleting_the_stack_keeps_all_that_holds_data_unless_told_otherwise(
    template: dict[str, Any], variant: dict[str, Any]
) -> None:
    kinds = ("AWS::S3::Bucket", "AWS::Logs::LogGroup", "AWS::SQS::Queue")

    def policies(one: dict[str, Any]) -> set[tuple[str, str, str]]:
        return {
            (r["Type"], r["DeletionPolicy"], r["UpdateReplacePolicy"])
            for r in one["Resources"].values()
            if r["Type"] in kinds
        }

    assert policies(template) == {(kind, "Retain", "Retain") for kind in kinds}
    assert policies(variant) == {(kind, "Delete", "Delete") for kind in kinds}


def _submits_to(template: dict[str, Any], function_prefix: str) -> tuple[str, dict[str, Any]]:
    (function,) = (
        resource["Properties"]
        for name, resource in _resources(template, "AWS::Lambda::Function").items()
        if name.startswith(function_prefix)
    )
    variables = function["Environment"]["Variables"]
    return variables["JOB_QUEUE"]["Fn::GetAtt"][0], variables


def test_the_function_submits_the_latest_revision_to_the_triggers_queue(
    template: dict[str, Any], variant: dict[str, Any]
) -> None:
    queue, variables = _submits_to(template, "MediaTrigger")

    assert queue.startswith("StandardTier")
    assert variables["OUTPUT_BUCKET"]["Ref"].startswith("StorageOutput")
    # Joined from parts 0 to 5 of the ARN: the revision, part 6, is left out.
    definition = json.dumps(variables["JOB_DEFINITION"])
    assert '"Fn::Select": [5, {"Fn::Split": [":", {"Ref": "MediaJobDefinition' in definition
    assert ":*" not in definition
    assert _submits_to(variant, "AllMediaTrigger")[0].startswith("BulkTier")
    assert _submits_to(variant, "QuickTrigger")[0].startswith("FargateTier")


def test_the_functions_code_is_its_sources_and_nothing_else(
    assertions: Any, default_stack: Any, of_type: OfType
) -> None:
    (function,) = of_type("AWS::Lambda::Function").values()
    assembly = Path(default_stack.node.root.asset_outdir)
    asset_hash = function["Properties"]["Code"]["S3Key"].removesuffix(".zip")
    staged = assembly / f"asset.{asset_hash}"
    assert sorted(path.name for path in staged.rglob("*")) == ["handler.py", "logic.py"]


def test_a_trigger_refuses_a_job_of_another_platform(
    default_stack: Any, new_app: Callable[[], Any], cdk: Any
) -> None:
    stack = cdk.Stack(new_app(), "refused")
    storage = default_stack.platform.storage
    with pytest.raises(
        ValueError, match=r"because jobs\.media\.platform is ec2, got 'fargate' at refused/Trigger"
    ):
        batch_stack.ObjectTrigger(
            stack,
            "Trigger",
            bucket=storage.input_bucket,
            output_bucket=storage.output_bucket,
            tier=default_stack.platform.tiers["fargate"],
            job=default_stack.platform.jobs["media"],
        )
