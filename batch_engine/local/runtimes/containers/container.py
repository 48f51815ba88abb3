"""Creates, starts, watches and removes one container through the container command line."""

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
    """A container. Each method raises ``ClosedError`` if the server is stopping.

    Args:
        launch: everything that creates and starts it.
        clients: run the container command line.
        labels: ``name=value`` labels for the container and its volumes.
    """

    def __init__(self, launch: ContainerLaunch, clients: Clients, labels: Sequence[str]) -> None:
        self.launch = launch
        self._clients = clients
        self._labels = [word for label in labels for word in ("--label", label)]

    def make(self, reference: str) -> None:
        """Creates the container and its volumes from an image on this machine.

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
        """Starts the container; the client runs as long as it does, and writes its output to the log."""
        return self._attached("start", "--attach", self.launch.name)

    def attach(self) -> subprocess.Popen[bytes]:
        """Attaches a client that writes the container's output to the log from now on."""
        return self._attached("attach", "--no-stdin", self.launch.name)

    def _attached(self, *arguments: str) -> subprocess.Popen[bytes]:
        return self._clients.attach(self.launch.log, *arguments, cwd=self.launch.scratch)

    def state(self) -> ContainerState | None:
        """Returns the container's state; None if it is gone or the container engine does not answer."""
        done = self._clients.run("container", "inspect", "--format", "{{json .State}}", self.launch.name)
        return read_state(done.out) if done.code == 0 else None

    def has_seen_oom(self) -> bool:
        """Returns whether podman's monitor saw the kernel kill one of its processes for lack of memory.

        The monitor leaves a file in the folder that it was started from; some versions of podman overlook it.
        """
        return os.path.exists(os.path.join(self.launch.scratch, "oom"))

    def kill(self, signal: str) -> None:
        """Sends a signal to the container's program if it has not ended."""
        self._clients.run("kill", "--signal", signal, self.launch.name)

    def take_output(self) -> str:
        """Returns the client's error for a container that did not start, and removes the log."""
        with open(self.launch.log, "rb") as log:
            text = log.read().decode(errors="replace")
        os.unlink(self.launch.log)
        return last_line(text) or "the container engine does not say why"

    def printed_bytes(self) -> int:
        """Returns the size of the container's log in bytes."""
        try:
            return os.stat(self.launch.log).st_size
        except OSError:
            return 0

    def remove(self) -> None:
        """Removes the container and everything that was created for it; a log that is not empty stays."""
        shutil.rmtree(self.launch.scratch, ignore_errors=True)
        if not self.printed_bytes():
            with contextlib.suppress(OSError):
                os.unlink(self.launch.log)
        self._clients.run("rm", "--force", "--volumes", self.launch.name)
        if self.launch.volumes:
            self._clients.run("volume", "rm", "--force", *self.launch.volumes)


def environment_options(variables: Mapping[str, str], path: str) -> tuple[list[str], dict[str, str]]:
    """Passes variables to a container in a file, so that a list of processes does not show them.

    Args:
        variables: values by name.
        path: the file; it has one variable a line.

    Returns:
        The options of ``create``, and the variables that a line cannot hold: they must be in its environment.

    Raises:
        StartError: a name cannot be passed.
    """
    for name, value in variables.items():
        # A line break would end the name, and podman reads an asterisk at its end as a pattern.
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
