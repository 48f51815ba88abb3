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

import botocore.session

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
def _load_operations() -> dict[tuple[str, str], _Operation]:
    model = botocore.session.get_session().get_service_model("batch")
    operations = {}
    for name in model.operation_names:
        operation = model.operation_model(name)
        path = re.sub(r"\{[^}]*\}", "", operation.http["requestUri"])
        reader = reader_of(operation.input_shape)
        operations[operation.http["method"], path.lower()] = _Operation(name, reader)
    return operations


class BatchApi:
    """Turns HTTP requests into calls of the service, and answers into HTTP responses.

    Args:
        service: carries the calls out.
    """

    def __init__(self, service: BatchService) -> None:
        self._service = service
        self._operations = _load_operations()

    def handle(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes, query: Mapping[str, list[str]]
    ) -> Response:
        """Answer one request. Never raises.

        Args:
            method: GET, POST or DELETE.
            path: the URL's path, still percent-encoded.
            headers: not used: whoever serves this has authenticated the caller, and what it may do.
            body: the request's body.
            query: the URL's query, decoded.
        """
        del headers
        request_id = str(uuid.uuid4())
        try:
            operation, request = self._parse(method, path, body, query)
            response = self._service.call(operation.name, request)
        except ClientError as error:
            return _error(400, "ClientException", on_the_wire(error.message, request_id), request_id)
        except Exception:
            logger.exception("%s %s failed", method, path)
            return _error(
                500, "ServerException", "Internal error of the local engine; see its log", request_id
            )
        return _reply(200, response, request_id)

    def read(
        self, method: str, path: str, body: bytes, query: Mapping[str, list[str]]
    ) -> tuple[str, dict[str, Any]]:
        """Name the operation that a request is for, and give what it asks.

        Args:
            method: as for ``handle``; likewise the others.
            path: the URL's path.
            body: the request's body.
            query: the URL's query.

        Raises:
            ClientError: there is no such operation, or the request is not one of it.
        """
        operation, request = self._parse(method, path, body, query)
        return operation.name, request

    def _parse(
        self, method: str, path: str, body: bytes, query: Mapping[str, list[str]]
    ) -> tuple[_Operation, dict[str, Any]]:
        on_tags = path.lower().startswith(TAGS_PATH)
        operation = self._operations.get((method, TAGS_PATH if on_tags else path.rstrip("/").lower()))
        if operation is None:
            raise ClientError(f"AWS Batch has no operation {method} {path}")
        request = _json_object(body)
        if on_tags:
            request["resourceArn"] = unquote(path[len(TAGS_PATH) :])
            if "tagKeys" in query:
                request["tagKeys"] = query["tagKeys"]
        limit = MAX_BODY_BYTES.get(operation.name)
        if limit is not None and len(body) > limit:
            raise ClientError(f"{operation.name} requests must not exceed {limit} bytes, got {len(body)}")
        errors: Errors = []
        request = operation.read(request, "", errors)
        if errors:
            raise ClientError("Parameter validation failed:\n" + "\n".join(errors[:MAX_ERRORS]))
        return operation, request


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
