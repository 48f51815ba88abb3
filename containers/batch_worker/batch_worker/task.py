"""The argument of the worker's function."""

from __future__ import annotations

import mimetypes
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from batch_worker.log import Log
from batch_worker.stop import Stop

DEFAULT_CONTENT_TYPE = "application/octet-stream"


@dataclass(frozen=True)
class Description:
    """The content type and metadata of an output."""

    content_type: str
    metadata: Mapping[str, Any]


@dataclass(frozen=True)
class Task:
    """An input to process.

    `input` is a private copy in scratch, `input_uri` the location of the original. When the function has
    returned, all files in `output_dir` are pushed to `output_uri` with the same relative names. `scratch_dir`
    is for other files. All three are removed when the process ends. `attempt` counts from 1. `array_index` is
    None if the job is not a child of an array.
    """

    input: Path
    input_uri: str
    output_dir: Path
    output_uri: str
    scratch_dir: Path
    job_id: str
    attempt: int
    array_index: int | None
    log: Log
    _stop: Stop = field(repr=False)
    _descriptions: dict[str, Description] = field(default_factory=dict, repr=False)

    @property
    def stopping(self) -> bool:
        """True after SIGTERM. For loops in other threads, in which the signal raises nothing."""
        return self._stop.requested

    def check_stop(self) -> None:
        """Raises `Interrupted` after SIGTERM. For loops in libraries that catch exceptions."""
        self._stop.check()

    def describe(self, name: str, *, content_type: str | None = None, **metadata: Any) -> None:
        """Sets the content type and the metadata of an output (`name`, relative to `output_dir`).

        The metadata goes into the manifest unchanged, and onto the S3 object as text. By default, the content
        type comes from the suffix. A second call for a name replaces the first.
        """
        guessed = content_type or mimetypes.guess_type(name, strict=False)[0] or DEFAULT_CONTENT_TYPE
        self._descriptions[name] = Description(guessed, metadata)

    def description(self, name: str) -> Description:
        """Returns the description of an output, or the defaults."""
        if name not in self._descriptions:
            self.describe(name)
        return self._descriptions[name]

    def described(self) -> frozenset[str]:
        """The names of all described outputs."""
        return frozenset(self._descriptions)
