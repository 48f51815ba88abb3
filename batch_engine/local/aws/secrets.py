"""Turns a container's ``valueFrom`` into a request, and finds the value in the answer.

https://docs.aws.amazon.com/batch/latest/userguide/specifying-sensitive-data-secrets.html
"""

import json
from dataclasses import dataclass
from typing import Any

from batch_engine.local.aws.batch_permissions import Check
from batch_engine.local.base.ports import ClientError

# arn:aws:secretsmanager:<region>:<account>:secret:<name>
_SECRET_ARN_PARTS = 7


@dataclass(frozen=True, slots=True)
class SecretReference:
    """The request that reads a secret or a parameter.

    Args:
        service: ``secretsmanager`` or ``ssm``.
        operation: the request's operation.
        request: its members.
        json_key: the key of the value in the secret's JSON object; empty for the whole secret.
    """

    service: str
    operation: str
    request: dict[str, Any]
    json_key: str = ""


def parse(value_from: str) -> SecretReference:
    """Returns the request for a ``valueFrom``.

    Args:
        value_from: ``arn:aws:secretsmanager:region:account:secret:name:json-key:version-stage:version-id``,
            in which the last three may be empty or absent; or the name or ARN of a parameter.
    """
    parts = value_from.split(":")
    if parts[0] != "arn" or parts[2:3] != ["secretsmanager"]:
        name = ":".join(parts[5:]).removeprefix("parameter") if parts[0] == "arn" else value_from
        return SecretReference("ssm", "GetParameter", {"Name": name, "WithDecryption": True})
    extras = [*parts[_SECRET_ARN_PARTS:], "", "", ""]
    request = {"SecretId": ":".join(parts[:_SECRET_ARN_PARTS])}
    if extras[1]:
        request["VersionStage"] = extras[1]
    if extras[2]:
        request["VersionId"] = extras[2]
    return SecretReference("secretsmanager", "GetSecretValue", request, extras[0])


def permission(reference: SecretReference, answer: dict[str, Any]) -> Check:
    """Returns the permission that the execution role needs to read the value.

    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task_execution_IAM_role.html#task-execution-secrets
    """
    if reference.service == "ssm":
        return Check("ssm:GetParameters", str(answer["Parameter"]["ARN"]))
    return Check("secretsmanager:GetSecretValue", str(answer["ARN"]))


def failure(reference: SecretReference, why: str) -> str:
    """Returns ECS's error for a value that cannot be read; it names the secret, which the service does not.

    https://repost.aws/knowledge-center/ecs-unable-to-pull-secrets
    """
    if reference.service == "ssm":
        name = reference.request["Name"]
        return f"unable to retrieve secrets from ssm: failed to fetch parameter {name}: {why}"
    arn = reference.request["SecretId"]
    return f"unable to retrieve secret from asm: failed to fetch secret {arn} from secrets manager: {why}"


def value(reference: SecretReference, answer: dict[str, Any]) -> str:
    """Returns the value from the service's answer.

    Raises:
        ClientError: the secret is not a JSON object, or does not have the key.
    """
    if reference.service == "ssm":
        return str(answer["Parameter"]["Value"])
    text = answer["SecretString"] if "SecretString" in answer else answer["SecretBinary"].decode()
    if not reference.json_key:
        return str(text)
    secret = reference.request["SecretId"]
    try:
        members = json.loads(text)
    except ValueError as error:
        raise ClientError(f"secret {secret} is not JSON, so it has no key {reference.json_key!r}") from error
    if not isinstance(members, dict) or reference.json_key not in members:
        raise ClientError(
            f"retrieved secret from Secrets Manager did not contain json key {reference.json_key}"
        )
    found = members[reference.json_key]
    return found if isinstance(found, str) else json.dumps(found)
