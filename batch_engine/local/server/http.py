"""The HTTP server: one port on 127.0.0.1, one event loop."""

import asyncio
import gc
import logging
import socket
import sys

from hypercorn.asyncio import serve as hypercorn_serve
from hypercorn.config import Config

from batch_engine.local.api.asgi import AsgiApp

GARBAGE_THRESHOLD = 20_000


class PortInUseError(RuntimeError):
    """The endpoint's port cannot be opened."""


def listening_socket(port: int) -> socket.socket:
    """Binds a socket on 127.0.0.1.

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


async def serve(app: AsgiApp, bound: socket.socket, stop: asyncio.Event) -> None:
    """Serves an application until ``stop`` is set and its last request is answered.

    Args:
        app: started on this loop before the first request.
        bound: the socket to listen on; it is bound before, so that no other program can take the port.
        stop: set on this loop.
    """
    config = Config()
    config.bind = [f"fd://{bound.detach()}"]
    config.keep_alive_timeout = 75
    # Hypercorn would close a connection after 1,000 requests, also while the client sends the next one.
    config.keep_alive_max_requests = sys.maxsize
    config.graceful_timeout = 1
    config.loglevel = "WARNING"
    config.errorlog = logging.getLogger("hypercorn.error")
    # The loaded objects stay alive, so the garbage collector need not scan all of their jobs again and again.
    gc.freeze()
    gc.set_threshold(GARBAGE_THRESHOLD)
    await hypercorn_serve(app, config, shutdown_trigger=stop.wait)
