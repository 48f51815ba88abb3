"""The interface of runtimes, which run attempts as processes of this machine or as containers."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from batch_engine.core.model.jobs import Job
from batch_engine.local.base.launch import Places
from batch_engine.local.runtimes.runner.frames import Message

OUT_OF_MEMORY_REASON = "OutOfMemoryError: Container killed due to memory usage"


class RuntimeUnavailableError(RuntimeError):
    """The runtime that was asked for cannot run jobs here."""


@dataclass(frozen=True, slots=True)
class AttemptInputs:
    """The inputs of an attempt beside the properties of its job.

    Args:
        places: the places of its files.
        secrets: the variables that its ``secrets`` have become.
        credentials_url: the URL of the job role's credentials; None for a job without a role.
    """

    places: Places
    secrets: Mapping[str, str]
    credentials_url: str | None


class Runner(Protocol):
    """Starts, watches and ends attempts. An attempt's key is its job's id and its number."""

    def send(self, messages: list[Message]) -> None:
        """Takes messages and returns at once: ``("start", launch)`` or ``("stop", key, grace_s)``.

        A stop sends SIGTERM now and SIGKILL ``grace_s`` later. The runner reports ``("started", key, pid)``,
        ``("failed", key, reason)`` if the attempt did not start, ``("ended", key, exit_code, out_of_memory,
        printed_bytes)``, and ``("lost", key)`` if it cannot find out how the attempt ended.
        """

    def close(self, grace_s: float) -> None:
        """Sends SIGTERM to every attempt and SIGKILL ``grace_s`` later; returns when all are gone."""


class Runtime(Protocol):
    """A way to run attempts."""

    @property
    def name(self) -> str:
        """Returns the runtime's name on the command line."""

    def is_quick(self, job: Job) -> bool:
        """Returns whether ``prepare`` returns at once."""

    def prepare(self, job: Job, inputs: AttemptInputs) -> Any:
        """Returns the launch that its runner receives in a ``start`` message.

        Raises:
            ImageError: the image cannot be used.
            StartError: this runtime cannot provide the resources that the job asks for.
        """

    def open(
        self,
        reported: Callable[[list[Message]], None],
        lost: Callable[[], None],
        loop: asyncio.AbstractEventLoop | None,
    ) -> Runner:
        """Starts a runner.

        Args:
            reported: receives each batch of reports, on threads of the runner or on the loop.
            lost: called when the runner has died without ``close``; all of its attempts are gone then.
            loop: a loop on which the runner may report; None if there is no such loop.
        """
