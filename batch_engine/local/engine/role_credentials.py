"""The job role's credentials, which a job fetches as on ECS: from a URL that only the job knows.

SDKs fetch them from ``AWS_CONTAINER_CREDENTIALS_FULL_URI`` and come back before they expire, so a job may run
longer than one set of credentials lives.
https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html
"""

import secrets
import threading
from typing import Any

from batch_engine.local.base.ports import ClientError, CredentialSource

ROUTE = "/_batch-stack/credentials/"


class RoleCredentials:
    """The tokens of running attempts, and the role of each.

    Args:
        source: STS.
        endpoint_url: the URL of this engine.
    """

    def __init__(self, source: CredentialSource, endpoint_url: str) -> None:
        self._source = source
        self._endpoint_url = endpoint_url
        self._roles: dict[str, tuple[str, str]] = {}
        self._lock = threading.Lock()

    def grant(self, role_arn: str, session_name: str) -> tuple[str, str]:
        """Opens a URL for one attempt.

        Returns:
            The URL, and the token to revoke it by.
        """
        token = secrets.token_urlsafe(24)
        with self._lock:
            self._roles[token] = (role_arn, session_name)
        return f"{self._endpoint_url}{ROUTE}{token}", token

    def revoke(self, token: str) -> None:
        """Closes the URL of a token."""
        with self._lock:
            self._roles.pop(token, None)

    def respond(self, token: str) -> tuple[int, dict[str, Any]]:
        """Answers a GET for a token: the HTTP status and the JSON body."""
        with self._lock:
            role = self._roles.get(token)
        if role is None:
            return 404, {"code": "NotFound", "message": "no running job has these credentials"}
        try:
            credentials = self._source.assume_role(*role)
        except ClientError as error:
            return 400, {"code": "AssumeRoleFailed", "message": error.message}
        return 200, {
            "RoleArn": role[0],
            "AccessKeyId": credentials.access_key_id,
            "SecretAccessKey": credentials.secret_access_key,
            "Token": credentials.session_token,
            "Expiration": credentials.expiration,
        }
