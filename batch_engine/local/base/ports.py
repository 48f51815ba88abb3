"""What the engine needs from the rest of the machine, and what the rest may ask of the engine."""

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
        """Carry out one operation.

        Args:
            operation: the API's name for it, such as ``CreateComputeEnvironment``.
            request: the request as on the wire (camelCase members).

        Returns:
            The response as on the wire.

        Raises:
            ClientError: AWS Batch would refuse the request.
        """
        ...


@dataclass(frozen=True, slots=True)
class Publication:
    """One event of source ``aws.batch``.

    Args:
        detail_type: its ``detail-type``.
        resources: the ARNs it is about.
        detail: its ``detail``.
        time_ms: when it happened, in epoch milliseconds.
    """

    detail_type: str
    resources: list[str]
    detail: dict[str, Any]
    time_ms: int


class EventSink(Protocol):
    """Where events of source ``aws.batch`` go: EventBridge's default bus."""

    def is_heard(self) -> bool:
        """Return whether any rule or archive may take an event; others need not be made."""
        ...

    def publish(self, events: list[Publication]) -> tuple[int, Exception | None]:
        """Publish events in order, until one fails. Delivery is at least once.

        Returns:
            How many were published, and why the next one was not; None if all were.
        """
        ...


class LogSink(Protocol):
    """Where the lines go that jobs print: CloudWatch Logs."""

    def put(self, group: str, stream: str, lines: list[tuple[int, str]]) -> None:
        """Append ``(epoch ms, text)`` lines; makes the group and the stream where they are absent."""
        ...


@dataclass(frozen=True, slots=True)
class Credentials:
    """Temporary credentials, as STS hands them out."""

    access_key_id: str
    secret_access_key: str
    session_token: str
    expiration: str


class CredentialSource(Protocol):
    """Who turns a role into credentials: STS."""

    def assume_role(self, role_arn: str, session_name: str) -> Credentials:
        """Assume a role.

        Raises:
            ClientError: the role does not exist or may not be assumed.
        """
        ...


class SecretSource(Protocol):
    """Where the values of a container's ``secrets`` come from: Secrets Manager and Parameter Store.

    https://docs.aws.amazon.com/batch/latest/userguide/specifying-sensitive-data.html
    """

    def resolve(self, value_from: str, execution_role: str | None) -> str:
        """The value that ``valueFrom`` names.

        Args:
            value_from: the ARN of a secret, also with ``:json-key:version-stage:version-id`` behind it, or
                the name or ARN of a parameter.
            execution_role: the ARN of the role that reads it, where policies count.

        Raises:
            ClientError: there is no such secret or parameter, or it may not be read.
        """
        ...
