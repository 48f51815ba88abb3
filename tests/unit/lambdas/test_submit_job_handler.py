"""The handler: the request it sends, and that no error is swallowed."""

import json
import logging
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber

EVENT = {
    "detail-type": "Object Created",
    "detail": {"bucket": {"name": "in"}, "object": {"key": "media/a b+ü.mp4", "size": 0, "version-id": "v1"}},
}


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
    name = logic.job_name(logic.created_object(EVENT))
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
        assert handler.handle(EVENT, None) == {"jobId": "id-1", "jobName": name}

    batch.assert_no_pending_responses()
    line = json.loads(caplog.messages[-1])
    assert (line["message"], line["key"], line["job_id"]) == ("submitted", "media/a b+ü.mp4", "id-1")


def test_a_folder_marker_is_skipped_with_a_log_line(
    handler: ModuleType, batch: Stubber, caplog: pytest.LogCaptureFixture
) -> None:
    event: dict[str, Any] = json.loads(json.dumps(EVENT))
    event["detail"]["object"]["key"] = "media/"

    with caplog.at_level(logging.INFO):
        assert handler.handle(event, None) == {"skipped": "folder marker"}

    assert json.loads(caplog.messages[-1])["key"] == "media/"


def test_an_unknown_queue_is_raised(handler: ModuleType, batch: Stubber) -> None:
    batch.add_client_error("submit_job", "ClientException", "Job queue standard does not exist", 400)
    with pytest.raises(ClientError, match="does not exist"):
        handler.handle(EVENT, None)


@pytest.mark.parametrize("variable", ["JOB_QUEUE", "JOB_DEFINITION", "OUTPUT_BUCKET"])
def test_a_missing_variable_is_raised(
    handler: ModuleType, batch: Stubber, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(variable)
    with pytest.raises(KeyError, match=variable):
        handler.handle(EVENT, None)


def test_an_event_that_makes_no_sense_is_raised(handler: ModuleType, batch: Stubber) -> None:
    with pytest.raises(ValueError, match="Object Created"):
        handler.handle({"hello": "world"}, None)


def test_the_client_is_made_once_and_retries_throttling(
    handler: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    client = handler._batch()
    assert client is handler._batch()
    assert client.meta.config.retries == {"mode": "standard", "total_max_attempts": 5}
