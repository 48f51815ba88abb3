"""Writes log records of the worker and of all libraries to stdout, as one JSON line each."""

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
    """Formats a record as a line of JSON. Each line contains `context` (job id, attempt ...)."""

    def __init__(self, context: Mapping[str, object]) -> None:
        super().__init__()
        self._context = dict(context)

    def format(self, record: logging.LogRecord) -> str:
        """Returns the line without its newline."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "message": record.getMessage(),
            "logger": record.name,
            **self._context,
        }
        fields = getattr(record, _FIELDS, {})
        # Fields must not replace the keys that each line has.
        line.update({(f"field_{key}" if key in line else key): value for key, value in fields.items()})
        if record.exc_info:
            line["traceback"] = "".join(traceback.format_exception(*record.exc_info))
        return json.dumps(line, ensure_ascii=False, default=str)


class _StdoutHandler(logging.Handler):
    """Writes whole lines to the file descriptor.

    The SIGTERM handler logs too, and buffered text streams cannot be re-entered.
    """

    def emit(self, record: logging.LogRecord) -> None:
        try:
            rest = (self.format(record) + "\n").encode("utf-8", "backslashreplace")
            while rest:
                rest = rest[os.write(_STDOUT_FD, rest) :]
        except OSError:
            self.handleError(record)


class Log:
    """The log of a task. Takes a message and any named fields: `log.info("decoded", frames=12)`."""

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger

    def debug(self, message: str, **fields: object) -> None:
        """Logs a detail that is shown only with LOG_LEVEL=DEBUG."""
        self._log(logging.DEBUG, message, fields)

    def info(self, message: str, **fields: object) -> None:
        """Logs an ordinary event."""
        self._log(logging.INFO, message, fields)

    def warning(self, message: str, **fields: object) -> None:
        """Logs something that a person should look at."""
        self._log(logging.WARNING, message, fields)

    def error(self, message: str, error: BaseException | None = None, **fields: object) -> None:
        """Logs a failure. The traceback of `error` goes into the field `traceback`."""
        self._log(logging.ERROR, message, fields, error)

    def _log(
        self, level: int, message: str, fields: Mapping[str, object], error: BaseException | None = None
    ) -> None:
        # The message is an argument, because a file name with a percent sign must not be read as a format.
        self._logger.log(level, "%s", message, extra={_FIELDS: fields}, exc_info=error)


def configure(name: str, context: Mapping[str, object]) -> Log:
    """Sends all log records of the process to stdout as JSON lines and returns the worker's log.

    `context` has the fields of every line. The variable LOG_LEVEL sets the level (default INFO).
    """
    level = logging.getLevelNamesMapping().get(os.environ.get("LOG_LEVEL", "INFO").upper(), logging.INFO)
    handler = _StdoutHandler()
    handler.setFormatter(JsonFormatter(context))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for library in _NOISY_LIBRARIES:
        logging.getLogger(library).setLevel(max(level, logging.WARNING))
    logging.captureWarnings(True)
    return Log(logging.getLogger(name))
