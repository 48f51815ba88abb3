"""Finds a container command line that works on this machine, and its dialect."""

import json
import os
import platform
import re
import shlex
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from batch_engine.local.runtimes.protocol import RuntimeUnavailableError

CLIS = ("docker", "podman", "finch", "nerdctl")
CHECK_TIMEOUT_S = 30.0
_NO_NEWS = ("See '", "Run '", "For more help", "Error: failed to start containers")
_LOGGED = re.compile(r'level=(?:fatal|error) msg="(.*)"$')
# A container's id would take a quarter of the 255 characters that a reason may have.
_ANNOUNCED = re.compile(r'^(?:Error: |docker: )?(?:unable to start container "?[0-9a-f]{64}"?: )?')


@dataclass(frozen=True, slots=True)
class ContainerCli:
    """A container command line that works.

    Args:
        words: the program, and the options in front of each of its commands.
        dialect: ``docker``, ``podman`` or ``nerdctl``: the options that it understands.
        version: its answer to ``--version``.
        environment: the user's environment, in which it runs; it has the user's logins and settings.
        warning: a reason why jobs may not work, which only a job can show; None if there is none.
    """

    words: tuple[str, ...]
    dialect: str
    version: str
    environment: Mapping[str, str]
    warning: str | None = None

    def argv(self, *arguments: str) -> list[str]:
        """Returns the command line of one of its commands."""
        return [*self.words, *arguments]


def find_cli(asked: str | None) -> ContainerCli:
    """Finds a container command line that works.

    Args:
        asked: a name, a path, or a command line such as ``podman --root /x``; None for the first that works.

    Raises:
        RuntimeUnavailableError: none works; the text gives the reason of each.
    """
    candidates = [tuple(shlex.split(asked))] if asked else [(name,) for name in CLIS]
    reasons = []
    for words in candidates:
        try:
            return _check(words)
        except RuntimeUnavailableError as error:
            reasons.append(f"  {shlex.join(words)}: {error}")
    raise RuntimeUnavailableError(
        "no container command line works, so jobs cannot run as containers:\n"
        + "\n".join(reasons)
        + "\nInstall or start one of them, name one with --container-cli, or use --runtime process."
    )


def _check(words: tuple[str, ...]) -> ContainerCli:
    if not words or shutil.which(words[0]) is None:
        raise RuntimeUnavailableError("not found on PATH")
    version = _ask([*words, "--version"]).strip().splitlines()[-1:]
    if not version:
        raise RuntimeUnavailableError("it does not report its version")
    dialect = dialect_of(version[0])
    try:
        info = json.loads(_ask([*words, "info", "--format", "{{json .}}"]))
    except ValueError:
        raise RuntimeUnavailableError("its `info` is not JSON; its version may be too old") from None
    refusal, warning = reach(info, platform.release())
    if refusal is not None:
        raise RuntimeUnavailableError(refusal)
    return ContainerCli(words, dialect, version[0], dict(os.environ), warning)


def _ask(argv: Sequence[str]) -> str:
    try:
        done = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=CHECK_TIMEOUT_S,
            check=False,
        )
    except OSError as error:
        raise RuntimeUnavailableError(str(error)) from error
    except subprocess.TimeoutExpired:
        raise RuntimeUnavailableError(f"it gave no answer within {CHECK_TIMEOUT_S:g} s") from None
    if done.returncode != 0:
        raise RuntimeUnavailableError(last_line(done.stderr) or f"it ended with exit code {done.returncode}")
    return done.stdout


def dialect_of(version: str) -> str:
    """Returns the dialect of a command line from its version; the program ``docker`` may be podman."""
    lower = version.lower()
    if "podman" in lower:
        return "podman"
    return "nerdctl" if "nerdctl" in lower or "finch" in lower else "docker"


def reach(info: Mapping[str, Any], kernel: str) -> tuple[str | None, str | None]:
    """Finds out whether containers reach 127.0.0.1 of this machine, where the local cloud listens.

    They use the host's network. That works only if they run on this machine's kernel, and not in the network
    of a rootless daemon.

    Args:
        info: the answer of the command line's ``info``.
        kernel: the release of this machine's kernel.

    Returns:
        The reason why they do not reach it, or None; and a reason why they may not, or None.
    """
    if errors := info.get("ServerErrors"):
        return str(errors[0]), None
    host = info.get("host") or {}
    theirs = info.get("KernelVersion") or host.get("kernel") or ""
    if info.get("OperatingSystem") == "Docker Desktop":
        return None, (
            "Docker Desktop runs containers in a virtual machine: jobs reach the local cloud only if "
            '"Enable host networking" is switched on in its settings'
        )
    if theirs != kernel:
        return (
            f"its containers run on another machine or in a virtual one (kernel {theirs or 'unknown'}, this "
            f"machine has {kernel}), where they cannot reach the local cloud on 127.0.0.1"
        ), None
    if any("name=rootless" in option for option in info.get("SecurityOptions") or []):
        return (
            "its daemon is rootless, and so its containers have another 127.0.0.1 than the local cloud; "
            "rootless podman works"
        ), None
    return None, None


def last_line(text: str) -> str:
    """Returns the line of an error output that says what went wrong, without its introduction."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    told = [line for line in lines if not line.startswith(_NO_NEWS)]
    if not told:
        return ""
    logged = _LOGGED.search(told[-1])
    line = logged.group(1).replace('\\"', '"') if logged else told[-1]
    return _ANNOUNCED.sub("", line)
