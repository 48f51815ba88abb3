"""AWS Batch as an ASGI application: a request is answered when all that it changed is saved."""

from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs

from batch_engine.local.api.api import BatchApi, Response, failed
from batch_engine.local.api.asgi import Receive, Scope, Send, read_body, send_response

Query = dict[str, list[str]]
NOT_SAVED = "The local engine could not save this request; see its log"


class BatchEndpoint:
    """Answers the HTTP requests for AWS Batch, on the event loop that the engine was started on.

    Requests that arrive in the same turn of the loop are saved in one transaction, and answered after it.

    Args:
        api: checks requests and carries them out.
        saved: waits until all changes so far are saved; returns False if that failed.
    """

    def __init__(self, api: BatchApi, saved: Callable[[], Awaitable[bool]]) -> None:
        self.api = api
        self._saved = saved

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        body = await read_body(receive)
        path: bytes = scope.get("raw_path") or scope["path"].encode()
        query = scope.get("query_string") or b""
        parameters = parse_qs(query.decode("latin-1"), keep_blank_values=True) if query else {}
        response = await self.handle(scope["method"], path.decode("latin-1"), body, parameters)
        await send_response(send, *response)

    async def handle(self, method: str, path: str, body: bytes, query: Query) -> Response:
        """Answers one request; see ``BatchApi.read`` for the parameters."""
        return await self._when_saved(self.api.handle(method, path, body, query))

    async def answer(self, operation: str, request: dict[str, Any]) -> Response:
        """Carries out a request that ``BatchApi.read`` has returned, and returns its response."""
        return await self._when_saved(self.api.answer(operation, request))

    async def _when_saved(self, response: Response) -> Response:
        return response if await self._saved() else failed(NOT_SAVED)
