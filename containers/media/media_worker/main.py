"""The media worker's entry point."""

from __future__ import annotations

from typing import Any

from batch_worker import Task, run

from media_worker import image, video
from media_worker.kind import Kind, detect


def process(task: Task) -> dict[str, Any]:
    """Makes `thumbnail.jpg` and a rendition of the task's input. Returns the properties of the source."""
    kind = detect(task.input)
    task.log.info("media recognised", kind=kind.value)
    return image.process(task) if kind is Kind.IMAGE else video.process(task)


def main() -> int:
    """Runs the worker on the command line's task and returns its exit code."""
    return run(process, name="media-worker")
