from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from batch_worker import s3
from batch_worker.errors import TransientError, WorkerError
from batch_worker.location import S3Place
from batch_worker.stop import Interrupted
from botocore.exceptions import ClientError
from botocore.response import StreamingBody

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


class StoppedDuringPart:
    """An S3 during whose second part SIGTERM comes."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def __getattr__(self, operation: str) -> Any:
        def call(**arguments: Any) -> dict[str, Any]:
            self.calls.append(operation)
            if arguments.get("PartNumber") == 2:
                raise Interrupted(15)
            return {"UploadId": "u", "ETag": "e"}

        return call


def test_stopped_upload_is_aborted(tmp_path: Path):
    (tmp_path / "out").write_bytes(b"12345")
    client = StoppedDuringPart()
    with pytest.raises(Interrupted):
        s3.push(client, PLACE, tmp_path / "out", content_type="t", metadata={}, part_bytes=2)
    assert client.calls == [
        "create_multipart_upload",
        "upload_part",
        "upload_part",
        "abort_multipart_upload",
    ]
