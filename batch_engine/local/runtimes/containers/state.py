"""Reads the state of a container from ``inspect``, and the kernel's count of processes that lacked memory."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

KILLED_EXIT_CODE = 137
_NOT_STARTED = ("created", "configured", "initialized", "init")
_NEVER = "0001-"
_KERNEL_COUNTERS = Path("/proc/vmstat")


@dataclass(frozen=True, slots=True)
class ContainerState:
    """The state of a container.

    Args:
        has_started: whether its program was started.
        is_running: whether it runs now.
        exit_code: the exit code of its program; 0 while it runs.
        out_of_memory: whether the kernel killed one of its processes for lack of memory; None if the
            container engine does not report that.
    """

    has_started: bool
    is_running: bool
    exit_code: int
    out_of_memory: bool | None


def read_state(text: str) -> ContainerState:
    """Reads the ``State`` of a container.

    Args:
        text: JSON, of docker, podman or nerdctl.
    """
    state: Mapping[str, Any] = json.loads(text)
    status = str(state.get("Status") or "").lower()
    started_at = state.get("StartedAt")
    # A container whose program could not be started has an exit code, but no time of start.
    started = status not in _NOT_STARTED and not str(started_at or "").startswith(_NEVER)
    return ContainerState(
        has_started=started,
        is_running=bool(state.get("Running")) or status in ("running", "stopping", "paused"),
        exit_code=int(state.get("ExitCode") or 0),
        out_of_memory=state.get("OOMKilled"),
    )


def ran_out_of_memory(state: ContainerState, *, has_seen_oom: bool, is_killed: bool, oom_kills: int) -> bool:
    """Returns whether a container that has ended failed for lack of memory.

    Args:
        state: its state after the end.
        has_seen_oom: whether its monitor saw the kernel kill one of its processes.
        is_killed: whether the engine killed it.
        oom_kills: how many processes of this machine the kernel killed for lack of memory while it ran.
    """
    if state.exit_code == 0:
        return False
    if state.out_of_memory is None and not has_seen_oom:
        return state.exit_code == KILLED_EXIT_CODE and not is_killed and oom_kills > 0
    return has_seen_oom or bool(state.out_of_memory)


def kernel_oom_kills() -> int:
    """Returns how many processes the kernel has killed for lack of memory; 0 if it does not count them."""
    try:
        lines = _KERNEL_COUNTERS.read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)
