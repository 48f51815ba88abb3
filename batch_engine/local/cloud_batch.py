"""What MiniStack takes for its own service module "batch": the way from its router to our API."""

import asyncio
from typing import Protocol


class Api(Protocol):
    """The AWS Batch HTTP API."""

    def handle(
        self, method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, list[str]]
    ) -> tuple[int, dict[str, str], bytes]:
        """Answer one request: status, headers, body."""
        ...


class BatchModule:
    """What MiniStack takes for its service module "batch"."""

    def __init__(self, api: Api) -> None:
        self._api = api

    async def handle_request(
        self, method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, list[str]]
    ) -> tuple[int, dict[str, str], bytes]:
        """Answer one request, off the loop: it writes to disk."""
        return await asyncio.to_thread(self._api.handle, method, path, headers, body, query)

    def get_state(self) -> None:
        """Have nothing saved: the engine keeps its own state."""

    def load_persisted_state(self, data: object) -> None:
        """Have nothing restored."""

    def reset(self) -> None:
        """Stay as it is; the path that would ask for this is refused."""
