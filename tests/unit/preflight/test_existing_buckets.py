"""Buckets that exist already: what is said of them in settings, and what triggers need."""

from typing import Any

import pytest

from batch_stack.preflight.preflight import preflight
from batch_stack.settings.base.errors import SettingsError
from batch_stack.settings.file import parse_settings
from batch_stack.settings.root import Settings

KEY = "arn:aws:kms:eu-west-1:123456789012:key/12345678-1234-1234-1234-123456789012"
JOB = {"image": "busybox:1.37", "command": ["true", "Ref::input"]}


def _found(prefix: str = "", output_prefix: str = "", **buckets: str) -> list[tuple[str, str]]:
    trigger = {"job": "j", "prefix": prefix, "output_prefix": output_prefix}
    storage = {name: {"name": bucket} for name, bucket in buckets.items()}
    content = {"jobs": {"j": JOB}, "triggers": {"t": trigger}, "storage": storage}
    return [(one.level, one.message) for one in preflight(Settings.model_validate(content))]


def test_the_events_of_an_existing_input_bucket_are_not_switched_on_from_here() -> None:
    assert _found() == []
    assert _found(output_bucket="results") == []
    ((level, message),) = _found(input_bucket="films", output_bucket="results")
    assert (level, message.partition(", because ")[0]) == (
        "warning",
        "storage.input_bucket must send its events to Amazon EventBridge",
    )
    assert "get-bucket-notification-configuration" in message


@pytest.mark.parametrize(
    ("prefix", "output_prefix", "comes_back"),
    [
        ("", "", True),
        ("in/", "", True),
        ("in/", "in/out/", True),
        ("out/in/", "out/", True),
        ("", "out/", True),
        ("in/", "out/", False),
    ],
)
def test_results_in_the_input_bucket_must_not_become_jobs(
    prefix: str, output_prefix: str, comes_back: bool
) -> None:
    found = _found(prefix, output_prefix, input_bucket="one", output_bucket="one")
    errors = [message for level, message in found if level == "error"]
    assert bool(errors) is comes_back
    if comes_back:
        assert errors == [
            f"triggers.t.output_prefix must not overlap triggers.t.prefix, which is {prefix!r}, because "
            "storage.input_bucket and output_bucket are one, and each result would become a job again, got "
            f"{output_prefix!r}"
        ]


IN, OUT = {"name": "films"}, {"name": "results"}


@pytest.mark.parametrize(
    ("storage", "message"),
    [
        (
            {"input_bucket": {"name": "arn:aws:s3:::films"}},
            "input_bucket.name must be a bucket's name (not an ARN), got 'arn:aws:s3:::films'",
        ),
        (
            {"input_bucket": {**IN, "kms_key_arn": "alias/films"}},
            "input_bucket.kms_key_arn must be the ARN of a KMS key (not of an alias), got 'alias/films'",
        ),
        (
            {"kms_key_arn": KEY.replace("12345678-", "")},
            "kms_key_arn must be the ARN of a KMS key (not of an alias), "
            "got 'arn:aws:kms:eu-west-1:123456789012:key/1234-1234-1234-123456789012'",
        ),
        (
            {"kms": True, "kms_key_arn": KEY},
            f"kms must be false with kms_key_arn, which is the key instead, got {KEY!r}",
        ),
        (
            {"output_bucket": OUT, "output_expiry_days": 9},
            "output_expiry_days must not be given with output_bucket, an existing bucket whose life cycle is "
            "its owner's, got 9",
        ),
        (
            {"scratch_bucket": OUT, "scratch_expiry_days": 3},
            "scratch_expiry_days must not be given with scratch_bucket, an existing bucket whose life cycle "
            "is its owner's, got 3",
        ),
        (
            {"input_bucket": IN, "output_bucket": OUT, "versioning": False},
            "versioning must not be given with input_bucket and output_bucket, existing buckets, which are "
            "not changed, got False",
        ),
        (
            {"input_bucket": IN, "output_bucket": OUT, "access_logs": True},
            "access_logs must be false when all buckets exist: existing buckets are not changed",
        ),
    ],
)
def test_settings_that_would_do_nothing_to_an_existing_bucket_are_refused(
    storage: dict[str, Any], message: str
) -> None:
    with pytest.raises(SettingsError) as raised:
        parse_settings({"storage": storage}, source="f")
    assert str(raised.value) == f"f: storage.{message}"


def test_an_existing_scratch_bucket_is_one_that_jobs_may_use() -> None:
    storage = {"scratch_bucket": {"name": "steps"}}
    content: dict[str, Any] = {"jobs": {"j": {**JOB, "uses": ["scratch_bucket"]}}, "storage": storage}
    assert preflight(parse_settings(content, source="f")) == []
    unused = preflight(parse_settings({**content, "jobs": {"j": JOB}}, source="f"))
    assert [one.message.partition(":")[0] for one in unused] == [
        "storage.scratch_bucket has no job that may use it"
    ]
