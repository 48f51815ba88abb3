"""Carries the lines of running jobs to CloudWatch Logs while they run."""

import logging
import threading
from dataclasses import dataclass, field

from batch_engine.core.model.log_destination import LogDestination
from batch_engine.local.base.delay_queue import Worker, epoch_ms
from batch_engine.local.base.ports import LogSink

logger = logging.getLogger(__name__)

POLL_MS = 300
CHUNK_BYTES = 1 << 20
MAX_LINE_BYTES = 256 * 1024


@dataclass(slots=True)
class _Tail:
    path: str
    destination: LogDestination
    offset: int = 0
    rest: bytes = b""
    is_finished: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)


class LogShipper:
    """Follows one file for each running attempt, on a thread of its own.

    Args:
        sink: CloudWatch Logs.
    """

    def __init__(self, sink: LogSink) -> None:
        self._sink = sink
        self._tails: dict[str, _Tail] = {}
        self._lock = threading.Lock()
        self._worker: Worker[_Tail] = Worker("batch-logs", self._look)

    def start(self) -> None:
        """Starts following."""
        self._worker.start()

    def stop(self) -> None:
        """Sends the lines that were printed so far, then ends."""
        self._worker.stop(POLL_MS)

    def follow(self, path: str, destination: LogDestination) -> None:
        """Follows a file from its beginning."""
        tail = _Tail(path, destination)
        with self._lock:
            self._tails[path] = tail
        self._look_later(tail)

    def forget(self, path: str) -> None:
        """Stops following a file that has stayed empty."""
        with self._lock:
            self._tails.pop(path, None)

    def finish(self, path: str) -> None:
        """Sends the rest of a file whose writer has ended, and stops following it.

        When this returns the lines are in CloudWatch Logs.
        """
        with self._lock:
            tail = self._tails.pop(path, None)
        if tail is not None:
            with tail.lock:
                self._ship(tail, last=True)
                tail.is_finished = True

    def _look_later(self, tail: _Tail) -> None:
        self._worker.queue.put(tail, epoch_ms() + POLL_MS)

    def _look(self, tails: list[_Tail]) -> None:
        for tail in tails:
            with self._lock:
                if self._tails.get(tail.path) is not tail:
                    continue
            # A slow delivery holds up its own stream only.
            with tail.lock:
                if not tail.is_finished:
                    self._ship(tail, last=False)
            self._look_later(tail)

    def _ship(self, tail: _Tail, *, last: bool) -> None:
        """Sends complete lines; an incomplete line only at the end, or if it is too long."""
        while True:
            try:
                with open(tail.path, "rb") as file:
                    file.seek(tail.offset)
                    chunk = file.read(CHUNK_BYTES)
            except FileNotFoundError:
                return  # the attempt has just ended and printed nothing
            tail.offset += len(chunk)
            *lines, tail.rest = (tail.rest + chunk).split(b"\n")
            if tail.rest and (len(tail.rest) > MAX_LINE_BYTES or (last and len(chunk) < CHUNK_BYTES)):
                lines.append(tail.rest)
                tail.rest = b""
            self._send(tail.destination, lines)
            if len(chunk) < CHUNK_BYTES:
                return

    def _send(self, destination: LogDestination, lines: list[bytes]) -> None:
        now_ms = epoch_ms()
        # CloudWatch Logs takes no empty event; the awslogs driver leaves blank lines out as well.
        events = [(now_ms, line.decode(errors="replace").rstrip("\r")) for line in lines if line.strip()]
        if not events:
            return
        try:
            self._sink.put(destination.group, destination.stream, events)
        except Exception:
            logger.exception("%d lines of %s were not delivered", len(events), destination.stream)
