"""The ASGI application that the server serves: its own few paths, AWS Batch, and the rest of AWS."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

from batch_engine.local.api.asgi import AsgiApp, Message, Receive, Scope, Send, read_body, send_json
from batch_engine.local.api.browser_guard import refusal

Answer = tuple[int, dict[str, Any]]
OwnRoutes = Mapping[str, Callable[[bytes], Answer]]

HEALTH_PATH = "/_batch-stack/health"
CREDENTIALS_PREFIX = "/_batch-stack/credentials/"
# They would clear MiniStack's half of the state and leave the engine's.
_REFUSED_PATHS = ("/_ministack/reset", "/_ministack/config")
_READ_METHODS = ("GET", "HEAD", "OPTIONS")
_BATCH_SCOPE = b"/batch/aws4_request"


class Lifespan(Protocol):
    """The start before the first request, and the stop after the last."""

    async def started(self) -> None:
        """Starts the parts; called before the first request."""

    async def stopping(self) -> None:
        """Stops the parts; called after the last request."""


@dataclass(slots=True)
class Front:
    """Answers every request that reaches the port, or passes it on.

    Args:
        batch: answers requests that are signed for AWS Batch; None if ``rest`` must check them first.
        rest: answers all other requests, and has a lifespan of its own.
        data_dir: named in the answer to `HEALTH_PATH`.
        credentials: answers a job's request for credentials, given the token in its path; may block.
        own_routes: answer the engine's own paths, given the request's body.
        saved: waits until the changes that an own route has made are saved.
        changed: called after each request to ``rest`` that may have changed its state.
        lifespan: called around the time in which requests are served.
    """

    batch: AsgiApp | None
    rest: AsgiApp
    data_dir: Path
    credentials: Callable[[str], Answer]
    own_routes: OwnRoutes
    saved: Callable[[], Awaitable[bool]]
    changed: Callable[[], None]
    lifespan: Lifespan

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request, or the server's lifespan."""
        if scope["type"] == "lifespan":
            await self._live(scope, receive, send)
            return
        headers: list[tuple[bytes, bytes]] = scope["headers"]
        path: str = scope["path"]
        if (reason := refusal(headers)) is not None:
            await send_json(send, 403, {"message": reason})
        elif path.startswith("/_"):
            await self._own_path(path, scope, receive, send)
        elif self.batch is not None and is_for_batch(headers):
            await self.batch(scope, receive, send)
        else:
            await self._pass_on(scope, receive, send)

    async def _own_path(self, path: str, scope: Scope, receive: Receive, send: Send) -> None:
        if path == HEALTH_PATH:
            await send_json(send, 200, self._health())
        elif path.startswith(CREDENTIALS_PREFIX):
            # Off the loop: the answer needs STS, which the loop serves.
            token = path.removeprefix(CREDENTIALS_PREFIX)
            await send_json(send, *await asyncio.to_thread(self.credentials, token))
        elif route := self.own_routes.get(path):
            answer = route(await read_body(receive))
            not_saved = 500, {"message": "the change could not be saved; see the server's log"}
            await send_json(send, *(answer if await self.saved() else not_saved))
        elif path.startswith(_REFUSED_PATHS):
            message = f"{path} is not available here: start on another --data-dir for an empty cloud"
            await send_json(send, 403, {"message": message})
        else:
            await self._pass_on(scope, receive, send)

    def _health(self) -> dict[str, Any]:
        return {
            "status": "running",
            "pid": os.getpid(),
            "data_dir": str(self.data_dir),
            "version": version("batch-stack"),
        }

    async def _pass_on(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.rest(scope, receive, send)
        if scope.get("method") not in _READ_METHODS:
            self.changed()

    async def _live(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def received() -> Message:
            message = await receive()
            if message["type"] == "lifespan.shutdown":
                await self.lifespan.stopping()
            return message

        async def sent(message: Message) -> None:
            if message["type"] == "lifespan.startup.complete":
                try:
                    await self.lifespan.started()
                except Exception as error:
                    await send({"type": "lifespan.startup.failed", "message": str(error)})
                    raise
            await send(message)

        await self.rest(scope, received, sent)


def is_for_batch(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Returns whether a request is signed for AWS Batch: its ``Authorization`` names the service.

    Args:
        headers: names in lower case and values, as ASGI gives them.
    """
    return any(name == b"authorization" and _BATCH_SCOPE in value for name, value in headers)
