from __future__ import annotations

import io
import logging
import os
import signal
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import boto3
import pytest
from batch_worker import s3
from batch_worker.errors import TransientError, WorkerError
from batch_worker.location import S3Place
from batch_worker.log import Log
from batch_worker.stop import Interrupted, Stop
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.response import StreamingBody
from s3transfer.futures import TransferCoordinator
from urllib3 import HTTPResponse

PLACE = S3Place("bucket", "key")


@pytest.mark.parametrize(
    ("code", "status", "reading", "writing"),
    [
        ("SlowDown", 503, 75, 75),
        ("InternalError", 500, 75, 75),
        ("ServiceUnavailable", 503, 75, 75),
        ("RequestTimeout", 400, 75, 75),
        ("TooManyRequests", 429, 75, 75),
        ("ExpiredToken", 400, 75, 75),
        ("AccessDenied", 403, 77, 77),
        ("InvalidAccessKeyId", 403, 77, 77),
        ("InvalidObjectState", 403, 65, 65),
        ("NoSuchKey", 404, 66, 73),
        ("NoSuchBucket", 404, 66, 73),
        ("EntityTooLarge", 400, 70, 70),
    ],
)
def test_error_answer_has_its_exit_code(*, code, status, reading, writing):
    error = ClientError(
        {"Error": {"Code": code, "Message": "m"}, "ResponseMetadata": {"HTTPStatusCode": status}},
        "GetObject",
    )
    for is_writing, exit_code in ((False, reading), (True, writing)):
        found = s3.classify(error, PLACE, writing=is_writing)
        assert isinstance(found, WorkerError)
        assert found.exit_code == exit_code
        assert "s3://bucket/key" in str(found)
        assert code in str(found)


class TornThenWhole:
    """An S3 whose bodies break off a number of times before one arrives whole."""

    def __init__(self, torn: int, *, honest: bool = True) -> None:
        self.torn = torn
        self.calls = 0
        self._honest = honest

    def get_object(self, **_: Any) -> dict[str, Any]:
        self.calls += 1
        sent = b"0123" if self.calls <= self.torn else b"0123456789"
        # A body without a length of its own cannot know that it is short: the worker has to count.
        length = "10" if self._honest else None
        return {"ContentLength": 10, "ETag": '"e"', "Body": StreamingBody(io.BytesIO(sent), length)}


@pytest.mark.parametrize("honest", [True, False])
def test_torn_body_is_read_again(tmp_path: Path, honest: bool):
    client = TornThenWhole(2, honest=honest)
    pulled = s3.pull(client, PLACE, tmp_path / "in")
    assert (pulled.size_bytes, pulled.etag, client.calls) == (10, "e", 3)
    assert (tmp_path / "in").read_bytes() == b"0123456789"


@pytest.mark.parametrize("honest", [True, False])
def test_body_torn_every_time_is_transient(tmp_path: Path, honest: bool):
    client = TornThenWhole(99, honest=honest)
    with pytest.raises(TransientError, match=r"s3://bucket/key.*4"):
        s3.pull(client, PLACE, tmp_path / "in")
    assert client.calls == s3.BODY_TRIES


PART_BYTES = 5 * 1024 * 1024
"""The smallest part that S3 takes."""


class Uploads:
    """An S3 client whose multipart uploads are answered here: no request leaves the process.

    Args:
        during_part: called with the number of each part, before it is answered.
    """

    def __init__(self, during_part: Callable[[int], int]) -> None:
        self.operations: list[str] = []
        self._during_part = during_part
        self.client = boto3.client(
            "s3",
            region_name="eu-west-1",
            endpoint_url="http://127.0.0.1:1",
            aws_access_key_id="key",
            aws_secret_access_key="secret",
            config=Config(retries={"total_max_attempts": 1}),
        )
        for operation in ("CreateMultipartUpload", "UploadPart", "AbortMultipartUpload"):
            answer = partial(self._answer, operation)
            self.client.meta.events.register(f"before-send.s3.{operation}", answer)

    def _answer(self, operation: str, request: AWSPreparedRequest, **_: object) -> AWSResponse:
        self.operations.append(operation)
        status, body = 200, b""
        if operation == "CreateMultipartUpload":
            body = b"<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>"
        elif operation == "UploadPart":
            (number,) = parse_qs(urlsplit(request.url).query)["partNumber"]
            status = self._during_part(int(number))
        raw = HTTPResponse(io.BytesIO(body), preload_content=False)
        return AWSResponse(request.url, status, {"ETag": '"e"'}, raw)


def parts_of(folder: Path, count: int) -> Path:
    file = folder / "out"
    file.write_bytes(bytes(count * PART_BYTES))
    return file


def test_stopped_upload_is_aborted(tmp_path: Path):
    was_stopped = threading.Event()

    def during_part(number: int) -> int:
        if number == 2:
            os.kill(os.getpid(), signal.SIGTERM)
            assert was_stopped.wait(30)
        return 200

    uploads = Uploads(during_part)
    stop = Stop(Log(logging.getLogger("stopped")))
    cancel = TransferCoordinator.cancel

    def cancelled(self: TransferCoordinator, *arguments: object) -> None:
        cancel(self, *arguments)
        was_stopped.set()

    with pytest.MonkeyPatch.context() as patch, stop.installed(), stop.interruptible():
        patch.setattr(TransferCoordinator, "cancel", cancelled)
        with pytest.raises(Interrupted):
            push(uploads.client, parts_of(tmp_path, 3))
    assert uploads.operations[0] == "CreateMultipartUpload"
    assert uploads.operations[-1] == "AbortMultipartUpload"


def test_refused_part_has_its_exit_code_and_the_upload_is_aborted(tmp_path: Path):
    uploads = Uploads(lambda number: 503 if number == 2 else 200)
    with pytest.raises(TransientError, match=r"s3://bucket/key.*UploadPart"):
        push(uploads.client, parts_of(tmp_path, 2))
    assert uploads.operations[-1] == "AbortMultipartUpload"


def push(client: Any, file: Path) -> None:
    s3.push(client, PLACE, file, content_type="t", metadata={}, part_bytes=PART_BYTES)
