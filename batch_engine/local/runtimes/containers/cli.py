"""The container command lines of this machine: which there are, whether they work, how they differ."""

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
        words: how it is called: the program, and options that stand before every command of it.
        dialect: whose options it understands: ``docker``, ``podman`` or ``nerdctl``.
        version: what it says of itself.
        environment: the user's own, in which it runs: it holds their registries' logins and their settings.
        warning: what may keep jobs from working, though nobody can say before one runs.
    """

    words: tuple[str, ...]
    dialect: str
    version: str
    environment: Mapping[str, str]
    warning: str | None = None

    def argv(self, *arguments: str) -> list[str]:
        """The whole command line of one of its commands."""
        return [*self.words, *arguments]


def find_cli(asked: str | None) -> ContainerCli:
    """Find a container command line that works.

    Args:
        asked: a name, a path, or a command line such as ``podman --root /x``; None for the first that works.

    Raises:
        RuntimeUnavailableError: there is none; the text says why of each.
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
        raise RuntimeUnavailableError("it does not say which version it is")
    dialect = dialect_of(version[0])
    try:
        info = json.loads(_ask([*words, "info", "--format", "{{json .}}"]))
    except ValueError:
        raise RuntimeUnavailableError("its `info` is not JSON: too old a version?") from None
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
    """Whose options a command line understands; ``docker`` may be podman in disguise."""
    lower = version.lower()
    if "podman" in lower:
        return "podman"
    return "nerdctl" if "nerdctl" in lower or "finch" in lower else "docker"


def reach(info: Mapping[str, Any], kernel: str) -> tuple[str | None, str | None]:
    """Whether containers reach this machine's 127.0.0.1, where the local cloud listens.

    They share its network, which works only where they run on its own kernel and not in a network of a
    rootless daemon.

    Args:
        info: what the command line's ``info`` says.
        kernel: this machine's release of its kernel.

    Returns:
        Why they do not, or None; and what may keep them from it, or None.
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
    """The line of an error output that says what went wrong, without the words that only announce it."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    told = [line for line in lines if not line.startswith(_NO_NEWS)]
    if not told:
        return ""
    logged = _LOGGED.search(told[-1])
    line = logged.group(1).replace('\\"', '"') if logged else told[-1]
    return _ANNOUNCED.sub("", line)
