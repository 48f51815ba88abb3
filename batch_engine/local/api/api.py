"""The HTTP face of AWS Batch: REST-JSON, read and checked by AWS's own service model.

https://docs.aws.amazon.com/batch/latest/APIReference/Welcome.html
"""

import json
import logging
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, NoReturn
from urllib.parse import unquote

from botocore.loaders import Loader
from botocore.model import ServiceModel

from batch_engine.local.api.error_text import on_the_wire
from batch_engine.local.api.request_reader import Errors, Reader, reader_of
from batch_engine.local.base.ports import BatchService, ClientError

logger = logging.getLogger(__name__)

Response = tuple[int, dict[str, str], bytes]
TAGS_PATH = "/v1/tags/"
MAX_ERRORS = 10
MAX_BODY_BYTES = {"SubmitJob": 30 * 1024, "SubmitServiceJob": 30 * 1024, "RegisterJobDefinition": 24 * 1024}


@dataclass(frozen=True, slots=True)
class _Operation:
    name: str
    read: Reader


@cache
def _operations() -> dict[tuple[str, str], _Operation]:
    # Without a session: a session reads the user's profile, which is for AWS and may not exist.
    model = ServiceModel(Loader().load_service_model("batch", "service-2"), "batch")
    operations = {}
    for name in model.operation_names:
        operation = model.operation_model(name)
        path = re.sub(r"\{[^}]*\}", "", operation.http["requestUri"])
        reader = reader_of(operation.input_shape)
        operations[operation.http["method"], path.lower()] = _Operation(name, reader)
    return operations


@cache
def _by_name() -> dict[str, _Operation]:
    return {operation.name: operation for operation in _operations().values()}


class BatchApi:
    """Checks requests by AWS's service model, then carries them out; it implements ``BatchService``.

    Args:
        service: carries out requests that are known to be well-formed.
    """

    def __init__(self, service: BatchService) -> None:
        self._service = service

    def call(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        """Checks a request that did not come over HTTP, and carries it out.

        Args:
            operation: the API's name for it, such as ``SubmitJob``.
            request: the members as on the wire.

        Raises:
            ClientError: AWS Batch would refuse the request.
        """
        if operation in MAX_BODY_BYTES:
            _check_size(operation, len(json.dumps(request)))
        return self._service.call(operation, _checked(_by_name()[operation], request))

    def read(
        self, method: str, path: str, body: bytes, query: Mapping[str, list[str]]
    ) -> tuple[str, dict[str, Any]]:
        """Returns the operation and the checked request that an HTTP request asks for.

        Args:
            method: GET, POST or DELETE.
            path: the URL's path, still percent-encoded.
            body: the request's body.
            query: the URL's query, decoded.

        Raises:
            ClientError: there is no such operation, or the request does not fit it.
        """
        on_tags = path.lower().startswith(TAGS_PATH)
        operation = _operations().get((method, TAGS_PATH if on_tags else path.rstrip("/").lower()))
        if operation is None:
            raise ClientError(f"AWS Batch has no operation {method} {path}")
        request = _json_object(body)
        if on_tags:
            request["resourceArn"] = unquote(path[len(TAGS_PATH) :])
            if "tagKeys" in query:
                request["tagKeys"] = query["tagKeys"]
        _check_size(operation.name, len(body))
        return operation.name, _checked(operation, request)

    def answer(self, operation: str, request: dict[str, Any]) -> Response:
        """Carries out a request that ``read`` has returned, and returns its HTTP response. Never raises."""
        request_id = str(uuid.uuid4())
        try:
            return _reply(200, self._service.call(operation, request), request_id)
        except ClientError as error:
            return refused(error, request_id)
        except Exception:
            logger.exception("%s failed", operation)
            return failed("Internal error of the local engine; see its log", request_id)

    def handle(self, method: str, path: str, body: bytes, query: Mapping[str, list[str]]) -> Response:
        """Answers one HTTP request; see ``read`` for the parameters. Never raises."""
        try:
            operation, request = self.read(method, path, body, query)
        except ClientError as error:
            return refused(error)
        return self.answer(operation, request)


def refused(error: ClientError, request_id: str = "") -> Response:
    """Returns the response to a request that AWS Batch refuses."""
    request_id = request_id or str(uuid.uuid4())
    return _error(400, "ClientException", on_the_wire(error.message, request_id), request_id)


def failed(message: str, request_id: str = "") -> Response:
    """Returns the response to a request that the engine could not carry out."""
    return _error(500, "ServerException", message, request_id or str(uuid.uuid4()))


def _checked(operation: _Operation, request: dict[str, Any]) -> dict[str, Any]:
    errors: Errors = []
    checked: dict[str, Any] = operation.read(request, "", errors)
    if errors:
        raise ClientError("Parameter validation failed:\n" + "\n".join(errors[:MAX_ERRORS]))
    return checked


def _check_size(operation: str, size_bytes: int) -> None:
    limit = MAX_BODY_BYTES.get(operation)
    if limit is not None and size_bytes > limit:
        raise ClientError(f"{operation} requests must not exceed {limit} bytes, got {size_bytes}")


def _json_object(body: bytes) -> dict[str, Any]:
    if not body.strip():
        return {}
    try:
        parsed = _DECODER.decode(body.decode())
    except (ValueError, RecursionError) as error:
        raise ClientError(f"The request body is not JSON: {error}") from None
    if not isinstance(parsed, dict):
        raise ClientError("The request body must be a JSON object")
    return parsed


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON value")


_DECODER = json.JSONDecoder(parse_constant=_no_constant)


def _reply(status: int, body: dict[str, Any], request_id: str) -> Response:
    headers = {"Content-Type": "application/json", "x-amzn-RequestId": request_id}
    return status, headers, json.dumps(body).encode()


def _error(status: int, code: str, message: str, request_id: str) -> Response:
    status, headers, body = _reply(status, {"message": message}, request_id)
    return status, {**headers, "x-amzn-ErrorType": code}, body
