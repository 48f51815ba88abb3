"""What runs attempts, as the engine sees it: processes of this machine, or containers."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from batch_engine.core.model.jobs import Job
from batch_engine.local.base.launch import Places
from batch_engine.local.runtimes.runner.frames import Message

OUT_OF_MEMORY_REASON = "OutOfMemoryError: Container killed due to memory usage"


class RuntimeUnavailableError(RuntimeError):
    """Jobs cannot run as was asked for."""


@dataclass(frozen=True, slots=True)
class Given:
    """What an attempt is given beside what its job says.

    Args:
        places: where its files are.
        secrets: the variables that its ``secrets`` have become.
        credentials_url: where the SDKs fetch the job role's credentials; None for a job without a role.
    """

    places: Places
    secrets: Mapping[str, str]
    credentials_url: str | None


class Runner(Protocol):
    """What starts, watches and ends attempts. An attempt's key is its job's id and its number."""

    def send(self, messages: list[Message]) -> None:
        """Take messages in and return at once: ``("start", launch)`` or ``("stop", key, grace_s)``.

        A stop is SIGTERM now and SIGKILL ``grace_s`` later. It reports ``("started", key, pid)``,
        ``("failed", key, reason)`` where the attempt never started, ``("ended", key, exit_code,
        out_of_memory, printed_bytes)``, and ``("lost", key)`` where nobody can say any more how it ended.
        """

    def close(self, grace_s: float) -> None:
        """SIGTERM for every attempt, SIGKILL ``grace_s`` later; returns when all are gone."""


class Runtime(Protocol):
    """One way to run attempts."""

    @property
    def name(self) -> str:
        """What it is called on the command line."""

    def is_quick(self, job: Job) -> bool:
        """Whether ``prepare`` answers at once."""

    def prepare(self, job: Job, given: Given) -> Any:
        """The launch that its runner is sent.

        Raises:
            ImageError: the image cannot be used.
            StartError: the job asks for what this runtime cannot give.
        """

    def open(
        self,
        reported: Callable[[list[Message]], None],
        lost: Callable[[], None],
        loop: asyncio.AbstractEventLoop | None,
    ) -> Runner:
        """Have a runner.

        Args:
            reported: takes each batch of its reports, on threads of its own or on the loop.
            lost: called when it has died though nobody closed it; all of its attempts are gone then.
            loop: where it may report without a thread; None where there is no such loop.
        """
