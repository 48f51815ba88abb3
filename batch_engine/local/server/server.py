"""The local cloud as one process: MiniStack, our engine, and the lock that gives a data folder one server."""

import asyncio
import logging
import signal
import socket
import threading
from collections.abc import Callable
from pathlib import Path

from batch_engine.local.api.asgi import AsgiApp
from batch_engine.local.engine.runtime_choice import RuntimeChoice, choose
from batch_engine.local.runtimes.protocol import RuntimeUnavailableError
from batch_engine.local.server.batch_only import batch_only, build_batch_engine
from batch_engine.local.server.http import PortInUseError, listening_socket, serve
from batch_engine.local.server.port import remember_port, settle_port
from batch_engine.local.server.state import (
    Owner,
    ServerOptions,
    ServerRecord,
    exclusive,
    remove_record,
    settle_owner,
    write_record,
)

__all__ = ["PortInUseError", "RuntimeUnavailableError", "ServerOptions", "run_server"]

_READY_POLL_S = 0.01

_log = logging.getLogger(__name__)


def run_server(options: ServerOptions, on_ready: Callable[[ServerRecord], None] = lambda _: None) -> None:
    """Runs the server until SIGTERM or SIGINT.

    Takes over the process: its environment variables, its temporary folder, its signals and its logging.

    Args:
        options: the options of the server.
        on_ready: called when the endpoint answers.

    Raises:
        AlreadyRunningError: another server uses the data folder.
        PortInUseError: the port cannot be opened.
        MiniStackMovedError: the installed MiniStack is not the pinned one.
        OtherOwnerError: the data folder belongs to another account or Region.
        OtherPortError: the data folder's queues are reached on another port only.
        RuntimeUnavailableError: the requested runtime cannot run jobs on this machine.
        StoreError: the state file cannot be used.
    """
    logging.basicConfig(
        level=options.log_level, format="%(asctime)s %(levelname)s %(name)s: %(message)s", force=True
    )
    data_dir = options.data_dir.resolve()
    # Here, because the container command line runs in the user's environment, not in the server's.
    runtime = choose(options.runtime, options.container_cli)
    with exclusive(data_dir):
        # A killed server may have left its record here.
        remove_record(data_dir)
        owner = settle_owner(data_dir, options.account, options.region)
        bound = listening_socket(settle_port(data_dir, options.port))
        port: int = bound.getsockname()[1]
        app = _application(options, data_dir, owner, port, runtime)

        def ready() -> None:
            record = ServerRecord.of_this_process(
                endpoint_url(port),
                port,
                owner.region,
                owner.account,
                str(runtime),
                batch_only=options.batch_only,
            )
            write_record(data_dir, record)
            remember_port(data_dir, port)
            on_ready(record)

        try:
            asyncio.run(_serve(app, bound, port, ready))
        finally:
            remove_record(data_dir)


def _application(
    options: ServerOptions, data_dir: Path, owner: Owner, port: int, runtime: RuntimeChoice
) -> AsgiApp:
    assembly = options.assembly.resolve() if options.assembly else None
    if options.batch_only:
        engine = build_batch_engine(
            data_dir,
            endpoint_url(port),
            owner=owner,
            host_vcpus=options.host_vcpus,
            keep_jobs_s=options.keep_jobs_s,
            assembly=assembly,
            runtime=runtime,
        )
        return batch_only(engine, data_dir)
    # Here, not at the top: MiniStack takes a second to import.
    from batch_engine.local.ministack.assemble import assemble  # noqa: PLC0415
    from batch_engine.local.ministack.cloud import CloudOptions  # noqa: PLC0415

    cloud = CloudOptions(
        data_dir=data_dir,
        port=port,
        account=owner.account,
        region=owner.region,
        log_level=options.log_level,
        enforce_iam=options.enforce_iam,
    )
    return assemble(
        cloud,
        host_vcpus=options.host_vcpus,
        keep_jobs_s=options.keep_jobs_s,
        assembly=assembly,
        runtime=runtime,
    )


def endpoint_url(port: int) -> str:
    """Returns the URL of the server on a port."""
    return f"http://127.0.0.1:{port}"


async def _serve(app: AsgiApp, bound: socket.socket, port: int, on_ready: Callable[[], None]) -> None:
    stop = asyncio.Event()
    if threading.current_thread() is threading.main_thread():
        loop = asyncio.get_running_loop()
        for signal_number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(signal_number, stop.set)
    announcing = asyncio.create_task(_announce(port, on_ready, stop))
    try:
        await serve(app, bound, stop)
    finally:
        announcing.cancel()


async def _announce(port: int, on_ready: Callable[[], None], stop: asyncio.Event) -> None:
    """Calls ``on_ready`` when the port answers; ends the server if that fails."""
    try:
        while not await _answers(port):
            await asyncio.sleep(_READY_POLL_S)
        await asyncio.to_thread(on_ready)
    except Exception:
        _log.exception("the server cannot tell where it listens")
        stop.set()


async def _answers(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except ConnectionRefusedError:
        return False
    writer.close()
    return True
