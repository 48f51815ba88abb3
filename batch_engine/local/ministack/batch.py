"""What MiniStack takes for its own service module "batch", and the way back: our API as a service to call."""

import asyncio
import json
from functools import lru_cache
from typing import Any, Protocol

from botocore.loaders import Loader
from botocore.model import ServiceModel
from botocore.serialize import create_serializer

from batch_engine.local.base.ports import ClientError


class Api(Protocol):
    """The AWS Batch HTTP API."""

    def handle(
        self, method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, list[str]]
    ) -> tuple[int, dict[str, str], bytes]:
        """Answer one request: status, headers, body."""
        ...


class AsyncApi(Protocol):
    """The same, on the event loop."""

    async def handle(
        self, method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, list[str]]
    ) -> tuple[int, dict[str, str], bytes]:
        """Answer one request: status, headers, body."""
        ...


class Unguarded:
    """The API for whoever asks.

    Args:
        api: the AWS Batch HTTP API.
    """

    def __init__(self, api: Api) -> None:
        self._api = api

    async def handle(
        self, method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, list[str]]
    ) -> tuple[int, dict[str, str], bytes]:
        """Answer one request, off the loop: it writes to disk."""
        return await asyncio.to_thread(self._api.handle, method, path, headers, body, query)


class BatchModule:
    """What MiniStack takes for its service module "batch".

    Args:
        api: answers the requests.
    """

    def __init__(self, api: AsyncApi) -> None:
        self._api = api

    async def handle_request(
        self, method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, list[str]]
    ) -> tuple[int, dict[str, str], bytes]:
        """Answer one request."""
        return await self._api.handle(method, path, headers, body, query)

    def get_state(self) -> None:
        """Have nothing saved: the engine keeps its own state."""

    def load_persisted_state(self, data: object) -> None:
        """Have nothing restored."""

    def reset(self) -> None:
        """Stay as it is; the path that would ask for this is refused."""


class ServerError(RuntimeError):
    """AWS Batch failed to answer: worth another try."""


class ApiService:
    """The API as a ``BatchService``: what comes from a stack or a target is checked as a client's request is.

    Args:
        api: the AWS Batch HTTP API.
    """

    def __init__(self, api: Api) -> None:
        self._api = api

    def call(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        """Carry out one operation; see ``BatchService.call``.

        Raises:
            ClientError: AWS Batch would refuse the request.
            ServerError: it failed.
        """
        model = _service_model().operation_model(operation)
        sent = create_serializer("rest-json", False).serialize_to_request(request, model)
        query = {name: list(values) for name, values in sent["query_string"].items()}
        body = sent["body"] or b""
        status, _, answer = self._api.handle(sent["method"], sent["url_path"], {}, body, query)
        document: dict[str, Any] = json.loads(answer)
        if status == 200:
            return document
        message = str(document.get("message", f"AWS Batch answered {status}"))
        raise ServerError(message) if status >= 500 else ClientError(message)


@lru_cache(maxsize=1)
def _service_model() -> ServiceModel:
    return ServiceModel(Loader().load_service_model("batch", "service-2"), "batch")
