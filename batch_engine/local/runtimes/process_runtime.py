"""Runs a container's command as a process of this machine, without Docker.

An attempt is a process group with its own folder. When its first process ends, the rest of the group is
killed, as in a container. The processes are children of a runner: a small process that watches them, and
that ends them if the engine dies.
"""

import asyncio
import contextlib
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from batch_engine.core.model.jobs import Job
from batch_engine.local.base.assembly_images import AssemblyImages
from batch_engine.local.base.dockerfile import ImageConfig
from batch_engine.local.base.job_environment import HostFacts, job_environment
from batch_engine.local.base.launch import launch_message
from batch_engine.local.base.launch_message import Launch
from batch_engine.local.base.process_image import unusable
from batch_engine.local.runtimes.protocol import AttemptInputs
from batch_engine.local.runtimes.runner.frames import Decoder, Message, encode

logger = logging.getLogger(__name__)

_START = (
    "import sys; sys.path.insert(0, sys.argv.pop()); "
    "from batch_engine.local.runtimes.runner.main import main; main()"
)
_SOURCE_ROOT = Path(__file__).resolve().parents[3]
_CLOSE_MARGIN_S = 10.0


class ProcessRuntime:
    """Runs jobs as processes of this machine; it implements ``Runtime``.

    Args:
        images: finds the configuration of images.
        host: the facts about this machine that every job receives.
    """

    name = "process"

    def __init__(self, images: AssemblyImages, host: HostFacts) -> None:
        self._images = images
        self._host = host
        self._told: set[str] = set()

    def is_quick(self, job: Job) -> bool:
        """Returns whether the image's Dockerfile was read before, or there is none to read."""
        return self._images.is_at_hand(job.container["image"])

    def prepare(self, job: Job, inputs: AttemptInputs) -> Launch:
        """Returns the message that starts the job; see ``Runtime``."""
        image = self._images.find(job.container["image"])
        if image is not None:
            self._warn_once(job, image, inputs)
        of_image = image.environment if image else {}
        scratch = inputs.places.scratch
        variables = job_environment(job, of_image, scratch, self._host, inputs.credentials_url)
        return launch_message(job, image, {**variables, **inputs.secrets}, inputs.places)

    def _warn_once(self, job: Job, image: ImageConfig, inputs: AttemptInputs) -> None:
        name = job.container["image"]
        if name in self._told:
            return
        self._told.add(name)
        for text in unusable(image, job.container, inputs.places.scratch):
            logger.warning("image %s: %s", name, text)

    def open(
        self,
        reported: Callable[[list[Message]], None],
        lost: Callable[[], None],
        loop: asyncio.AbstractEventLoop | None,
    ) -> "RunnerProcess":
        """Starts a runner; see ``Runtime``."""
        return RunnerProcess(reported, lost, loop)


class RunnerProcess:
    """The engine's side of ``runner``: sends messages to it, and passes its reports on.

    Args:
        reported: receives each batch of reports, on the loop, or on a thread if there is no loop.
        lost: called on a thread when the runner has died without ``close``.
        loop: the loop that reads the reports; None for a thread.
    """

    def __init__(
        self,
        reported: Callable[[list[Message]], None],
        lost: Callable[[], None],
        loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self._reported = reported
        self._lost = lost
        self._closing = False
        self._lock = threading.Lock()
        self._channel, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", _START, str(theirs.fileno()), str(_SOURCE_ROOT)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        self._pids: dict[tuple[str, int], int] = {}
        self._decoder = Decoder()
        self._thread = threading.Thread(target=self._read, name="batch-runner", daemon=True)
        if loop is None:
            self._thread.start()
        else:
            loop.call_soon_threadsafe(loop.add_reader, self._channel, self._read_once, loop)

    def send(self, messages: list[Message]) -> None:
        """Sends messages to the runner; it receives them in order."""
        with self._lock, contextlib.suppress(ConnectionError):
            self._channel.sendall(encode(messages))

    def close(self, grace_s: float) -> None:
        """Sends SIGTERM to every attempt and SIGKILL ``grace_s`` later; returns when all are gone."""
        self._closing = True
        self.send([("close", grace_s)])
        try:
            self._process.wait(grace_s + _CLOSE_MARGIN_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._thread.is_alive():
            self._thread.join()
        self._channel.close()

    def _read_once(self, loop: asyncio.AbstractEventLoop) -> None:
        """Reads reports; a thread handles the end of the runner, which takes a while."""
        if not self._receive():
            loop.remove_reader(self._channel)
            self._thread.start()

    def _read(self) -> None:
        while self._receive():
            pass
        if not self._closing:
            self._process.wait()
            self._end_orphans()
            self._lost()

    def _receive(self) -> bool:
        """Reads once from the channel; returns False at the runner's end."""
        try:
            data = self._channel.recv(1 << 20)
        except OSError:
            return False
        self._pass_reports_on(self._decoder.feed(data))
        return bool(data)

    def _pass_reports_on(self, messages: list[Message]) -> None:
        if not messages:
            return
        for message in messages:
            if message[0] == "started":
                self._pids[message[1]] = message[2]
            else:
                self._pids.pop(message[1], None)
        try:
            self._reported(messages)
        except Exception:
            logger.exception("%d reports of attempts could not be handled", len(messages))

    def _end_orphans(self) -> None:
        """Kills the attempts of a dead runner: none may run on while its job is tried again."""
        for pid in self._pids.values():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, signal.SIGKILL)
