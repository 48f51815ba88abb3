"""The HTTP face of AWS Batch: REST-JSON, read and checked by AWS's own service model.

https://docs.aws.amazon.com/batch/latest/APIReference/Welcome.html
"""

import json
import logging
import re
import uuid
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

import botocore.session
from botocore.model import OperationModel, Shape, StructureShape
from botocore.validate import ParamValidator

from batch_engine.local.ports import BatchService, ClientError

logger = logging.getLogger(__name__)

Response = tuple[int, dict[str, str], bytes]
TAGS_PATH = "/v1/tags/"


def _load_operations() -> dict[tuple[str, str], OperationModel]:
    model = botocore.session.get_session().get_service_model("batch")
    operations = {}
    for name in model.operation_names:
        operation = model.operation_model(name)
        path = re.sub(r"\{[^}]*\}", "", operation.http["requestUri"])
        operations[operation.http["method"], path.lower()] = operation
    return operations


class BatchApi:
    """Turns HTTP requests into calls of the service, and answers into HTTP responses.

    Args:
        service: carries the calls out.
    """

    def __init__(self, service: BatchService) -> None:
        self._service = service
        self._operations = _load_operations()
        self._validator = ParamValidator()

    def handle(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes, query: Mapping[str, list[str]]
    ) -> Response:
        """Answer one request. Never raises.

        Args:
            method: GET, POST or DELETE.
            path: the URL's path, still percent-encoded.
            headers: not used: whoever serves this has authenticated the caller.
            body: the request's body.
            query: the URL's query, decoded.
        """
        del headers
        request_id = str(uuid.uuid4())
        try:
            operation, request = self._parse(method, path, body, query)
            response = self._service.call(operation.name, request)
        except ClientError as error:
            return _error(400, "ClientException", error.message, request_id)
        except Exception:
            logger.exception("%s %s failed", method, path)
            return _error(
                500, "ServerException", "Internal error of the local engine; see its log", request_id
            )
        return _reply(200, response, request_id)

    def _parse(
        self, method: str, path: str, body: bytes, query: Mapping[str, list[str]]
    ) -> tuple[OperationModel, dict[str, Any]]:
        on_tags = path.lower().startswith(TAGS_PATH)
        operation = self._operations.get((method, TAGS_PATH if on_tags else path.rstrip("/").lower()))
        if operation is None:
            raise ClientError(f"AWS Batch has no operation {method} {path}")
        request = _json_object(body)
        if on_tags:
            request["resourceArn"] = unquote(path[len(TAGS_PATH) :])
            if "tagKeys" in query:
                request["tagKeys"] = query["tagKeys"]
        shape = operation.input_shape
        request = _without_nulls(request, shape)
        report = self._validator.validate(request, shape)
        if report.has_errors():
            raise ClientError(report.generate_report())
        return operation, request


def _json_object(body: bytes) -> dict[str, Any]:
    if not body.strip():
        return {}
    try:
        parsed = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ClientError(f"The request body is not JSON: {error}") from None
    if not isinstance(parsed, dict):
        raise ClientError("The request body must be a JSON object")
    return parsed


def _without_nulls(value: Any, shape: Shape) -> Any:
    """Drop what the model does not know and members that are null: AWS ignores both."""
    if isinstance(shape, StructureShape) and isinstance(value, dict):
        return {
            name: _without_nulls(value[name], member)
            for name, member in shape.members.items()
            if value.get(name) is not None
        }
    if shape.type_name == "list" and isinstance(value, list):
        return [_without_nulls(item, shape.member) for item in value]
    return value


def _reply(status: int, body: dict[str, Any], request_id: str) -> Response:
    headers = {"Content-Type": "application/json", "x-amzn-RequestId": request_id}
    return status, headers, json.dumps(body).encode()


def _error(status: int, code: str, message: str, request_id: str) -> Response:
    status, headers, body = _reply(status, {"message": message}, request_id)
    return status, {**headers, "x-amzn-ErrorType": code}, body
