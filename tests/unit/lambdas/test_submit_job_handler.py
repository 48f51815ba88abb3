"""The handler: the requests it sends, and that no record is lost or submitted twice for another's sake."""

import json
import logging
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import boto3
import pytest
from botocore.exceptions import ReadTimeoutError
from botocore.stub import Stubber


class Context:
    """What Lambda hands to a function; each look at the clock takes `step_ms`."""

    def __init__(self, remaining_ms: int = 60_000, step_ms: int = 0) -> None:
        self._remaining_ms = remaining_ms
        self._step_ms = step_ms

    def get_remaining_time_in_millis(self) -> int:
        now_ms = self._remaining_ms
        self._remaining_ms -= self._step_ms
        return now_ms


def _object_created(key: str) -> str:
    detail = {"bucket": {"name": "in"}, "object": {"key": key, "size": 0, "version-id": "v1"}}
    return json.dumps({"detail-type": "Object Created", "detail": detail})


def _batch_of(*bodies: str) -> dict[str, Any]:
    return {"Records": [{"messageId": f"m{number}", "body": body} for number, body in enumerate(bodies)]}


def _failed(response: dict[str, Any]) -> list[str]:
    assert list(response) == ["batchItemFailures"]
    return [failure["itemIdentifier"] for failure in response["batchItemFailures"]]


@pytest.fixture
def batch(handler: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stubber]:
    """AWS Batch, as botocore's model has it, with answers prepared."""
    monkeypatch.setenv("JOB_QUEUE", "arn:aws:batch:us-east-1:123456789012:job-queue/standard")
    monkeypatch.setenv("JOB_DEFINITION", "arn:aws:batch:us-east-1:123456789012:job-definition/media")
    monkeypatch.setenv("OUTPUT_BUCKET", "out")
    client = boto3.client(
        "batch", region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test"
    )
    monkeypatch.setattr(handler, "_batch", lambda: client)
    with Stubber(client) as stubber:
        yield stubber


def test_an_object_is_submitted_and_logged(
    handler: ModuleType, logic: ModuleType, batch: Stubber, caplog: pytest.LogCaptureFixture
) -> None:
    body = _object_created("media/a b+ü.mp4")
    name = logic.job_name(logic.created_object(json.loads(body)))
    batch.add_response(
        "submit_job",
        {"jobId": "id-1", "jobName": name},
        {
            "jobName": name,
            "jobQueue": "arn:aws:batch:us-east-1:123456789012:job-queue/standard",
            "jobDefinition": "arn:aws:batch:us-east-1:123456789012:job-definition/media",
            "parameters": {"input": "s3://in/media/a b+ü.mp4", "output": "s3://out/media/"},
        },
    )

    with caplog.at_level(logging.INFO):
        assert _failed(handler.handle(_batch_of(body), Context())) == []

    batch.assert_no_pending_responses()
    line = json.loads(caplog.messages[-1])
    assert (line["message"], line["key"], line["job_id"]) == ("submitted", "media/a b+ü.mp4", "id-1")


