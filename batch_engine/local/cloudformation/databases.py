"""The secrets of ``AWS::RDS::DBCluster`` resources with ``ManageMasterUserPassword``, which MiniStack lacks.

A cluster is a record: no server listens at its endpoint. Its secret is real, and jobs receive it.
"""

import json
import secrets
from collections.abc import Mapping
from typing import Any

from batch_engine import translation as cfn
from batch_engine.local.aws.client import CallError
from batch_engine.local.cloudformation.resource import Call, ResourceError

CLUSTER = "AWS::RDS::DBCluster"
_ARN = "MasterUserSecret.SecretArn"
_PASSWORD_BYTES = 24


class ClusterSecrets:
    """Creates and deletes the secrets of clusters.

    Args:
        call: reaches Secrets Manager; it may wait.
    """

    def __init__(self, call: Call) -> None:
        self._call = call

    def attributes(self, physical_id: str, properties: Mapping[str, Any]) -> dict[str, str]:
        """Returns the attributes that a cluster's secret adds to it; creates the secret if it does not exist.

        Args:
            physical_id: the physical id of the cluster.
            properties: the properties of the cluster.

        Raises:
            ResourceError: Secrets Manager refused.
        """
        if not cfn.is_true(properties.get("ManageMasterUserPassword")):
            return {}
        name = _name(physical_id)
        try:
            return {_ARN: self._call("DescribeSecret", {"SecretId": name})["ARN"]}
        except CallError as error:
            if error.code != "ResourceNotFoundException":
                raise ResourceError(str(error)) from error
        value = {
            "username": properties["MasterUsername"],
            "password": secrets.token_urlsafe(_PASSWORD_BYTES),
        }
        created = self._call("CreateSecret", {"Name": name, "SecretString": json.dumps(value)})
        return {_ARN: created["ARN"]}

    def delete(self, physical_id: str) -> None:
        """Deletes a cluster's secret; a secret that does not exist is no error.

        Raises:
            ResourceError: Secrets Manager refused.
        """
        request = {"SecretId": _name(physical_id), "ForceDeleteWithoutRecovery": True}
        try:
            self._call("DeleteSecret", request)
        except CallError as error:
            if error.code != "ResourceNotFoundException":
                raise ResourceError(str(error)) from error


def _name(physical_id: str) -> str:
    return f"rds!cluster-{physical_id}"
