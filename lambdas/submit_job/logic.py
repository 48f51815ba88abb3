"""From a queued "Object Created" event to a SubmitJob request. Pure.

The event: https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html
"""

import hashlib
import json
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

MAX_JOB_NAME_LENGTH = 128
_DIGEST_LENGTH = 12


@dataclass(frozen=True)
class CreatedObject:
    """The object that an event tells of. `version` is whatever tells two uploads of one key apart."""

    bucket: str
    key: str
    size_bytes: int | None
    version: str

    @property
    def is_folder_marker(self) -> bool:
        """Whether it only makes a folder appear in a console, and holds nothing to work on."""
        return self.key.endswith("/")


@dataclass(frozen=True)
class Target:
    """Where jobs go, and what they are told besides the object.

    Attributes:
        job_queue: name or ARN.
        job_definition: name or ARN; without a revision the latest one runs.
        output_bucket: where the job shall write, into the folder that the object has in its own bucket.
        output_prefix: stands before that folder; ends in a slash, unless it is empty.
        share_identifier: for a queue with a fair-share policy; empty for one without.
        array_size: so many children; 0 for a job that is no array.
        parameters: further parameters of the job.
        retry_strategy: instead of the job definition's; empty for that.
    """

    job_queue: str
    job_definition: str
    output_bucket: str
    output_prefix: str = ""
    share_identifier: str = ""
    array_size: int = 0
    parameters: Mapping[str, str] = field(default_factory=dict)
    retry_strategy: Mapping[str, Any] = field(default_factory=dict)


def event_in(record: Mapping[str, Any]) -> dict[str, Any]:
    """The event that a record of SQS carries.

    Args:
        record: one of the "Records" with which Lambda calls a function for a queue.

    Raises:
        ValueError: the message is no JSON object.
    """
    event = json.loads(record["body"])
    if not isinstance(event, dict):
        raise ValueError(f"the message must be an event, a JSON object, got {record['body']!r}")
    return event


def batch_response(failed_message_ids: Iterable[str]) -> dict[str, list[dict[str, str]]]:
    """What tells Lambda which messages of a batch to leave in the queue; the others it deletes."""
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed_message_ids]}


def created_object(event: Mapping[str, Any]) -> CreatedObject:
    """Read an event.

    Args:
        event: as EventBridge delivers it. Its keys are not URL-encoded, unlike those S3 itself sends.

    Raises:
        ValueError: the event is of another kind or lacks a field; the message names it.
    """
    kind = event.get("detail-type")
    if kind != "Object Created":
        raise ValueError(f"detail-type must be 'Object Created', got {kind!r}")
    try:
        detail = event["detail"]
        bucket, item = detail["bucket"]["name"], detail["object"]
        key = item["key"]
    except (KeyError, TypeError) as error:
        raise ValueError(f"the event lacks detail.bucket.name or detail.object.key: {error!r}") from error
    version = item.get("version-id") or item.get("sequencer") or item.get("etag") or ""
    return CreatedObject(bucket=bucket, key=key, size_bytes=item.get("size"), version=version)


def submit_job_request(item: CreatedObject, target: Target) -> dict[str, Any]:
    """Say what to submit for an object.

    Args:
        item: the object.
        target: what the function was configured with.

    Returns:
        The parameters of SubmitJob. The job receives `input` and `output`, both as s3:// URIs with raw keys.
    """
    folder = item.key.rpartition("/")[0]
    output = f"s3://{target.output_bucket}/{target.output_prefix}"
    request: dict[str, Any] = {
        "jobName": job_name(item),
        "jobQueue": target.job_queue,
        "jobDefinition": target.job_definition,
        "parameters": {
            **target.parameters,
            "input": f"s3://{item.bucket}/{item.key}",
            "output": f"{output}{folder}/" if folder else output,
        },
    }
    if target.share_identifier:
        request["shareIdentifier"] = target.share_identifier
    if target.array_size:
        request["arrayProperties"] = {"size": target.array_size}
    if target.retry_strategy:
        request["retryStrategy"] = target.retry_strategy
    return request


def job_name(item: CreatedObject) -> str:
    """A name that shows the key, and is the same whenever the same version of the same object is reported.

    AWS Batch allows letters, digits, hyphens and underscores, a letter or digit first, at most 128 in all.
    """
    identity = "\0".join((item.bucket, item.key, item.version))
    digest = hashlib.sha256(identity.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGEST_LENGTH]
    # An accent is left out, not its letter: Zürich is Zurich.
    letters = "".join(
        letter for letter in unicodedata.normalize("NFKD", item.key) if not unicodedata.combining(letter)
    )
    readable = re.sub(r"[^A-Za-z0-9_]+", "-", letters)
    # The end of a long key tells more than its beginning.
    readable = readable[-(MAX_JOB_NAME_LENGTH - _DIGEST_LENGTH - 1) :].strip("-_")
    return f"{readable}-{digest}" if readable else digest
