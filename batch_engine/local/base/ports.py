"""The protocols between the engine and the rest of the local cloud, in both directions."""

from dataclasses import dataclass
from typing import Any, Protocol

from batch_engine.core.model.errors import ClientError

__all__ = [
    "BatchService",
    "ClientError",
    "CredentialSource",
    "Credentials",
    "EventSink",
    "LogSink",
    "Publication",
    "SecretSource",
]


class BatchService(Protocol):
    """The operations of AWS Batch. Thread-safe, synchronous and quick."""

    def call(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        """Carries out one operation.

        Args:
            operation: the operation's name in the API, such as ``CreateComputeEnvironment``.
            request: the request as on the wire (camelCase members).

        Returns:
            The response as on the wire.

        Raises:
            ClientError: AWS Batch would refuse the request.
        """
        ...


@dataclass(frozen=True, slots=True)
class Publication:
    """An event of source ``aws.batch``.

    Args:
        detail_type: its ``detail-type``.
        resources: its ``resources``, as ARNs.
        detail: its ``detail``.
        time_ms: its time, in epoch milliseconds.
    """

    detail_type: str
    resources: list[str]
    detail: dict[str, Any]
    time_ms: int


class EventSink(Protocol):
    """Receives the events of source ``aws.batch``: EventBridge's default bus."""

    def is_heard(self) -> bool:
        """Returns whether any rule or archive may take an event; if not, events need not be made."""
        ...

    def publish(self, events: list[Publication]) -> tuple[int, Exception | None]:
        """Publishes events in order, until one fails. Delivery is at least once.

        Returns:
            The number of published events, and the error of the next one, or None if all were published.
        """
        ...


class LogSink(Protocol):
    """Receives the lines that jobs print: CloudWatch Logs."""

    def put(self, group: str, stream: str, lines: list[tuple[int, str]]) -> None:
        """Appends ``(epoch ms, text)`` lines; creates the group and the stream if they do not exist."""
        ...


@dataclass(frozen=True, slots=True)
class Credentials:
    """Temporary credentials of STS."""

    access_key_id: str
    secret_access_key: str
    session_token: str
    expiration: str


class CredentialSource(Protocol):
    """Returns credentials for roles: STS."""

    def assume_role(self, role_arn: str, session_name: str) -> Credentials:
        """Assumes a role.

        Raises:
            ClientError: the role does not exist or may not be assumed.
        """
        ...


class SecretSource(Protocol):
    """Returns the values of a container's ``secrets``: Secrets Manager and Parameter Store.

    https://docs.aws.amazon.com/batch/latest/userguide/specifying-sensitive-data.html
    """

    def resolve(self, value_from: str, execution_role: str | None) -> str:
        """Returns the value that ``valueFrom`` names.

        Args:
            value_from: the ARN of a secret, also with ``:json-key:version-stage:version-id`` behind it, or
                the name or ARN of a parameter.
            execution_role: the ARN of the role that reads it; it has an effect if policies are enforced.

        Raises:
            ClientError: there is no such secret or parameter, or the role may not read it.
        """
        ...
