"""Pushes the outputs of a task and then the manifest, which shows that they are complete."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from batch_worker import local, s3
from batch_worker.location import LocalPlace, Place, S3Place
from batch_worker.metadata import object_metadata
from batch_worker.source import Pulled, file_sha256
from batch_worker.task import Task

MANIFEST = "result.json"
MANIFEST_VERSION = 1


@dataclass(frozen=True)
class Output:
    """A pushed file, as the manifest lists it."""

    name: str
    uri: str
    size_bytes: int
    sha256: str
    content_type: str
    metadata: Mapping[str, Any]


@dataclass(frozen=True)
class Worker:
    """Name and version of the worker. Each result has them in its metadata."""

    name: str
    version: str


def collect(output_dir: Path) -> list[str]:
    """Returns the sorted relative names of all files in the folder.

    Raises `ValueError` for a file with the name of the manifest.
    """
    names = sorted(
        Path(folder, file).relative_to(output_dir).as_posix()
        for folder, _, files in os.walk(output_dir)
        for file in files
    )
    if MANIFEST in names:
        raise ValueError(f"the output name {MANIFEST!r} is reserved for the manifest: choose another")
    return names


class Publisher:
    """Writes to one result prefix on S3 or on the local disk."""

    def __init__(self, place: Place, task: Task, worker: Worker, client: Callable[[], Any]) -> None:
        self._place = place
        self._task = task
        self._worker = worker
        self._client = client

    def outputs(self) -> list[Output]:
        """Pushes all outputs and returns them as the manifest lists them.

        Raises `ValueError` if there is no output, or if a described output was not written.
        """
        names = collect(self._task.output_dir)
        if missing := self._task.described() - set(names):
            raise ValueError(f"described but not written to output_dir: {', '.join(sorted(missing))}")
        if not names:
            raise ValueError("the worker wrote nothing to output_dir")
        return [self._push_output(name) for name in names]

    def manifest(
        self,
        outputs: list[Output],
        pulled: Pulled,
        metadata: Mapping[str, Any] | None,
        timings_s: Mapping[str, float],
    ) -> str:
        """Writes the manifest and returns its URI."""
        task = self._task
        content = {
            "manifest_version": MANIFEST_VERSION,
            "job_id": task.job_id,
            "attempt": task.attempt,
            "array_index": task.array_index,
            "worker": asdict(self._worker),
            "input": {"uri": task.input_uri, **asdict(pulled)},
            "outputs": [asdict(output) for output in outputs],
            "metadata": dict(metadata or {}),
            "timings_s": dict(timings_s),
        }
        file = task.scratch_dir.parent / MANIFEST
        file.write_text(json.dumps(content, indent=2, default=str) + "\n", encoding="utf-8")
        return self._push(MANIFEST, file, "application/json", {})

    def _push_output(self, name: str) -> Output:
        file = self._task.output_dir / name
        description = self._task.description(name)
        return Output(
            name=name,
            uri=self._push(name, file, description.content_type, description.metadata),
            size_bytes=file.stat().st_size,
            sha256=file_sha256(file),
            content_type=description.content_type,
            metadata=description.metadata,
        )

    def _push(self, name: str, file: Path, content_type: str, metadata: Mapping[str, Any]) -> str:
        place = self._place.child(name)
        if isinstance(place, LocalPlace):
            local.push(place, file)
        else:
            self._push_s3(place, file, content_type, metadata)
        self._task.log.info(
            "pushed file", uri=place.uri, bytes=file.stat().st_size, content_type=content_type
        )
        return place.uri

    def _push_s3(self, place: S3Place, file: Path, content_type: str, metadata: Mapping[str, Any]) -> None:
        own = {
            "job-id": self._task.job_id,
            "worker": f"{self._worker.name}/{self._worker.version}",
            "source-uri": self._task.input_uri,
        }
        fits, left_out = object_metadata(own, metadata)
        if left_out:
            self._task.log.warning("metadata does not fit on the object", uri=place.uri, left_out=left_out)
        s3.push(self._client(), place, file, content_type=content_type, metadata=fits)
