"""Runs attempts: one thread for each that is under way, from its start to its end."""

import logging
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path

from batch_engine.core.events import AttemptFinished, AttemptStarted, Event
from batch_engine.core.logs import log_destination
from batch_engine.core.model import Job
from batch_engine.local.environment import Surroundings, job_environment
from batch_engine.local.image import AssemblyImages, ImageConfig, ImageError
from batch_engine.local.log_shipper import LogShipper
from batch_engine.local.process_runtime import Guardian, Launch, RunningProcess, StartError
from batch_engine.local.role_credentials import RoleCredentials

logger = logging.getLogger(__name__)

Tell = Callable[[Event], None]
START_FAILED = "Task failed to start"
SHUTDOWN_GRACE_S = 3.0


class AttemptRunner:
    """Carries out the scheduler's StartAttempt and StopAttempt.

    Args:
        scratch_root: where each attempt gets a fresh folder, removed when it ends.
        images: finds what an image would run.
        credentials: gives each attempt its role's credentials.
        logs: follows what attempts print.
        around: what every job is told of this machine.
        tell: takes the events in which attempts report.
    """

    def __init__(
        self,
        *,
        scratch_root: Path,
        images: AssemblyImages,
        credentials: RoleCredentials,
        logs: LogShipper,
        around: Surroundings,
        tell: Tell,
    ) -> None:
        self._scratch_root = scratch_root
        self._images = images
        self._credentials = credentials
        self._logs = logs
        self._around = around
        self._tell = tell
        self._running: dict[tuple[str, int], RunningProcess | None] = {}
        self._stop_early: dict[tuple[str, int], float] = {}
        self._lock = threading.Lock()
        self._closing = False
        self._guardian: Guardian | None = None

    def open(self) -> None:
        """Start the guardian, and clear away what an earlier run left in the scratch folder."""
        shutil.rmtree(self._scratch_root, ignore_errors=True)
        self._scratch_root.mkdir(parents=True)
        self._guardian = Guardian()

    def close(self) -> None:
        """End every attempt and report none of it: the next start counts them as lost with their host.

        Each is told with SIGTERM first, as a machine that shuts down would.
        """
        with self._lock:
            self._closing = True
            running = [process for process in self._running.values() if process is not None]
        for process in running:
            process.stop(SHUTDOWN_GRACE_S)
        deadline = time.monotonic() + SHUTDOWN_GRACE_S
        for process in running:
            process.ended.wait(max(0.0, deadline - time.monotonic()))
        if self._guardian is not None:
            self._guardian.close()

    def start(self, job: Job) -> None:
        """Start a job's latest attempt; what becomes of it is told as events. Returns at once."""
        key = (job.id, job.attempt.number)
        with self._lock:
            if self._closing:
                return
            self._running[key] = None
        threading.Thread(target=self._run, args=(job, key), name=f"batch-{job.id}", daemon=True).start()

    def stop(self, job_id: str, attempt: int, grace_s: float) -> None:
        """Stop an attempt, also one that is only about to start."""
        key = (job_id, attempt)
        with self._lock:
            running = self._running.get(key)
            if running is None:
                if key in self._running:
                    self._stop_early[key] = grace_s
                return
        running.stop(grace_s)

    def _run(self, job: Job, key: tuple[str, int]) -> None:
        scratch = self._scratch_root / f"{job.id}-{job.attempt.number}"
        log_path = scratch.with_suffix(".log")
        finished: Event | None = None
        try:
            finished = self._attempt(job, key, scratch, log_path)
        except (ImageError, StartError) as error:
            finished = AttemptFinished(*key, None, str(error)[:255], START_FAILED)
        except Exception as error:
            logger.exception("attempt %s of job %s could not be run", key[1], key[0])
            finished = AttemptFinished(*key, None, f"CannotStartContainerError: {error}"[:255], START_FAILED)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
            log_path.unlink(missing_ok=True)
            with self._lock:
                del self._running[key]
                self._stop_early.pop(key, None)
                report = not self._closing
            if report and finished is not None:
                self._tell(finished)

    def _attempt(self, job: Job, key: tuple[str, int], scratch: Path, log_path: Path) -> Event:
        image = self._images.find(job.container["image"])
        command = _command(job, image or ImageConfig())
        _refuse_what_is_missing(job)
        (scratch / "tmp").mkdir(parents=True)
        token = None
        url = None
        if role_arn := job.container.get("jobRoleArn"):
            url, token = self._credentials.grant(role_arn, job.id)
        try:
            environment = job_environment(job, image.environment if image else {}, scratch, self._around, url)
            if self._guardian is None:
                raise StartError("CannotStartContainerError: the engine is not running")
            launch = Launch(command, environment, scratch, log_path, job.memory_mib)
            process = RunningProcess(launch, self._guardian)
            return self._follow(job, key, process, log_path)
        finally:
            if token is not None:
                self._credentials.revoke(token)

    def _follow(self, job: Job, key: tuple[str, int], process: RunningProcess, log_path: Path) -> Event:
        self._tell(AttemptStarted(*key))
        destination = log_destination(job)
        if destination is not None:
            self._logs.follow(log_path, destination)
        with self._lock:
            self._running[key] = process
            grace_s = self._stop_early.pop(key, None)
        if grace_s is not None:
            process.stop(grace_s)
        ending = process.wait()
        self._logs.finish(log_path)
        return AttemptFinished(*key, ending.exit_code, ending.reason)


def _command(job: Job, image: ImageConfig) -> list[str]:
    """ENTRYPOINT and the job's command; the image's CMD where the job gives none."""
    command = [*image.entrypoint, *(job.container["command"] or image.command)]
    if not command:
        raise StartError(
            f"CannotStartContainerError: no command specified, and image {job.container['image']} is none of "
            "the assembly's container assets, so what it would run is not known here"
        )
    return command


def _refuse_what_is_missing(job: Job) -> None:
    """A job that counts on what a process cannot give it must fail here, not run without it."""
    container = job.container
    if container.get("secrets"):
        raise StartError("ResourceInitializationError: the process runtime does not resolve secrets")
    volumes = {volume["name"]: volume for volume in container["volumes"]}
    for mount in container["mountPoints"]:
        volume = volumes.get(mount.get("sourceVolume"), {})
        source = (volume.get("host") or {}).get("sourcePath")
        shared = "efsVolumeConfiguration" in volume or "s3filesVolumeConfiguration" in volume
        if shared or (source and source != mount.get("containerPath")):
            raise StartError(
                "CannotCreateContainerError: the process runtime cannot mount volume "
                f"{mount.get('sourceVolume')} at {mount.get('containerPath')}"
            )
