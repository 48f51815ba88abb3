"""What stands in front of MiniStack: our own few paths, and the watch over what may have changed."""

import asyncio
import json
import logging
import socket
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any

from hypercorn.config import Config

from batch_engine.local.api.browser_guard import refusal

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]
Answer = tuple[int, dict[str, Any]]

HEALTH_PATH = "/_batch-stack/health"
CREDENTIALS_PREFIX = "/_batch-stack/credentials/"
# Half of the cloud's state, ours, would survive it.
_REFUSED_PATHS = ("/_ministack/reset", "/_ministack/config")
_READ_METHODS = ("GET", "HEAD", "OPTIONS")


class PortInUseError(RuntimeError):
    """The endpoint's port cannot be opened."""


@dataclass(slots=True)
class Front:
    """An ASGI application in front of another.

    Args:
        app: MiniStack's.
        health: answers `HEALTH_PATH`.
        credentials: answers a container's request for credentials, given the token in its path.
        own_routes: answer paths of ours, given the request's body.
        changed: called after each request that may have changed the cloud's state.
        started: awaited between the start of the other application and the first request.
        stopping: awaited between the last request and the end of the other application.
    """

    app: AsgiApp
    health: Callable[[], Answer]
    credentials: Callable[[str], Answer]
    own_routes: Mapping[str, Callable[[bytes], Answer]]
    changed: Callable[[], None]
    started: Callable[[], Awaitable[None]]
    stopping: Callable[[], Awaitable[None]]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection's request, or the server's lifespan."""
        if scope["type"] == "lifespan":
            await self._lifespan(scope, receive, send)
            return
        path = str(scope.get("path", ""))
        if (reason := refusal(scope["headers"])) is not None:
            await _answer(send, (403, {"message": reason}))
        elif path == HEALTH_PATH:
            await _answer(send, self.health())
        elif path.startswith(CREDENTIALS_PREFIX):
            # Off the loop: the answer may need STS, which the loop serves.
            token = path.removeprefix(CREDENTIALS_PREFIX)
            await _answer(send, await asyncio.to_thread(self.credentials, token))
        elif route := self.own_routes.get(path):
            body = await _body(receive)
            await _answer(send, await asyncio.to_thread(route, body))
        elif path.startswith(_REFUSED_PATHS):
            message = f"{path} is not available here: start on another --data-dir for an empty cloud"
            await _answer(send, (403, {"message": message}))
        else:
            await self.app(scope, receive, send)
            if scope.get("method") not in _READ_METHODS:
                self.changed()

    async def _lifespan(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def received() -> Message:
            message = await receive()
            if message["type"] == "lifespan.shutdown":
                await self.stopping()
            return message

        async def sent(message: Message) -> None:
            if message["type"] == "lifespan.startup.complete":
                try:
                    await self.started()
                except Exception as error:
                    await send({"type": "lifespan.startup.failed", "message": str(error)})
                    raise
            await send(message)

        await self.app(scope, received, sent)


async def _body(receive: Receive) -> bytes:
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = bool(message.get("more_body"))
    return body


async def _answer(send: Send, answer: Answer) -> None:
    status, document = answer
    body = json.dumps(document).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def listening_socket(port: int) -> socket.socket:
    """Bind a socket on 127.0.0.1.

    Args:
        port: 0 takes a free one.

    Raises:
        PortInUseError: the port cannot be opened.
    """
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind(("127.0.0.1", port))
    except OSError as error:
        bound.close()
        raise PortInUseError(
            f"port {port} on 127.0.0.1 cannot be opened ({error.strerror}): "
            "stop what uses it, or choose another with --port (0 takes a free one)"
        ) from error
    return bound


def hypercorn_config(bound: socket.socket) -> Config:
    """Configure the HTTP server.

    Args:
        bound: where it listens; bound since before the start, so that nobody can take the port in between.
    """
    config = Config()
    config.bind = [f"fd://{bound.detach()}"]
    config.keep_alive_timeout = 75
    config.graceful_timeout = 1
    config.loglevel = "WARNING"
    config.errorlog = logging.getLogger("hypercorn.error")
    return config
