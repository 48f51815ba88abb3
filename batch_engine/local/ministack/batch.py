"""The module that MiniStack takes for its own service "batch"."""

from collections.abc import Awaitable, Callable

from batch_engine.local.api.api import Response
from batch_engine.local.api.endpoint import BatchEndpoint, Query

Handler = Callable[[str, str, dict[str, str], bytes, Query], Awaitable[Response]]


def unguarded(endpoint: BatchEndpoint) -> Handler:
    """Returns a handler that answers every request, also one whose headers say nothing of its signer."""

    async def handle(method: str, path: str, _: dict[str, str], body: bytes, query: Query) -> Response:
        return await endpoint.handle(method, path, body, query)

    return handle


class BatchModule:
    """Has MiniStack pass requests for AWS Batch on.

    Args:
        handle: answers a request, given its method, path, headers, body and query.
    """

    def __init__(self, handle: Handler) -> None:
        self._handle = handle

    async def handle_request(
        self, method: str, path: str, headers: dict[str, str], body: bytes, query: Query
    ) -> Response:
        """Answers one request."""
        return await self._handle(method, path, headers, body, query)

    def get_state(self) -> None:
        """Saves nothing: the engine keeps its own state."""

    def load_persisted_state(self, data: object) -> None:
        """Restore nothing."""

    def reset(self) -> None:
        """Change nothing; the path that would ask for this is refused."""
