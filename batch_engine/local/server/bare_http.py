"""HTTP for the bare engine: as little as stands between a socket and an answer that is not ready at once."""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus

import httptools

Answer = Callable[[int, Mapping[str, str], bytes], None]
MAX_REQUEST_BYTES = 8 << 20
_OF_OFFERS = (b"upgrade", b"http2-settings", b"connection", b"expect")
"""Who offers a protocol says so in ``Connection``; whoever expects to be told to go on was told already."""
_STATUS_LINES = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus
}


@dataclass(slots=True)
class Request:
    """One request, complete."""

    method: str = ""
    target: bytes = b""
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: bytes = b""
    keeps_alive: bool = True


class Connection(asyncio.Protocol):
    """One connection: its requests are answered one after the other, in the order in which they came.

    Args:
        serve: is given each request, and what to call once with the answer: now or later, on the loop.
        everyone: holds the connections that are open.
    """

    def __init__(self, serve: Callable[[Request, Answer], None], everyone: set["Connection"]) -> None:
        self._serve = serve
        self._everyone = everyone
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._coming = Request()
        self._size = 0
        self._waiting: deque[Request] = deque()
        self._current: Request | None = None
        self._is_closing = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Somebody has connected."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - what TCP has
        self._transport = transport
        self._everyone.add(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the protocol's
        """Nobody is there any more; answers that are still to come go nowhere."""
        self._transport = None
        self._waiting.clear()
        self._everyone.discard(self)

    def close(self) -> None:
        """Close the connection when the request under way is answered."""
        self._is_closing = True
        if self._current is None and self._transport is not None:
            self._transport.close()

    def data_received(self, data: bytes) -> None:
        """Take in a part of a request, or several requests."""
        self._size += len(data)
        try:
            while data:
                data = self._feed(data)
        except httptools.HttpParserError:
            self._fail(HTTPStatus.BAD_REQUEST)
        if self._size > MAX_REQUEST_BYTES:
            self._fail(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)

    def _feed(self, data: bytes) -> bytes:
        """Parse; answer what is left of the data after a request that offers another protocol.

        Java's own client offers HTTP/2 with its first request. The parser ends there, before the body; who
        does not take an offer up goes on as if it had not been made.
        """
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as offer:
            method, version = self._parser.get_method(), self._parser.get_http_version().encode("ascii")
            if method == b"CONNECT":
                raise httptools.HttpParserError("this is no proxy") from None
            lines = [method + b" " + self._coming.target + b" HTTP/" + version]
            lines += [
                name + b": " + value for name, value in self._coming.headers if name.lower() not in _OF_OFFERS
            ]
            self._parser = httptools.HttpRequestParser(self)
            self._parser.feed_data(b"\r\n".join((*lines, b"", b"")))
            return data[offer.args[0] :]
        return b""

    def _fail(self, status: HTTPStatus) -> None:
        if self._transport is not None:
            self._transport.write(_STATUS_LINES[status] + b"content-length: 0\r\nconnection: close\r\n\r\n")
            self._transport.close()

    def on_message_begin(self) -> None:
        """The parser has found the beginning of a request."""
        self._coming = Request()

    def on_url(self, url: bytes) -> None:
        """Its target, or a part of it."""
        self._coming.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """One of its headers."""
        self._coming.headers.append((name, value))
        if name.lower() == b"expect" and value.lower() == b"100-continue" and self._transport is not None:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        """A part of its body."""
        self._coming.body += body

    def on_message_complete(self) -> None:
        """All of it is there, unless it offers another protocol: then its body is still to come."""
        if self._parser.should_upgrade():
            return
        self._coming.method = self._parser.get_method().decode("ascii")
        self._coming.keeps_alive = self._parser.should_keep_alive()
        self._size = 0
        self._waiting.append(self._coming)
        self._next()

    def _next(self) -> None:
        if self._current is None and self._waiting:
            self._current = self._waiting.popleft()
            self._serve(self._current, self._reply)

    def _reply(self, status: int, headers: Mapping[str, str], content: bytes) -> None:
        request, self._current = self._current, None
        if request is None or self._transport is None:
            return
        stays = request.keeps_alive and not self._is_closing
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        if not stays:
            head += "connection: close\r\n"
        head += f"content-length: {len(content)}\r\n\r\n"
        shown = b"" if request.method == "HEAD" else content
        self._transport.write(_STATUS_LINES[status] + head.encode("latin-1") + shown)
        if stays:
            self._next()
        else:
            self._transport.close()
