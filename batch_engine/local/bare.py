"""AWS Batch alone, on one port: the engine without the rest of the local cloud.

Nobody is there to be told of events, lines of jobs go to files, and a role has no credentials. Tests and
benchmarks of the engine itself use it.
"""

import asyncio
import contextlib
import json
import threading
from collections.abc import Awaitable, Callable, Generator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from batch_engine.local.engine import Engine, build_engine
from batch_engine.local.ports import ClientError, Credentials
from batch_engine.local.role_credentials import ROUTE
from batch_engine.local.runtimes import choose
from batch_engine.local.visitors import refusal

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

BARE_ACCOUNT = "000000000000"
BARE_REGION = "us-east-1"
SHUTDOWN_TIMEOUT_S = 3


class FileLogs:
    """One file a stream, below a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, group: str, stream: str, lines: list[tuple[int, str]]) -> None:
        """Append lines.

        Raises:
            ValueError: the names lead out of the folder.
        """
        path = (self._folder / group.strip("/") / stream).resolve()
        if not path.is_relative_to(self._folder.resolve()):
            raise ValueError(f"log group {group} and stream {stream} lead out of {self._folder}")
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a") as file:
            file.writelines(f"{text}\n" for _, text in lines)


class NoCredentials:
    """There is no STS beside the bare engine."""

    def assume_role(self, role_arn: str, session_name: str) -> Credentials:
        """Refuse."""
        raise ClientError(f"{role_arn} cannot be assumed for {session_name}: only AWS Batch runs here")


def build_bare_engine(
    data_dir: Path,
    endpoint_url: str,
    *,
    host_vcpus: float | None = None,
    assembly: Path | None = None,
    runtime: str = "process",
    container_cli: str | None = None,
) -> Engine:
    """An engine that stands alone; parameters as for ``build_engine`` and ``choose``."""
    return build_engine(
        data_dir=data_dir,
        account=BARE_ACCOUNT,
        region=BARE_REGION,
        host_vcpus=host_vcpus,
        assembly=assembly,
        events=None,
        logs=FileLogs(data_dir / "logs"),
        credentials=NoCredentials(),
        endpoint_url=endpoint_url,
        runtime=choose(runtime, container_cli),
    )


class BareApp:
    """The engine as an ASGI application."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; the protocol's other scopes need nothing."""
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
            return
        if (reason := refusal(scope["headers"])) is not None:
            await _send(
                send, 403, {"Content-Type": "application/json"}, json.dumps({"message": reason}).encode()
            )
            return
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        path = scope["raw_path"].decode().partition("?")[0]
        if path.startswith(ROUTE):
            code, document = await asyncio.to_thread(
                self._engine.credentials_response, path.removeprefix(ROUTE)
            )
            status, headers, content = (
                code,
                {"Content-Type": "application/json"},
                json.dumps(document).encode(),
            )
        elif route := self._engine.own_routes.get(path):
            status, document = route(body)
            headers, content = {"Content-Type": "application/json"}, json.dumps(document).encode()
        else:
            query = parse_qs(scope["query_string"].decode(), keep_blank_values=True)
            status, headers, content = self._engine.api.handle(scope["method"], path, {}, body, query)
        await _send(send, status, headers, content)


async def _send(send: Send, status: int, headers: Mapping[str, str], content: bytes) -> None:
    wire_headers = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": wire_headers})
    await send({"type": "http.response.body", "body": content})


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


def serve_bare(engine: Engine, port: int, stopping: threading.Event) -> None:
    """Serve an engine on 127.0.0.1 until ``stopping`` is set.

    Args:
        engine: started by this function, and stopped again.
        port: where to listen.
        stopping: ends it.
    """
    import uvicorn  # noqa: PLC0415 - slow to import, and only servers need it

    class Server(uvicorn.Server):
        """The caller's signals stay the caller's."""

        @contextlib.contextmanager
        def capture_signals(self) -> Generator[None, None, None]:
            yield

    config = uvicorn.Config(
        BareApp(engine),
        host="127.0.0.1",
        port=port,
        http="httptools",
        ws="none",
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=SHUTDOWN_TIMEOUT_S,
    )
    server = Server(config)

    async def serve() -> None:
        async def stop() -> None:
            await asyncio.to_thread(stopping.wait)
            server.should_exit = True

        stopper = asyncio.create_task(stop())
        await server.serve()
        stopper.cancel()

    engine.start()
    try:
        asyncio.run(serve())
    finally:
        engine.stop()
