"""The runtime of jobs: the choice on the command line, and the runtime that this machine has for it."""

import asyncio
import hashlib
import logging
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from batch_engine.core.model.jobs import Job
from batch_engine.local.base.assembly_images import AssemblyImages
from batch_engine.local.base.job_environment import HostFacts, container_environment
from batch_engine.local.runtimes.containers.arguments import ContainerLaunch, container_launch
from batch_engine.local.runtimes.containers.cli import ContainerCli, find_cli
from batch_engine.local.runtimes.containers.clients import Clients
from batch_engine.local.runtimes.containers.runner import ContainerRunner
from batch_engine.local.runtimes.containers.watch import sweep
from batch_engine.local.runtimes.process_runtime import ProcessRuntime
from batch_engine.local.runtimes.protocol import AttemptInputs, Runtime, RuntimeUnavailableError
from batch_engine.local.runtimes.runner.frames import Message

logger = logging.getLogger(__name__)

CHOICES = ("process", "container", "auto")
DATA_LABEL = "batch-stack.data"
RUN_LABEL = "batch-stack.run"


@dataclass(frozen=True, slots=True)
class RuntimeChoice:
    """The kind of runtime.

    Args:
        cli: the command line that runs their containers; None if jobs are processes.
    """

    cli: ContainerCli | None = None

    def __str__(self) -> str:
        """Returns the runtime in words for people."""
        if self.cli is None:
            return "process"
        return f"container ({self.cli.version})" + (f"; {self.cli.warning}" if self.cli.warning else "")


PROCESSES = RuntimeChoice()


def choose(asked: str, container_cli: str | None = None) -> RuntimeChoice:
    """Chooses the runtime, before anything is started.

    Args:
        asked: ``process``, ``container``, or ``auto``: containers if a container command line works.
        container_cli: the container command line; see ``find_cli``.

    Raises:
        RuntimeUnavailableError: the runtime does not exist, or does not work on this machine.
    """
    if asked not in CHOICES:
        raise RuntimeUnavailableError(f"runtime must be one of {', '.join(CHOICES)}, got {asked}")
    if asked == "process":
        return RuntimeChoice()
    try:
        choice = RuntimeChoice(find_cli(container_cli))
    except RuntimeUnavailableError as error:
        if asked == "container" or container_cli is not None:
            raise
        logger.info("jobs run as processes: %s", error)
        return RuntimeChoice()
    if choice.cli is not None and choice.cli.warning is not None:
        logger.warning("%s", choice.cli.warning)
    return choice


class ContainerRuntime:
    """Jobs as containers; it implements ``Runtime``.

    Args:
        cli: the command line that runs the containers.
        images: finds how images are made.
        host: the facts about this machine that every job receives.
        data_dir: the data folder that owns the containers; those of an earlier server are removed.
        host_vcpus: the vCPUs that all jobs together may use.
    """

    name = "container"

    def __init__(
        self,
        cli: ContainerCli,
        images: AssemblyImages,
        host: HostFacts,
        *,
        data_dir: Path,
        host_vcpus: float,
    ) -> None:
        self._cli = cli
        self._images = images
        self._host = host
        self._host_vcpus = host_vcpus
        digest = hashlib.sha256(str(data_dir.resolve()).encode()).hexdigest()
        self._data_label = f"{DATA_LABEL}={digest[:32]}"

    def clear(self) -> None:
        """Removes the containers and volumes that an earlier server of this data folder left.

        Raises:
            RuntimeUnavailableError: some of them may still run.
        """
        problem = sweep(self._cli.words, self._data_label, self._cli.environment)
        if problem is not None:
            raise RuntimeUnavailableError(f"containers of an earlier run cannot be removed: {problem}")

    def is_quick(self, job: Job) -> bool:  # noqa: ARG002 - the protocol's
        """Returns False: preparing a job reads manifests, which is too slow for the engine's lock."""
        return False

    def prepare(self, job: Job, inputs: AttemptInputs) -> ContainerLaunch:
        """Returns the launch for the runner; see ``Runtime``."""
        asset = self._images.asset(job.container["image"])
        variables = container_environment(job, self._host, inputs.credentials_url) | dict(inputs.secrets)
        return container_launch(
            job,
            asset,
            variables,
            inputs.places,
            dialect=self._cli.dialect,
            host_vcpus=self._host_vcpus,
        )

    def open(
        self,
        reported: Callable[[list[Message]], None],
        lost: Callable[[], None],  # noqa: ARG002 - it lives in this process, and dies with it only
        loop: asyncio.AbstractEventLoop | None,  # noqa: ARG002 - its clients have threads anyway
    ) -> ContainerRunner:
        """Opens a runner; see ``Runtime``."""
        run_label = f"{RUN_LABEL}={uuid.uuid4().hex}"
        clients = Clients(self._cli, run_label)
        return ContainerRunner(clients, (self._data_label, run_label), reported)


def build_runtime(
    choice: RuntimeChoice,
    images: AssemblyImages,
    host: HostFacts,
    *,
    data_dir: Path,
    host_vcpus: float,
) -> Runtime:
    """Builds the runtime of one engine; see ``ContainerRuntime`` for the parameters.

    Raises:
        RuntimeUnavailableError: containers of an earlier run cannot be removed.
    """
    if choice.cli is None:
        return ProcessRuntime(images, host)
    runtime = ContainerRuntime(choice.cli, images, host, data_dir=data_dir, host_vcpus=host_vcpus)
    runtime.clear()
    return runtime
