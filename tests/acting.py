"""Calls that sign as a role of a deployed stack, and what becomes of them where policies count."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError


def acting_as(client: Callable[[str], Any], endpoint_url: str, role_name: str) -> Callable[[str], Any]:
    """Make clients that sign as a role; whom it trusts is widened for it, what it may do is not.

    Args:
        client: makes the administrator's clients.
        endpoint_url: where the cloud is.
        role_name: the role's name.
    """
    iam, sts = client("iam"), client("sts")
    role = iam.get_role(RoleName=role_name)["Role"]
    trust = role["AssumeRolePolicyDocument"]
    root = {"AWS": "arn:aws:iam::000000000000:root"}
    trust["Statement"] += [{"Effect": "Allow", "Principal": root, "Action": "sts:AssumeRole"}]
    iam.update_assume_role_policy(RoleName=role_name, PolicyDocument=json.dumps(trust))
    granted = sts.assume_role(RoleArn=role["Arn"], RoleSessionName="probe")["Credentials"]
    return lambda service: boto3.client(
        service,
        endpoint_url=endpoint_url,
        region_name="us-east-1",
        aws_access_key_id=granted["AccessKeyId"],
        aws_secret_access_key=granted["SecretAccessKey"],
        aws_session_token=granted["SessionToken"],
        config=Config(retries={"total_max_attempts": 1}),
    )


def outcome(attempt: Callable[[], Any]) -> str:
    """What becomes of a call: ``allowed``, ``denied``, or what it was answered besides."""
    try:
        attempt()
    except ClientError as error:
        code = str(error.response["Error"]["Code"])
        denied = "AccessDenied" in code or code in ("AuthorizationError", "UnauthorizedOperation")
        return "denied" if denied else f"answered {code}"
    return "allowed"
