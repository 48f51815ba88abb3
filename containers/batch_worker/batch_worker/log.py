"""Logs as JSON lines on stdout: one event, one line, from the worker and from every library alike."""

from __future__ import annotations

import json
import logging
import os
import traceback
from collections.abc import Mapping
from datetime import UTC, datetime

_FIELDS = "batch_worker_fields"
_NOISY_LIBRARIES = ("boto3", "botocore", "s3transfer", "urllib3", "PIL")
_STDOUT_FD = 1


class JsonFormatter(logging.Formatter):
    """Formats a record as one line of JSON; `context` (job id, attempt ...) goes into every line."""

    def __init__(self, context: Mapping[str, object]) -> None:
        super().__init__()
        self._context = dict(context)

    def format(self, record: logging.LogRecord) -> str:
        """Returns the line, without its newline."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "message": record.getMessage(),
            "logger": record.name,
            **self._context,
        }
        fields = getattr(record, _FIELDS, {})
        # A field may not hide what every line must have.
        line.update({(f"field_{key}" if key in line else key): value for key, value in fields.items()})
        if record.exc_info:
            line["traceback"] = "".join(traceback.format_exception(*record.exc_info))
        return json.dumps(line, ensure_ascii=False, default=str)


class _StdoutHandler(logging.Handler):
    """Writes whole lines straight to the descriptor.

    Buffered text streams refuse to be re-entered, and the SIGTERM handler logs too.
    """

    def emit(self, record: logging.LogRecord) -> None:
        try:
            rest = (self.format(record) + "\n").encode("utf-8", "backslashreplace")
            while rest:
                rest = rest[os.write(_STDOUT_FD, rest) :]
        except OSError:
            self.handleError(record)


class Log:
    """What a task logs with: a message and any number of named fields, `log.info("decoded", frames=12)`."""

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger

    def debug(self, message: str, **fields: object) -> None:
        """Logs detail, shown only with LOG_LEVEL=DEBUG."""
        self._log(logging.DEBUG, message, fields)

    def info(self, message: str, **fields: object) -> None:
        """Logs an ordinary event."""
        self._log(logging.INFO, message, fields)

    def warning(self, message: str, **fields: object) -> None:
        """Logs something that a person may want to look at."""
        self._log(logging.WARNING, message, fields)

    def error(self, message: str, error: BaseException | None = None, **fields: object) -> None:
        """Logs a failure; with `error`, its full traceback stands in the field `traceback`."""
        self._log(logging.ERROR, message, fields, error)

    def _log(
        self, level: int, message: str, fields: Mapping[str, object], error: BaseException | None = None
    ) -> None:
        # The message goes in as an argument: a file name with a percent sign is not a format.
        self._logger.log(level, "%s", message, extra={_FIELDS: fields}, exc_info=error)


def configure(name: str, context: Mapping[str, object]) -> Log:
    """Routes all logging of the process to stdout as JSON lines and returns the worker's own log.

    `context` holds the fields of every line. The environment's LOG_LEVEL sets the level (default INFO).
    """
    level = logging.getLevelNamesMapping().get(os.environ.get("LOG_LEVEL", "INFO").upper(), logging.INFO)
    handler = _StdoutHandler()
    handler.setFormatter(JsonFormatter(context))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for library in _NOISY_LIBRARIES:
        logging.getLogger(library).setLevel(max(level, logging.WARNING))
    logging.captureWarnings(True)
    return Log(logging.getLogger(name))
