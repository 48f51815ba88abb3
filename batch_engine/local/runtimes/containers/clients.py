"""Runs the processes of the container command line, and ends them with the server."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from batch_engine.local.runtimes.containers import watch
from batch_engine.local.runtimes.containers.cli import ContainerCli, last_line

_WATCH_TIMEOUT_S = 120.0


class ClosedError(RuntimeError):
    """The server is stopping, so no command is started."""


@dataclass(frozen=True, slots=True)
class Done:
    """The result of a command."""

    code: int
    out: str
    err: str

    @property
    def reason(self) -> str:
        """Returns what went wrong, in one line."""
        return last_line(self.err) or last_line(self.out) or f"exit code {self.code}"


class Clients:
    """Runs commands; neither they nor their containers outlive the server.

    Args:
        cli: the container command line.
        label: ``name=value``, the label of every container and volume of this server.
    """

    def __init__(self, cli: ContainerCli, label: str) -> None:
        self._cli = cli
        self._running: dict[int, subprocess.Popen[bytes]] = {}
        self._lock = threading.Lock()
        self._is_closed = False
        self._watch = subprocess.Popen(
            [sys.executable, "-I", "-S", watch.__file__, json.dumps(cli.words), label],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            env=dict(cli.environment),
            start_new_session=True,
        )

    def run(
        self, *arguments: str, cwd: Path | None = None, variables: Mapping[str, str] | None = None
    ) -> Done:
        """Runs a command to its end.

        Args:
            arguments: the command, without the program's name.
            cwd: its working directory.
            variables: variables beside those of the user's environment.

        Raises:
            ClosedError: the server is stopping.
            OSError: the command cannot be started.
        """
        client = self._start(arguments, subprocess.PIPE, subprocess.PIPE, cwd=cwd, variables=variables)
        try:
            out, err = client.communicate()
        finally:
            self.ended(client)
        return Done(client.returncode, out.decode(errors="replace"), err.decode(errors="replace"))

    def attach(self, log: str, *arguments: str, cwd: str) -> subprocess.Popen[bytes]:
        """Starts a command that writes its output to a file; the caller must call ``ended`` after its end.

        Args:
            log: the file.
            arguments: the command, without the program's name.
            cwd: its working directory; podman's monitor leaves a file named ``oom`` there.
        """
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            return self._start(arguments, descriptor, descriptor, cwd=cwd)
        finally:
            os.close(descriptor)

    def kill(self, client: subprocess.Popen[bytes]) -> None:
        """Kills a command if it has not ended.

        Args:
            client: the result of ``attach``.
        """
        with self._lock:
            if client.pid in self._running and client.poll() is None:
                _kill(client)

    def ended(self, client: subprocess.Popen[bytes]) -> None:
        """Forgets a command, and kills it if it has not ended."""
        if client.poll() is None:
            _kill(client)
            client.wait()
        with self._lock:
            self._running.pop(client.pid, None)
            self._notify_watch("-", client.pid)

    def close(self) -> None:
        """Kills every command that has not ended, and removes every container."""
        with self._lock:
            self._is_closed = True
            for client in self._running.values():
                _kill(client)
        try:
            self._watch.communicate(timeout=_WATCH_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._watch.kill()
            self._watch.wait()

    def _start(
        self,
        arguments: tuple[str, ...],
        out: int,
        err: int,
        *,
        cwd: Path | str | None = None,
        variables: Mapping[str, str] | None = None,
    ) -> subprocess.Popen[bytes]:
        with self._lock:
            if self._is_closed:
                raise ClosedError("the server is stopping")
            client = subprocess.Popen(
                self._cli.argv(*arguments),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                cwd=cwd,
                env={**self._cli.environment, **(variables or {})},
                # A Ctrl-C at the server's terminal must reach the server only.
                start_new_session=True,
            )
            self._running[client.pid] = client
            self._notify_watch("+", client.pid)
        return client

    def _notify_watch(self, sign: str, pid: int) -> None:
        pipe = self._watch.stdin
        if pipe is not None and not pipe.closed:
            with contextlib.suppress(BrokenPipeError):
                pipe.write(f"{sign}{pid}\n".encode())
                pipe.flush()


def _kill(client: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(client.pid, signal.SIGKILL)
