"""Makes boto3 clients of the local cloud."""

from typing import Any

import boto3
from botocore.config import Config
from botocore.session import Session

from batch_engine.local.server.state import ServerRecord


def client(record: ServerRecord, service: str) -> Any:
    """Returns a boto3 client that calls a service of the local cloud."""
    # The profile in the user's shell is for AWS, and it may not exist.
    session = Session(session_vars={"profile": (None, None, None, None)})
    return boto3.Session(botocore_session=session).client(
        service,
        endpoint_url=record.endpoint_url,
        region_name=record.region,
        aws_access_key_id="test",
        aws_secret_access_key="test",  # noqa: S106 - the local cloud accepts any pair
        config=Config(retries={"total_max_attempts": 1}, proxies={}),
    )
