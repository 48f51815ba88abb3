"""The local cloud as one process: MiniStack, our engine, and the lock that gives a data folder one server."""

import asyncio
import logging
import signal
import threading
from collections.abc import Callable

from batch_engine.local.engine.engine import build_engine
from batch_engine.local.engine.runtime_choice import choose
from batch_engine.local.ministack.cloud import Cloud, CloudOptions
from batch_engine.local.runtimes.protocol import RuntimeUnavailableError
from batch_engine.local.server.port import remember_port, settle_port
from batch_engine.local.server.state import (
    ServerOptions,
    ServerRecord,
    exclusive,
    remove_record,
    settle_owner,
    write_record,
)

__all__ = ["RuntimeUnavailableError", "ServerOptions", "run_server"]


def run_server(options: ServerOptions, on_ready: Callable[[ServerRecord], None] = lambda _: None) -> None:
    """Run the server until SIGTERM or SIGINT.

    Takes over the process: its environment variables, its temporary folder, its signals and its logging.

    Args:
        options: how to run it.
        on_ready: called when the endpoint answers.

    Raises:
        AlreadyRunningError: another server uses the data folder.
        PortInUseError: the port cannot be opened.
        MiniStackMovedError: the installed MiniStack is not the pinned one.
        OtherOwnerError: the data folder belongs to another account or Region.
        OtherPortError: the data folder's queues are reached on another port only.
        RuntimeUnavailableError: jobs cannot run as was asked for.
        StoreError: the state file cannot be used.
    """
    logging.basicConfig(
        level=options.log_level, format="%(asctime)s %(levelname)s %(name)s: %(message)s", force=True
    )
    data_dir = options.data_dir.resolve()
    # Here, because the container command line runs in the user's environment, not in the server's.
    runtime = choose(options.runtime, options.container_cli)
    with exclusive(data_dir):
        # What is left of a server that was killed says nothing about this one.
        remove_record(data_dir)
        owner = settle_owner(data_dir, options.account, options.region)
        cloud = Cloud(
            CloudOptions(
                data_dir=data_dir,
                port=settle_port(data_dir, options.port),
                account=owner.account,
                region=owner.region,
                log_level=options.log_level,
                enforce_iam=options.enforce_iam,
            )
        )
        engine = build_engine(
            data_dir=data_dir,
            account=owner.account,
            region=owner.region,
            host_vcpus=options.host_vcpus,
            keep_jobs_s=options.keep_jobs_s,
            assembly=options.assembly.resolve() if options.assembly else None,
            events=cloud,
            logs=cloud,
            credentials=cloud,
            secrets=cloud,
            runtime=runtime,
            endpoint_url=cloud.endpoint_url,
        )
        cloud.mount(
            api=engine.api,
            credentials_route=engine.credentials_response,
            own_routes=engine.own_routes,
        )

        def ready() -> None:
            record = ServerRecord.of_this_process(
                cloud.endpoint_url, cloud.port, owner.region, owner.account, str(runtime)
            )
            write_record(data_dir, record)
            remember_port(data_dir, cloud.port)
            on_ready(record)

        try:
            asyncio.run(_serve(cloud, on_start=engine.start, on_ready=ready, on_stop=engine.stop))
        finally:
            remove_record(data_dir)


async def _serve(
    cloud: Cloud, *, on_start: Callable[[], None], on_ready: Callable[[], None], on_stop: Callable[[], None]
) -> None:
    stop = asyncio.Event()
    if threading.current_thread() is threading.main_thread():
        loop = asyncio.get_running_loop()
        for signal_number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(signal_number, stop.set)
    await cloud.serve(stop=stop, on_start=on_start, on_ready=on_ready, on_stop=on_stop)
