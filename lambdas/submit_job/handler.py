"""AWS Lambda function: submits an AWS Batch job for an object created in S3."""

import json
import logging
import os
from collections.abc import Mapping
from functools import cache
from typing import Any

import boto3
from botocore.config import Config
from logic import created_object, submit_job_request

logger = logging.getLogger("submit_job")
logger.setLevel(logging.INFO)


def handle(event: Mapping[str, Any], _context: object) -> dict[str, Any]:
    """Submit a job and return its id.

    Every error is raised: Lambda then calls again, and hands what never succeeds to the dead-letter queue.
    """
    item = created_object(event)
    about = {"bucket": item.bucket, "key": item.key, "size_bytes": item.size_bytes}
    if item.is_folder_marker:
        _log("skipped: a folder marker", about)
        return {"skipped": "folder marker"}
    response = _batch().submit_job(
        **submit_job_request(
            item,
            job_queue=os.environ["JOB_QUEUE"],
            job_definition=os.environ["JOB_DEFINITION"],
            output_bucket=os.environ["OUTPUT_BUCKET"],
        )
    )
    _log("submitted", {**about, "job_id": response["jobId"], "job_name": response["jobName"]})
    return {"jobId": response["jobId"], "jobName": response["jobName"]}


@cache
def _batch() -> Any:
    # Throttling is to be expected: an account may submit 50 jobs a second, and uploads come in bursts.
    retries = {"mode": "standard", "total_max_attempts": 5}
    return boto3.client("batch", config=Config(connect_timeout=3, read_timeout=10, retries=retries))


def _log(message: str, about: Mapping[str, Any]) -> None:
    logger.info(json.dumps({"message": message, **about}, ensure_ascii=False))
