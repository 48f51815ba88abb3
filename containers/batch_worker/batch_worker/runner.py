"""Runs a task: pulls its input, processes it, pushes its output, and returns an exit code."""

from __future__ import annotations

import argparse
import functools
import importlib.metadata
import os
import shutil
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from batch_worker import log as logs
from batch_worker import s3
from batch_worker.errors import EX_OK, UsageError, WorkerError, is_host_error
from batch_worker.location import Place, S3Place, base_name, parse
from batch_worker.publish import Publisher, Worker
from batch_worker.source import Pulled, copy_local
from batch_worker.stop import Interrupted, Stop
from batch_worker.task import Task

Process = Callable[[Task], Mapping[str, Any] | None]

# Common file systems allow no longer names. An S3 key may be longer.
_MAX_NAME_BYTES = 255


@dataclass(frozen=True)
class _Job:
    """The job and the attempt: from the variables that AWS Batch sets, or defaults for a run by hand."""

    job_id: str
    attempt: int
    array_index: int | None

    @classmethod
    def from_environment(cls) -> _Job:
        index = os.environ.get("AWS_BATCH_JOB_ARRAY_INDEX")
        return cls(
            job_id=os.environ.get("AWS_BATCH_JOB_ID") or f"local-{uuid.uuid4()}",
            attempt=int(os.environ.get("AWS_BATCH_JOB_ATTEMPT") or 1),
            array_index=int(index) if index else None,
        )


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message} ({' '.join(self.format_usage().split())})")


def run(
    process: Process,
    argv: Sequence[str] | None = None,
    *,
    name: str | None = None,
    version: str | None = None,
) -> int:
    """Runs `process` on the task that the command line names and returns the exit code.

    `process` reads `task.input` and writes files to `task.output_dir`. If it returns a mapping, that goes
    into the manifest. `argv` is the command line without the program (default: that of the process). `name`
    is the name of the worker (default: the program's), `version` its version (default: that of the installed
    package `name`). Call it from the main thread, which receives signals. The package's docstring lists the
    exit codes.
    """
    worker_name = name or Path(sys.argv[0]).name
    worker = Worker(worker_name, version or _installed_version(worker_name))
    job = _Job.from_environment()
    context: dict[str, object] = {"job_id": job.job_id, "attempt": job.attempt}
    if job.array_index is not None:
        context["array_index"] = job.array_index
    attempt = _Attempt(process, worker, job, logs.configure(worker.name, context))
    with attempt.stop.installed():
        try:
            source, output = _options(worker.name, argv)
        except UsageError as error:
            return attempt.ended_by(error)
        return attempt.run(source, output)


def _options(program: str, argv: Sequence[str] | None) -> tuple[Place, Place]:
    parser = _Parser(prog=program, allow_abbrev=False)
    parser.add_argument("--input", required=True, help="s3://bucket/key, file:///path or a path")
    parser.add_argument("--output", required=True, help="s3://bucket/prefix/, file:///folder or a folder")
    options = parser.parse_args(argv)
    source = parse(options.input, "--input")
    if isinstance(source, S3Place) and not source.key:
        raise UsageError(f"--input has no key: {options.input!r}; expected s3://bucket/key")
    return source, parse(options.output, "--output")


