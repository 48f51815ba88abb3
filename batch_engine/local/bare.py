"""AWS Batch alone, on one port: the engine without the rest of the local cloud.

Events go to the log, lines of jobs to files, and a role has no credentials. Tests and benchmarks of the
engine itself use it.
"""

import asyncio
import json
import logging
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from batch_engine.local.engine import Engine, build_engine
from batch_engine.local.ports import ClientError, Credentials
from batch_engine.local.role_credentials import ROUTE

logger = logging.getLogger(__name__)

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

BARE_ACCOUNT = "000000000000"
BARE_REGION = "us-east-1"


class EventLog:
    """Events go no further than the log."""

    def publish(
        self, *, detail_type: str, resources: list[str], detail: dict[str, Any], time_ms: int
    ) -> None:
        """Log one event."""
        logger.info("%s at %d: %s %s", detail_type, time_ms, resources[0], detail.get("status"))


class FileLogs:
    """One file a stream, below a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, group: str, stream: str, lines: list[tuple[int, str]]) -> None:
        """Append lines."""
        path = self._folder / group.strip("/") / stream
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a") as file:
            file.writelines(f"{text}\n" for _, text in lines)


class NoCredentials:
    """There is no STS beside the bare engine."""

    def assume_role(self, role_arn: str, session_name: str) -> Credentials:
        """Refuse."""
        raise ClientError(f"{role_arn} cannot be assumed for {session_name}: only AWS Batch runs here")


def build_bare_engine(
    data_dir: Path, endpoint_url: str, *, host_vcpus: float | None = None, assembly: Path | None = None
) -> Engine:
    """An engine that stands alone; parameters as for ``build_engine``."""
    return build_engine(
        data_dir=data_dir,
        account=BARE_ACCOUNT,
        region=BARE_REGION,
        host_vcpus=host_vcpus,
        assembly=assembly,
        events=EventLog(),
        logs=FileLogs(data_dir / "logs"),
        credentials=NoCredentials(),
        endpoint_url=endpoint_url,
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
        else:
            query = parse_qs(scope["query_string"].decode(), keep_blank_values=True)
            status, headers, content = self._engine.api.handle(scope["method"], path, {}, body, query)
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
    from hypercorn.asyncio import serve  # noqa: PLC0415 - slow to import, and only servers need it
    from hypercorn.config import Config  # noqa: PLC0415

    config = Config()
    config.bind = [f"127.0.0.1:{port}"]
    config.loglevel = "WARNING"
    engine.start()
    try:
        asyncio.run(serve(BareApp(engine), config, shutdown_trigger=lambda: asyncio.to_thread(stopping.wait)))
    finally:
        engine.stop()
