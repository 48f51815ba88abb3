"""``AWS::RDS::DBCluster`` with a password that RDS makes, which MiniStack's CloudFormation does not.

A cluster is a record: nothing listens at its endpoint. Its secret is real, and jobs are handed it.
"""

import json
import secrets
from collections.abc import Callable, Mapping
from typing import Any

from batch_engine import translation as cfn
from batch_engine.local.aws.client import CallError
from batch_engine.local.cloudformation.resources import ResourceError

CLUSTER = "AWS::RDS::DBCluster"
_ARN = "MasterUserSecret.SecretArn"
_PASSWORD_BYTES = 24


def with_managed_password(
    handler: dict[str, Any], call: Callable[[str, dict[str, Any]], dict[str, Any]]
) -> dict[str, Any]:
    """Have clusters with ``ManageMasterUserPassword`` get a secret, as long as they exist.

    Args:
        handler: MiniStack's, for clusters.
        call: carries out an operation of Secrets Manager with the members that boto3 has for it; it may wait.
    """

    def create(logical_id: str, properties: dict[str, Any], stack: str) -> tuple[str, dict[str, str]]:
        physical_id, attributes = handler["create"](logical_id, properties, stack)
        return physical_id, {**attributes, **secret_of(physical_id, properties)}

    def update(
        physical_id: str, old: dict[str, Any], new: dict[str, Any], stack: str, logical_id: str
    ) -> tuple[str, dict[str, str]]:
        updated_id, attributes = handler["update"](physical_id, old, new, stack, logical_id)
        return updated_id, {**attributes, **secret_of(updated_id, new)}

    def delete(physical_id: str, properties: dict[str, Any]) -> None:
        handler["delete"](physical_id, properties)
        try:
            call("DeleteSecret", {"SecretId": _name(physical_id), "ForceDeleteWithoutRecovery": True})
        except CallError as error:
            if error.code != "ResourceNotFoundException":
                raise ResourceError(str(error)) from error

    def secret_of(physical_id: str, properties: Mapping[str, Any]) -> dict[str, str]:
        if not cfn.is_true(properties.get("ManageMasterUserPassword")):
            return {}
        try:
            return {_ARN: call("DescribeSecret", {"SecretId": _name(physical_id)})["ARN"]}
        except CallError as error:
            if error.code != "ResourceNotFoundException":
                raise ResourceError(str(error)) from error
        value = {
            "username": properties["MasterUsername"],
            "password": secrets.token_urlsafe(_PASSWORD_BYTES),
        }
        made = call("CreateSecret", {"Name": _name(physical_id), "SecretString": json.dumps(value)})
        return {_ARN: made["ARN"]}

    return {**handler, "create": create, "update": update, "update_with_logical_id": True, "delete": delete}


def _name(physical_id: str) -> str:
    return f"rds!cluster-{physical_id}"