def test_what_the_trigger_was_told_is_submitted(
    handler: ModuleType, logic: ModuleType, batch: Stubber, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = {
        "OUTPUT_PREFIX": "second/",
        "SHARE_IDENTIFIER": "video",
        "ARRAY_SIZE": "40",
        "PARAMETERS": '{"quality": "high"}',
        "RETRY_STRATEGY": '{"attempts": 2, "evaluateOnExit": [{"onExitCode": "75", "action": "RETRY"}]}',
    }
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    body = _object_created("media/a.png")
    name = logic.job_name(logic.created_object(json.loads(body)))
    batch.add_response(
        "submit_job",
        {"jobId": "id-1", "jobName": name},
        {
            "jobName": name,
            "jobQueue": "arn:aws:batch:us-east-1:123456789012:job-queue/standard",
            "jobDefinition": "arn:aws:batch:us-east-1:123456789012:job-definition/media",
            "shareIdentifier": "video",
            "arrayProperties": {"size": 40},
            "retryStrategy": {
                "attempts": 2,
                "evaluateOnExit": [{"onExitCode": "75", "action": "RETRY"}],
            },
            "parameters": {
                "quality": "high",
                "input": "s3://in/media/a.png",
                "output": "s3://out/second/media/",
            },
        },
    )

    assert _failed(handler.handle(_batch_of(body), Context())) == []
    batch.assert_no_pending_responses()


def test_only_what_failed_is_tried_again_and_each_failure_is_logged(
    handler: ModuleType, batch: Stubber, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(4):
        if number == 1:
            batch.add_client_error("submit_job", "TooManyRequestsException", "Too Many Requests", 429)
        else:
            batch.add_response("submit_job", {"jobId": f"id-{number}", "jobName": "n"})
    bodies = [_object_created(f"media/{number}.png") for number in range(4)]

    with caplog.at_level(logging.INFO):
        response = handler.handle(_batch_of(*bodies[:2], "no json", *bodies[2:]), Context())

    batch.assert_no_pending_responses()
    assert _failed(response) == ["m1", "m2"]
    failures = {
        line["message_id"]: line
        for line in map(json.loads, caplog.messages)
        if line["message"] == "not submitted"
    }
    assert sorted(failures) == ["m1", "m2"]
    assert "Too Many Requests" in failures["m1"]["error"]
    assert failures["m1"]["body"] == bodies[1]
    assert failures["m2"]["error"].startswith("JSONDecodeError")
    assert [r.levelno for r in caplog.records if "not submitted" in r.message] == [logging.ERROR] * 2


def test_a_lost_connection_fails_its_record_only(
    handler: ModuleType, monkeypatch: pytest.MonkeyPatch, batch: Stubber
) -> None:
    class Unreachable:
        def submit_job(self, **_: Any) -> None:
            raise ReadTimeoutError(endpoint_url="https://batch")

    monkeypatch.setattr(handler, "_batch", Unreachable)
    bodies = [_object_created("media/a.png"), _object_created("media/folder/")]
    assert _failed(handler.handle(_batch_of(*bodies), Context())) == ["m0"]


def test_what_there_is_no_time_for_is_handed_back_unbegun(handler: ModuleType, batch: Stubber) -> None:
    for number in range(4):
        batch.add_response("submit_job", {"jobId": f"id-{number}", "jobName": "n"})
    bodies = [_object_created(f"media/{number}.png") for number in range(4)]
    slow = Context(remaining_ms=handler._LONGEST_CALL_MS + 10_000, step_ms=10_000)

    assert _failed(handler.handle(_batch_of(*bodies), slow)) == ["m2", "m3"]
    # The answers to the other two are still there: nothing was asked.
    with pytest.raises(AssertionError, match="2 responses remaining"):
        batch.assert_no_pending_responses()


def test_a_folder_marker_is_skipped_with_a_log_line(
    handler: ModuleType, batch: Stubber, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        assert _failed(handler.handle(_batch_of(_object_created("media/")), Context())) == []

    line = json.loads(caplog.messages[-1])
    assert (line["message"], line["key"]) == ("skipped: a folder marker", "media/")


def test_an_unknown_queue_is_a_failure(handler: ModuleType, batch: Stubber) -> None:
    batch.add_client_error("submit_job", "ClientException", "Job queue standard does not exist", 400)
    assert _failed(handler.handle(_batch_of(_object_created("media/a.png")), Context())) == ["m0"]


@pytest.mark.parametrize("variable", ["JOB_QUEUE", "JOB_DEFINITION", "OUTPUT_BUCKET"])
def test_a_missing_variable_is_raised(
    handler: ModuleType, batch: Stubber, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(variable)
    with pytest.raises(KeyError, match=variable):
        handler.handle(_batch_of(_object_created("media/a.png")), Context())


@pytest.mark.parametrize("body", ['{"hello": "world"}', "[]", "", "null"])
def test_a_message_that_makes_no_sense_is_a_failure(handler: ModuleType, batch: Stubber, body: str) -> None:
    assert _failed(handler.handle(_batch_of(body), Context())) == ["m0"]


def test_the_client_is_made_once_and_can_never_outlast_the_time_it_is_given(
    handler: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    client = handler._batch()
    assert client is handler._batch()
    config = client.meta.config
    assert config.retries == {"mode": "standard", "total_max_attempts": 3}
    # The standard mode waits up to 1 s before the second attempt and up to 2 s before the third.
    assert 3 * (config.connect_timeout + config.read_timeout) + 1 + 2 < handler._LONGEST_CALL_MS / 1000
