"""AWS Lambda function: submits an AWS Batch job for each object created in S3, from a queue of events."""

import json
import logging
import os
from collections.abc import Mapping
from functools import cache
from typing import Any

import boto3
from botocore.config import Config
from logic import Target, batch_response, created_object, event_in, submit_job_request

_ATTEMPTS = 3
_CONNECT_TIMEOUT_S = 2
_READ_TIMEOUT_S = 5
# The longest time of one SubmitJob: all attempts time out, and the pauses between them add up to 3 s.
_LONGEST_CALL_MS = 1000 * (_ATTEMPTS * (_CONNECT_TIMEOUT_S + _READ_TIMEOUT_S) + 4)

logger = logging.getLogger("submit_job")
logger.setLevel(logging.INFO)


def handle(event: Mapping[str, Any], context: Any) -> dict[str, Any]:
    """Submits a job for each record. Returns the records that failed, so that SQS delivers them again.

    A record is also returned if there is no time left to submit its job. If the function ran into its
    timeout, SQS would deliver the whole batch again, and jobs would be submitted twice.
    https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html
    """
    target = Target(
        job_queue=os.environ["JOB_QUEUE"],
        job_definition=os.environ["JOB_DEFINITION"],
        output_bucket=os.environ["OUTPUT_BUCKET"],
        output_prefix=os.environ.get("OUTPUT_PREFIX", ""),
        share_identifier=os.environ.get("SHARE_IDENTIFIER", ""),
        array_size=int(os.environ.get("ARRAY_SIZE", "0")),
        parameters=json.loads(os.environ.get("PARAMETERS", "{}")),
        retry_strategy=json.loads(os.environ.get("RETRY_STRATEGY", "{}")),
    )
    failed = []
    for record in event["Records"]:
        try:
            if context.get_remaining_time_in_millis() < _LONGEST_CALL_MS:
                raise TimeoutError("no time left in this invocation to submit the job")
            _submit(record, target)
        except Exception as error:
            failed.append(record["messageId"])
            about = {"message_id": record["messageId"], "body": record["body"]}
            _log(logging.ERROR, "not submitted", {**about, "error": f"{type(error).__name__}: {error}"})
    return batch_response(failed)


def _submit(record: Mapping[str, Any], target: Target) -> None:
    item = created_object(event_in(record))
    about = {"bucket": item.bucket, "key": item.key, "size_bytes": item.size_bytes}
    if item.is_folder_marker:
        _log(logging.INFO, "skipped: a folder marker", about)
        return
    response = _batch().submit_job(**submit_job_request(item, target))
    _log(logging.INFO, "submitted", {**about, "job_id": response["jobId"], "job_name": response["jobName"]})


@cache
def _batch() -> Any:
    # Throttling is common: an account may submit 50 jobs a second, and uploads come in bursts.
    return boto3.client(
        "batch",
        config=Config(
            connect_timeout=_CONNECT_TIMEOUT_S,
            read_timeout=_READ_TIMEOUT_S,
            retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
        ),
    )


def _log(level: int, message: str, about: Mapping[str, Any]) -> None:
    logger.log(level, json.dumps({"message": message, **about}, ensure_ascii=False))
