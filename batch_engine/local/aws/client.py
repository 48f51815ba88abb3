"""A client of the AWS services in this process; it uses AWS's wire formats without a socket."""

from collections.abc import Awaitable, Callable, Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import urlencode

from botocore.loaders import Loader
from botocore.model import ServiceModel
from botocore.parsers import create_parser
from botocore.serialize import create_serializer

from batch_engine.local.aws import logs, secrets
from batch_engine.local.aws.batch_permissions import Check
from batch_engine.local.base.ports import ClientError

Handler = Callable[
    [str, str, dict[str, str], bytes, dict[str, list[str]]], Awaitable[tuple[int, dict[str, str], Any]]
]


class CallError(Exception):
    """A service refused a call.

    Args:
        operation: such as ``logs.PutLogEvents``.
        code: the service's error code.
        message: the service's explanation.
    """

    def __init__(self, operation: str, code: str, message: str) -> None:
        super().__init__(f"{operation} failed with {code}: {message}")
        self.code = code


class InProcessClient:
    """Calls services through their handlers.

    Args:
        handlers: the handlers by endpoint prefix (`monitoring` for CloudWatch). Each takes method, path,
            headers, body and query.
    """

    def __init__(self, handlers: Mapping[str, Handler]) -> None:
        self._handlers = handlers

    async def call(self, service: str, operation: str, **request: Any) -> dict[str, Any]:
        """Carries out an operation; takes and returns the members that boto3 has for it.

        Raises:
            CallError: the service refused.
        """
        model = _service_model(service)
        operation_model = model.operation_model(operation)
        protocol = model.metadata["protocol"]
        sent = create_serializer(protocol).serialize_to_request(request, operation_model)
        body = sent["body"]
        encoded = urlencode(body).encode() if isinstance(body, dict) else body
        headers = {name.lower(): value for name, value in sent["headers"].items()}
        handler = self._handlers[model.endpoint_prefix]
        status, answer_headers, answer = await handler(sent["method"], sent["url_path"], headers, encoded, {})
        parsed: dict[str, Any] = create_parser(protocol).parse(
            {"status_code": status, "headers": answer_headers, "body": answer}, operation_model.output_shape
        )
        if error := parsed.get("Error"):
            raise CallError(
                f"{service}.{operation}", error.get("Code", str(status)), error.get("Message", "")
            )
        return parsed

    async def put_log_lines(self, group: str, stream: str, lines: list[tuple[int, str]]) -> None:
        """Appends ``(epoch ms, text)`` lines; creates the group and the stream if they do not exist.

        Raises:
            CallError: CloudWatch Logs refused.
        """
        where = {"logGroupName": group, "logStreamName": stream}
        for batch in logs.batches(lines):
            try:
                await self.call("logs", "PutLogEvents", **where, logEvents=batch)
            except CallError as error:
                if error.code != "ResourceNotFoundException":
                    raise
                await self._create_if_absent("CreateLogGroup", logGroupName=group)
                await self._create_if_absent("CreateLogStream", **where)
                await self.call("logs", "PutLogEvents", **where, logEvents=batch)

    async def send_message(self, queue_url: str, body: str, attributes: Mapping[str, str]) -> None:
        """Sends a message with string attributes to an SQS queue.

        Raises:
            CallError: SQS refused.
        """
        typed = {name: {"DataType": "String", "StringValue": text} for name, text in attributes.items()}
        await self.call("sqs", "SendMessage", QueueUrl=queue_url, MessageBody=body, MessageAttributes=typed)

    async def secret_value(self, value_from: str) -> tuple[str, Check]:
        """Reads the secret or parameter that a container's ``valueFrom`` names.

        Returns:
            The value, and the permission that its reader needs.

        Raises:
            ClientError: there is no such secret, parameter or key.
        """
        reference = secrets.parse(value_from)
        try:
            answer = await self.call(reference.service, reference.operation, **reference.request)
        except CallError as error:
            raise ClientError(secrets.failure(reference, str(error))) from error
        return secrets.value(reference, answer), secrets.permission(reference, answer)

    async def _create_if_absent(self, operation: str, **request: Any) -> None:
        try:
            await self.call("logs", operation, **request)
        except CallError as error:
            if error.code != "ResourceAlreadyExistsException":
                raise


@lru_cache(maxsize=8)
def _service_model(service: str) -> ServiceModel:
    return ServiceModel(Loader().load_service_model(service, "service-2"), service)
