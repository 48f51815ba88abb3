"""Reads objects from S3, writes results to S3, and turns AWS's errors into the worker's errors."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore import exceptions as aws
from botocore.config import Config
from s3transfer.manager import TransferConfig, TransferManager

from batch_worker.errors import (
    AccessDeniedError,
    BadInputError,
    CannotCreateError,
    MissingInputError,
    TransientError,
    UsageError,
    WorkerError,
)
from batch_worker.location import S3Place
from batch_worker.source import Pulled

CHUNK_BYTES = 1024 * 1024
PART_BYTES = 64 * 1024 * 1024
# The SDK retries requests, but not a body that breaks off while it is read. s3transfer would retry it, but
# its downloads begin with HeadObject, whose errors give no reason.
BODY_TRIES = 3

_THROTTLED = frozenset(
    {"SlowDown", "Throttling", "ThrottlingException", "RequestLimitExceeded", "TooManyRequests"}
)
_RETRY_ANYWAY = frozenset({"ExpiredToken", "RequestTimeout", "RequestTimeTooSkewed", "InternalError"})
_NO_CREDENTIALS = (aws.NoCredentialsError, aws.PartialCredentialsError)
_NETWORK = (
    aws.HTTPClientError,
    aws.ConnectionError,
    aws.IncompleteReadError,
    aws.CredentialRetrievalError,
    aws.MetadataRetrievalError,
    aws.FlexibleChecksumError,
)


def make_client() -> Any:
    """Returns an S3 client with bounded retries (AWS_MAX_ATTEMPTS, default 5) and finite timeouts.

    Endpoint, region and credentials come from the environment as with every AWS SDK. An endpoint on
    `localhost` is addressed by path, because the name `bucket.localhost` does not resolve everywhere.
    """
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or ""
    host = urlsplit(endpoint).hostname or ""
    local = host == "localhost" or host.endswith(".localhost")
    return boto3.client(
        "s3",
        config=Config(
            connect_timeout=10,
            read_timeout=60,
            retries={
                "mode": os.environ.get("AWS_RETRY_MODE", "standard"),
                "total_max_attempts": int(os.environ.get("AWS_MAX_ATTEMPTS", "5")),
            },
            s3={"addressing_style": "path"} if local else None,
            tcp_keepalive=True,
        ),
    )


def pull(client: Any, place: S3Place, to: Path) -> Pulled:
    """Reads the whole object into the file `to`.

    Raises `MissingInputError`, `AccessDeniedError` or `TransientError`. A body that ends early `BODY_TRIES`
    times in a row is also a `TransientError`.
    """
    for last in (False,) * (BODY_TRIES - 1) + (True,):
        with errors_of(place, writing=False):
            response = client.get_object(Bucket=place.bucket, Key=place.key)
        expected_bytes = int(response["ContentLength"])
        digest = hashlib.sha256()
        size_bytes = 0
        try:
            with to.open("wb") as file, errors_of(place, writing=False):
                for chunk in response["Body"].iter_chunks(CHUNK_BYTES):
                    file.write(chunk)
                    digest.update(chunk)
                    size_bytes += len(chunk)
            if size_bytes != expected_bytes:
                raise TransientError(f"{place.uri}: {size_bytes} of {expected_bytes} bytes arrived")
        except TransientError:
            if last:
                raise
            continue
        return Pulled(
            size_bytes=size_bytes,
            sha256=digest.hexdigest(),
            etag=str(response["ETag"]).strip('"') if "ETag" in response else None,
            version_id=response.get("VersionId"),
        )
    raise AssertionError("the last try returns or raises")


def push(
    client: Any,
    place: S3Place,
    file: Path,
    *,
    content_type: str,
    metadata: Mapping[str, str],
    part_bytes: int = PART_BYTES,
) -> None:
    """Writes the file as one object, in parts if it is large. It becomes visible when it is complete.

    Raises `CannotCreateError`, `AccessDeniedError` or `TransientError`.
    """
    extra = {"ContentType": content_type, "Metadata": dict(metadata)}
    config = TransferConfig(multipart_threshold=part_bytes, multipart_chunksize=part_bytes)
    # An exception in this block, also that of SIGTERM, cancels the parts under way and aborts the upload. The
    # parts of an upload that is neither completed nor aborted are invisible, and cost money.
    with errors_of(place, writing=True), TransferManager(client, config) as manager:
        manager.upload(str(file), place.bucket, place.key, extra_args=extra).result()


@contextmanager
def errors_of(place: S3Place, *, writing: bool) -> Iterator[None]:
    """Turns exceptions of botocore in the block into a `WorkerError` that names the place."""
    try:
        yield
    except aws.ClientError as error:
        raise classify(error, place, writing=writing) from error
    except aws.ParamValidationError as error:
        raise UsageError(f"{place.uri}: {error}") from error
    except _NO_CREDENTIALS as error:
        raise AccessDeniedError(f"{place.uri}: {error}") from error
    except _NETWORK as error:
        raise TransientError(f"{place.uri}: {error}") from error


def classify(error: aws.ClientError, place: S3Place, *, writing: bool) -> WorkerError:
    """Returns the worker's error for an error response of S3: `TransientError` if a retry may succeed.

    [S3 API reference, Error responses]
    """
    code = str(error.response.get("Error", {}).get("Code", ""))
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    message = f"{place.uri}: {error}"
    if code in _THROTTLED or code in _RETRY_ANYWAY or status == 429 or status >= 500:
        return TransientError(message)
    if code == "InvalidObjectState":
        return BadInputError(f"{message} (an archived object has to be restored first)")
    if status in {401, 403}:
        return AccessDeniedError(message)
    if status == 404:
        return CannotCreateError(message) if writing else MissingInputError(message)
    return WorkerError(message)
