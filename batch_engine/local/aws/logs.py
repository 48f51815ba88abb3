"""Cuts log lines into PutLogEvents requests."""

from collections.abc import Iterator
from typing import Any

# https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutLogEvents.html
_EVENTS_MAX = 10_000
_BATCH_BYTES_MAX = 1_048_576
_EVENT_OVERHEAD_BYTES = 26
_SPAN_MS_MAX = 24 * 60 * 60 * 1000
# The awslogs driver splits lines at this length.
_EVENT_BYTES_MAX = 262_144 - _EVENT_OVERHEAD_BYTES


def batches(lines: list[tuple[int, str]]) -> Iterator[list[dict[str, Any]]]:
    """Cuts lines into batches that PutLogEvents accepts.

    Lines are sorted by time; lines of the same time keep their order. A line that is too long for an event is
    split. An empty line is dropped, since an event must have at least one character.

    Args:
        lines: pairs of epoch milliseconds and text.
    """
    batch: list[dict[str, Any]] = []
    size_bytes = 0
    for time_ms, text in sorted(lines, key=lambda line: line[0]):
        for piece in _pieces(text):
            piece_bytes = len(piece.encode()) + _EVENT_OVERHEAD_BYTES
            full = len(batch) == _EVENTS_MAX or size_bytes + piece_bytes > _BATCH_BYTES_MAX
            if batch and (full or time_ms - batch[0]["timestamp"] >= _SPAN_MS_MAX):
                yield batch
                batch, size_bytes = [], 0
            batch.append({"timestamp": time_ms, "message": piece})
            size_bytes += piece_bytes
    if batch:
        yield batch


def _pieces(text: str) -> Iterator[str]:
    # A request cannot hold a lone surrogate, which represents a byte that was not UTF-8.
    encoded = text.encode(errors="replace")
    while encoded:
        # Do not cut within a character: go back over its continuation bytes.
        cut = min(_EVENT_BYTES_MAX, len(encoded))
        while cut < len(encoded) and encoded[cut] & 0xC0 == 0x80:
            cut -= 1
        yield encoded[:cut].decode()
        encoded = encoded[cut:]
