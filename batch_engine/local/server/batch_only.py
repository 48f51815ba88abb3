"""AWS Batch without the rest of AWS: the same engine and the same HTTP path, and no MiniStack.

Events go nowhere, the lines of jobs go to files, and roles have no credentials.
"""

import asyncio
from pathlib import Path

from batch_engine.core.scheduling.retention import KEEP_ENDED_MS
from batch_engine.local.api.asgi import AsgiApp, Receive, Scope, Send
from batch_engine.local.api.endpoint import BatchEndpoint
from batch_engine.local.api.front import Front
from batch_engine.local.base.ports import ClientError, Credentials
from batch_engine.local.engine.build import build_engine
from batch_engine.local.engine.engine import Engine
from batch_engine.local.engine.runtime_choice import PROCESSES, RuntimeChoice
from batch_engine.local.server.file_logs import FileLogs
from batch_engine.local.server.state import Owner


class NoCredentials:
    """Refuses every role; it implements ``CredentialSource``."""

    def assume_role(self, role_arn: str, session_name: str) -> Credentials:
        """Raises ClientError: no role can be assumed here."""
        raise ClientError(f"{role_arn} cannot be assumed for {session_name}: only AWS Batch runs here")


class EngineLife:
    """Starts and stops an engine with the server; it implements ``Lifespan``.

    Args:
        engine: the engine.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def started(self) -> None:
        """Starts the engine on this loop."""
        self._engine.start(asyncio.get_running_loop())

    async def stopping(self) -> None:
        """Stops the engine."""
        await asyncio.to_thread(self._engine.stop)


def build_batch_engine(
    data_dir: Path,
    endpoint_url: str,
    *,
    owner: Owner | None = None,
    host_vcpus: float | None = None,
    keep_jobs_s: float = KEEP_ENDED_MS / 1000,
    assembly: Path | None = None,
    runtime: RuntimeChoice = PROCESSES,
) -> Engine:
    """Builds an engine without MiniStack; see ``build_engine`` for the parameters."""
    owner = owner or Owner()
    return build_engine(
        data_dir=data_dir,
        account=owner.account,
        region=owner.region,
        host_vcpus=host_vcpus,
        keep_jobs_s=keep_jobs_s,
        assembly=assembly,
        events=None,
        logs=FileLogs(data_dir),
        credentials=NoCredentials(),
        endpoint_url=endpoint_url,
        runtime=runtime,
    )


def batch_only(engine: Engine, data_dir: Path) -> AsgiApp:
    """Builds the application that serves only an engine.

    Args:
        engine: started and stopped with the server.
        data_dir: named in the answer to a health check.
    """
    endpoint = BatchEndpoint(engine.api, engine.saved)

    async def rest(scope: Scope, receive: Receive, send: Send) -> None:
        """Serves requests that are not signed for AWS Batch, and the lifespan of this application."""
        if scope["type"] == "http":
            await endpoint(scope, receive, send)
        elif scope["type"] == "lifespan":
            for word in ("startup", "shutdown"):
                await receive()
                await send({"type": f"lifespan.{word}.complete"})

    return Front(
        batch=endpoint,
        rest=rest,
        data_dir=data_dir,
        credentials=engine.credentials_response,
        own_routes=engine.own_routes,
        saved=engine.saved,
        changed=lambda: None,
        lifespan=EngineLife(engine),
    )
