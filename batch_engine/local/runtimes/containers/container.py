"""One container, from its making to its removal, through the container command line."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence

from batch_engine.local.base.launch import StartError
from batch_engine.local.runtimes.containers.arguments import ContainerLaunch
from batch_engine.local.runtimes.containers.cli import last_line
from batch_engine.local.runtimes.containers.clients import Clients
from batch_engine.local.runtimes.containers.state import ContainerState, read_state


class Container:
    """What is done with one container; all of it raises ``ClosedError`` once the server is stopping.

    Args:
        launch: what it is made from.
        clients: run the container command line.
        labels: ``name=value``s on it and on its volumes.
    """

    def __init__(self, launch: ContainerLaunch, clients: Clients, labels: Sequence[str]) -> None:
        self.launch = launch
        self._clients = clients
        self._labels = [word for label in labels for word in ("--label", label)]

    def make(self, reference: str) -> None:
        """Make it and its volumes, from an image that is here.

        Raises:
            StartError: the container engine refuses.
        """
        launch = self.launch
        os.makedirs(launch.scratch, mode=0o700, exist_ok=True)
        path = os.path.join(launch.scratch, "environment")
        options, passed_on = environment_options(launch.variables, path)
        for volume in launch.volumes:
            done = self._clients.run("volume", "create", *self._labels, volume)
            if done.code != 0:
                raise StartError(f"CannotCreateContainerError: {done.reason}")
        command = [*launch.options, *self._labels, *options, reference, *launch.command]
        done = self._clients.run("create", *command, variables=passed_on)
        os.unlink(path)
        if done.code != 0:
            raise StartError(f"CannotCreateContainerError: {_with_hint(done.reason)}")

    def start(self) -> subprocess.Popen[bytes]:
        """Start it; the client lives as long as it does, and takes what it prints to its log."""
        return self._attached("start", "--attach", self.launch.name)

    def attach(self) -> subprocess.Popen[bytes]:
        """Take what it prints to its log from here on."""
        return self._attached("attach", "--no-stdin", self.launch.name)

    def _attached(self, *arguments: str) -> subprocess.Popen[bytes]:
        return self._clients.attach(self.launch.log, *arguments, cwd=self.launch.scratch)

    def state(self) -> ContainerState | None:
        """How it stands; None where it is gone, or the container engine does not answer."""
        done = self._clients.run("container", "inspect", "--format", "{{json .State}}", self.launch.name)
        return read_state(done.out) if done.code == 0 else None

    def has_seen_oom(self) -> bool:
        """Whether podman's monitor saw the kernel kill one of its processes for want of memory.

        It leaves a file in the folder that it was started from, and some versions of podman miss it there.
        """
        return os.path.exists(os.path.join(self.launch.scratch, "oom"))

    def kill(self, signal: str) -> None:
        """Send its program a signal; nothing happens where it has ended."""
        self._clients.run("kill", "--signal", signal, self.launch.name)

    def take_output(self) -> str:
        """What the client printed in place of a container that never started."""
        with open(self.launch.log, "rb") as log:
            text = log.read().decode(errors="replace")
        os.unlink(self.launch.log)
        return last_line(text) or "the container engine does not say why"

    def printed_bytes(self) -> int:
        """How much stands in its log."""
        try:
            return os.stat(self.launch.log).st_size
        except OSError:
            return 0

    def remove(self) -> None:
        """Remove it with everything that was made for it; its log stays if there is something in it."""
        shutil.rmtree(self.launch.scratch, ignore_errors=True)
        if not self.printed_bytes():
            with contextlib.suppress(OSError):
                os.unlink(self.launch.log)
        self._clients.run("rm", "--force", "--volumes", self.launch.name)
        if self.launch.volumes:
            self._clients.run("volume", "rm", "--force", *self.launch.volumes)


def environment_options(variables: Mapping[str, str], path: str) -> tuple[list[str], dict[str, str]]:
    """Hand variables to a container without showing them to whoever lists processes.

    Args:
        variables: name to value.
        path: a file to write them to, one a line.

    Returns:
        The options of ``create``, and what its own environment must hold: the variables that no line can.

    Raises:
        StartError: a name would be taken for something else than a name.
    """
    for name, value in variables.items():
        # A line break would end it, and podman takes a name that ends in an asterisk for all that begin so.
        if "\n" in name or "\r" in name or (name.endswith("*") and ("\n" in value or "\r" in value)):
            raise StartError(f"CannotCreateContainerError: {name!r} cannot be an environment variable's name")
    passed_on = {
        name: value
        for name, value in variables.items()
        if "\n" in value or "\r" in value or name.startswith("#")
    }
    lines = [f"{name}={value}\n" for name, value in variables.items() if name not in passed_on]
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.writelines(lines)
    return ["--env-file", path, *(word for name in passed_on for word in ("--env", name))], passed_on


def _with_hint(reason: str) -> str:
    if "init" in reason and "not found" in reason:
        return f"{reason} (initProcessEnabled needs it: podman's is the package catatonit)"
    return reason