class _Attempt:
    """A run of a task. It decides the exit code."""

    def __init__(self, process: Process, worker: Worker, job: _Job, log: logs.Log) -> None:
        self.stop = Stop(log)
        self._process = process
        self._worker = worker
        self._job = job
        self._log = log
        self._stage = "start"
        self._client = functools.cache(s3.make_client)
        self._timings_s: dict[str, float] = {}

    def run(self, source: Place, output: Place) -> int:
        """Runs the task, logs a failure, and always removes the scratch folder."""
        scratch: Path | None = None
        try:
            scratch = Path(tempfile.mkdtemp(prefix="batch-worker-"))
            with self.stop.interruptible():
                self._work(source, output, scratch)
        except BaseException as error:
            return self.ended_by(error)
        finally:
            if scratch is not None:
                shutil.rmtree(scratch, ignore_errors=True)
        return EX_OK

    def ended_by(self, error: BaseException) -> int:
        """Logs the failure of the task and returns its exit code, which is never 0."""
        if isinstance(error, Interrupted):
            self._log.warning("job stopped", stage=self._stage, exit_code=error.exit_code)
            return error.exit_code
        if isinstance(error, WorkerError):
            exit_code = error.exit_code
        elif isinstance(error, OSError) and is_host_error(error):
            exit_code = os.EX_TEMPFAIL
        else:
            # Also SystemExit: exit(0) in the worker's function would look like success.
            exit_code = os.EX_SOFTWARE
        # A known failure needs no traceback, a bug does.
        self._log.error(
            f"job failed: {str(error) or type(error).__name__}",
            error=error if exit_code == os.EX_SOFTWARE else None,
            error_type=type(error).__name__,
            stage=self._stage,
            exit_code=exit_code,
            retryable=exit_code == os.EX_TEMPFAIL,
        )
        return exit_code

    def _work(self, source: Place, output: Place, scratch: Path) -> None:
        name = base_name(source)
        target = output.child(name)
        folders = {part: scratch / part for part in ("input", "output", "scratch")}
        for folder in folders.values():
            folder.mkdir()
        file = folders["input"] / _file_name(name)
        task = Task(
            input=file,
            input_uri=source.uri,
            output_dir=folders["output"],
            output_uri=target.uri,
            scratch_dir=folders["scratch"],
            job_id=self._job.job_id,
            attempt=self._job.attempt,
            array_index=self._job.array_index,
            log=self._log,
            _stop=self.stop,
        )
        self._log.info(
            "job started", worker=self._worker.name, version=self._worker.version, input=source.uri
        )

        started_s = self._enter("pull")
        pulled = self._pull(source, file)
        self._leave(started_s, "pulled", bytes=pulled.size_bytes, etag=pulled.etag)

        started_s = self._enter("process")
        metadata = self._process(task)
        self._leave(started_s, "processed")
        # A callback in a library may have caught the exception that the signal raised.
        self.stop.check()

        started_s = self._enter("push")
        publisher = Publisher(target, task, self._worker, self._client)
        outputs = publisher.outputs()
        self._leave(
            started_s, "pushed", bytes=sum(output.size_bytes for output in outputs), files=len(outputs)
        )
        self.stop.check()
        manifest = publisher.manifest(outputs, pulled, metadata, self._timings_s)
        self._log.info("job succeeded", result=manifest, duration_s=round(sum(self._timings_s.values()), 3))

    def _pull(self, source: Place, file: Path) -> Pulled:
        if isinstance(source, S3Place):
            return s3.pull(self._client(), source, file)
        return copy_local(source, file)

    def _enter(self, stage: str) -> float:
        self._stage = stage
        return time.monotonic()

    def _leave(self, started_s: float, message: str, **fields: object) -> None:
        duration_s = round(time.monotonic() - started_s, 3)
        self._timings_s[self._stage] = duration_s
        self._log.info(message, stage=self._stage, duration_s=duration_s, **fields)


def _file_name(name: str) -> str:
    """Returns the input's name, cut to the length that file systems allow. Keeps the suffix."""
    if len(os.fsencode(name)) <= _MAX_NAME_BYTES:
        return name
    suffix = Path(name).suffix if len(os.fsencode(Path(name).suffix)) <= 32 else ""
    stem = os.fsencode(name)[: _MAX_NAME_BYTES - len(os.fsencode(suffix))]
    return stem.decode("utf-8", "ignore") + suffix


def _installed_version(name: str) -> str:
    with suppress(importlib.metadata.PackageNotFoundError, ValueError):
        return importlib.metadata.version(name)
    return "unknown"
