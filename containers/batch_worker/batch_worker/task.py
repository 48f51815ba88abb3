"""What the worker's function is given."""

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
    """What is known of one output besides its bytes."""

    content_type: str
    metadata: Mapping[str, Any]


@dataclass(frozen=True)
class Task:
    """One input to work on.

    `input` is a private copy in scratch, `input_uri` where it came from. Every file under `output_dir` is
    pushed to the same relative name under `output_uri` once the function has returned. `scratch_dir` is for
    anything else; all three folders vanish with the process. `attempt` counts from 1. `array_index` is None
    outside an array job.
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
        """True once SIGTERM has come: for loops in other threads, where nothing is raised."""
        return self._stop.requested

    def check_stop(self) -> None:
        """Raises `Interrupted` once SIGTERM has come: for loops whose exceptions somebody else catches."""
        self._stop.check()

    def describe(self, name: str, *, content_type: str | None = None, **metadata: Any) -> None:
        """Gives one output (`name`, relative to `output_dir`) a content type and metadata.

        The metadata goes into the manifest as it is, and onto the S3 object as text. Without a content type
        the name's suffix decides. Describing a name again replaces what was said before.
        """
        guessed = content_type or mimetypes.guess_type(name, strict=False)[0] or DEFAULT_CONTENT_TYPE
        self._descriptions[name] = Description(guessed, metadata)

    def description(self, name: str) -> Description:
        """What was said of an output, or its defaults."""
        if name not in self._descriptions:
            self.describe(name)
        return self._descriptions[name]

    def described(self) -> frozenset[str]:
        """The names that were described."""
        return frozenset(self._descriptions)
