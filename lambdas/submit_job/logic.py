"""Pure functions: makes a SubmitJob request from a queued "Object Created" event.

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
    """The object of an event. `version` differs between two uploads of one key."""

    bucket: str
    key: str
    size_bytes: int | None
    version: str

    @property
    def is_folder_marker(self) -> bool:
        """True if the object only makes a console show a folder."""
        return self.key.endswith("/")


@dataclass(frozen=True)
class Target:
    """The queue, the definition and the parameters of the jobs.

    Attributes:
        job_queue: name or ARN.
        job_definition: name or ARN. Without a revision, the latest one runs.
        output_bucket: the bucket for the results. They go to the folder that the object has in its bucket.
        output_prefix: prefix of that folder. Empty, or ends in a slash.
        share_identifier: the share, for a queue with a fair-share policy. Empty for other queues.
        array_size: the number of children of an array job, or 0 for a single job.
        parameters: further parameters of the job.
        retry_strategy: replaces the retry strategy of the job definition. Empty to keep the definition's.
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
    """Returns the event in a record of SQS.

    Args:
        record: an element of "Records" in the invocation.

    Raises:
        ValueError: the message is not a JSON object.
    """
    event = json.loads(record["body"])
    if not isinstance(event, dict):
        raise ValueError(f"the message must be an event, a JSON object, got {record['body']!r}")
    return event


def batch_response(failed_message_ids: Iterable[str]) -> dict[str, list[dict[str, str]]]:
    """Returns the response that keeps these messages in the queue. Lambda deletes the others."""
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed_message_ids]}


def created_object(event: Mapping[str, Any]) -> CreatedObject:
    """Reads an event.

    Args:
        event: as EventBridge delivers it. Keys are not URL-encoded, unlike in S3's own notifications.

    Raises:
        ValueError: the event has another type, or a field is missing. The message names it.
    """
    kind = event.get("detail-type")
    if kind != "Object Created":
        raise ValueError(f"detail-type must be 'Object Created', got {kind!r}")
    try:
        detail = event["detail"]
        bucket, item = detail["bucket"]["name"], detail["object"]
        key = item["key"]
    except (KeyError, TypeError) as error:
        raise ValueError(f"the event has no detail.bucket.name or detail.object.key: {error!r}") from error
    version = item.get("version-id") or item.get("sequencer") or item.get("etag") or ""
    return CreatedObject(bucket=bucket, key=key, size_bytes=item.get("size"), version=version)


def submit_job_request(item: CreatedObject, target: Target) -> dict[str, Any]:
    """Returns the parameters of SubmitJob for an object.

    Args:
        item: the object.
        target: the configuration of the function.

    Returns:
        The parameters. The job gets `input` and `output` as s3:// URIs with keys that are not URL-encoded.
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
    """Returns a job name made from the key. One version of an object always gives the same name.

    AWS Batch allows at most 128 letters, digits, hyphens and underscores. The first is a letter or digit.
    """
    identity = "\0".join((item.bucket, item.key, item.version))
    digest = hashlib.sha256(identity.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGEST_LENGTH]
    # Letters lose their accents: Zürich becomes Zurich.
    letters = "".join(
        letter for letter in unicodedata.normalize("NFKD", item.key) if not unicodedata.combining(letter)
    )
    readable = re.sub(r"[^A-Za-z0-9_]+", "-", letters)
    # The end of a long key says more than its beginning.
    readable = readable[-(MAX_JOB_NAME_LENGTH - _DIGEST_LENGTH - 1) :].strip("-_")
    return f"{readable}-{digest}" if readable else digest
