"""The module that replaces MiniStack's own service "batch"."""

from collections.abc import Awaitable, Callable

from batch_engine.local.api.api import Response
from batch_engine.local.api.endpoint import BatchEndpoint, Query

Handler = Callable[[str, str, dict[str, str], bytes, Query], Awaitable[Response]]


def unguarded(endpoint: BatchEndpoint) -> Handler:
    """Returns a handler that answers every request without a look at its signer."""

    async def handle(method: str, path: str, _: dict[str, str], body: bytes, query: Query) -> Response:
        return await endpoint.handle(method, path, body, query)

    return handle


class BatchModule:
    """The object that MiniStack calls as its service module "batch".

    Args:
        handle: answers a request, given its method, path, headers, body and query.
    """

    def __init__(self, handle: Handler) -> None:
        self._handle = handle

    async def handle_request(
        self, method: str, path: str, headers: dict[str, str], body: bytes, query: Query
    ) -> Response:
        """Answers a request."""
        return await self._handle(method, path, headers, body, query)

    def get_state(self) -> None:
        """Saves nothing: the engine keeps its own state."""

    def load_persisted_state(self, data: object) -> None:
        """Restores nothing: the engine keeps its own state."""

    def reset(self) -> None:
        """Changes nothing; the front refuses the path that calls this."""
