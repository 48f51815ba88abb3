"""The wire format between the engine and its runner: lists of messages, each with its length in front.

Both ends are the same Python on the same machine, so ``marshal`` is safe to read. It is the fastest to write.
"""

import marshal
import struct
from typing import Any

Message = tuple[Any, ...]
_LENGTH = struct.Struct("!I")


def encode(messages: list[Message]) -> bytes:
    """Returns the frame of a list of messages."""
    body = marshal.dumps(messages)
    return _LENGTH.pack(len(body)) + body


class Decoder:
    """Puts frames together from the bytes of a socket."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Message]:
        """Takes in bytes and returns the messages that are complete."""
        self._buffer += data
        messages: list[Message] = []
        start = 0
        while len(self._buffer) - start >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._buffer, start)
            end = start + _LENGTH.size + length
            if len(self._buffer) < end:
                break
            messages += marshal.loads(self._buffer[start + _LENGTH.size : end])  # noqa: S302 - our own peer
            start = end
        del self._buffer[:start]
        return messages
