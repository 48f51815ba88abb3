"""AWS Batch alone, on one port: the engine without the rest of the local cloud.

Nobody is there to be told of events, lines of jobs go to files, and a role has no credentials. Tests and
benchmarks of the engine itself use it.
"""

import asyncio
import gc
import json
import threading
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import httptools

from batch_engine.local.api.api import Response
from batch_engine.local.api.browser_guard import refusal
from batch_engine.local.base.ports import ClientError, Credentials
from batch_engine.local.engine.engine import Engine, build_engine
from batch_engine.local.engine.role_credentials import ROUTE
from batch_engine.local.engine.runtime_choice import choose
from batch_engine.local.server.bare_http import Answer, Connection, Request

BARE_ACCOUNT = "000000000000"
BARE_REGION = "us-east-1"
BACKLOG = 2048
GARBAGE_THRESHOLD = 20_000
SHUTDOWN_TIMEOUT_S = 3.0
SHUTDOWN_POLL_S = 0.02


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


class BareServer:
    """Answers requests from one event loop, which is also where the engine hears of its jobs.

    Args:
        engine: what is asked; started on the loop.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._connections: set[Connection] = set()

    async def serve(self, port: int, stopping: threading.Event) -> None:
        """Listen on 127.0.0.1 until ``stopping`` is set, then answer what is under way."""
        loop = asyncio.get_running_loop()
        self._engine.start(loop)
        server = await loop.create_server(
            lambda: Connection(self._answer, self._connections), "127.0.0.1", port, backlog=BACKLOG
        )
        await asyncio.to_thread(stopping.wait)
        server.close()
        deadline_s = loop.time() + SHUTDOWN_TIMEOUT_S
        for connection in list(self._connections):
            connection.close()
        while self._connections and loop.time() < deadline_s:
            await asyncio.sleep(SHUTDOWN_POLL_S)

    def _answer(self, request: Request, answer: Answer) -> None:
        if (reason := refusal(request.headers)) is not None:
            answer(*_json(403, {"message": reason}))
            return
        try:
            url = httptools.parse_url(request.target)
            path, query = (url.path or b"").decode("ascii"), (url.query or b"").decode("ascii")
        except (httptools.HttpParserInvalidURLError, UnicodeDecodeError):
            answer(*_json(400, {"message": "the request's target is not a URL"}))
            return
        if path.startswith(ROUTE):
            self._lend_credentials(path.removeprefix(ROUTE), answer)
            return
        if route := self._engine.own_routes.get(path):
            response = _json(*route(request.body))
        else:
            parameters = parse_qs(query, keep_blank_values=True) if query else {}
            response = self._engine.api.handle(request.method, path, {}, request.body, parameters)
        self._engine.when_saved(lambda is_saved: answer(*(response if is_saved else NOT_SAVED)))

    def _lend_credentials(self, token: str, answer: Answer) -> None:
        """STS may take a while: on another thread."""
        fetched = asyncio.ensure_future(asyncio.to_thread(self._engine.credentials_response, token))

        def done(future: asyncio.Future[tuple[int, dict[str, Any]]]) -> None:
            failed = future.cancelled() or future.exception() is not None
            answer(*(NOT_SAVED if failed else _json(*future.result())))

        fetched.add_done_callback(done)


def _json(status: int, document: dict[str, Any]) -> Response:
    return status, {"Content-Type": "application/json"}, json.dumps(document).encode()


NOT_SAVED: Response = (
    500,
    {"Content-Type": "application/json", "x-amzn-ErrorType": "ServerException"},
    b'{"message": "Internal error of the local engine; see its log"}',
)


def serve_bare(engine: Engine, port: int, stopping: threading.Event) -> None:
    """Serve an engine on 127.0.0.1 until ``stopping`` is set.

    Args:
        engine: started by this function, and stopped again.
        port: where to listen.
        stopping: ends it.
    """
    # What was loaded stays, and a hundred thousand jobs need not be looked through after every few of them.
    gc.freeze()
    gc.set_threshold(GARBAGE_THRESHOLD)
    try:
        asyncio.run(BareServer(engine).serve(port, stopping))
    finally:
        engine.stop()
