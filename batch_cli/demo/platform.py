"""A local cloud with the deployed stack, used through the same commands and APIs that a user has."""

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from batch_cli.demo.children import Children, end
from batch_cli.demo.errors import DemoError
from batch_cli.demo.toolchain import cdk_command, cdk_environment
from batch_engine.local.base.private_files import make_private_file
from batch_engine.local.server.client_environment import client_environment, to_set
from batch_engine.local.server.state import ServerRecord, read_record

POLL_S = 0.1
START_TIMEOUT_S = 60.0
CDK_TIMEOUT_S = 300.0
TAIL_LINES = 15


def wait_until(condition: Callable[[], Any], timeout_s: float) -> Any:
    """Calls a function until it returns a true value.

    Returns:
        That value, or None if the time ran out.
    """
    deadline = time.monotonic() + timeout_s
    while not (answer := condition()):
        if time.monotonic() > deadline:
            return None
        time.sleep(POLL_S)
    return answer


@dataclass(slots=True)
class Platform:
    """A local cloud and its stack.

    Args:
        root: the project's folder.
        data_dir: the folder of the cloud's state and of all logs.
        children: runs the processes.
        start_options: further options for `batch-stack local start`.
    """

    root: Path
    data_dir: Path
    children: Children
    start_options: tuple[str, ...] = ()
    record: ServerRecord | None = None
    outputs: dict[str, str] = field(default_factory=dict)
    _server: subprocess.Popen[bytes] | None = None

    @property
    def assembly(self) -> Path:
        """The cloud assembly. It is deployed, and its images are the jobs' images."""
        return self.data_dir / "cdk.out"

    @property
    def server_log(self) -> Path:
        """The file with the output of the local cloud."""
        return self.data_dir / "server.log"

    def start(self) -> ServerRecord:
        """Starts the cloud on a free port.

        Raises:
            DemoError: the cloud does not answer in time.
        """
        command = [sys.executable, "-m", "batch_cli.main", "local", "start", "--port", "0"]
        command += ["--data-dir", str(self.data_dir), "--assembly", str(self.assembly)]
        command += self.start_options
        server = self.children.start(command, log_path=self.server_log, environment=os.environ, cwd=self.root)
        self._server = server

        def ready() -> ServerRecord | None:
            if server.poll() is not None:
                raise DemoError(f"the local cloud ended during its start\n{tail(self.server_log)}")
            record = read_record(self.data_dir)
            return record if record is not None and record.pid == server.pid and record.answers() else None

        self.record = wait_until(ready, START_TIMEOUT_S)
        if self.record is None:
            raise DemoError(
                f"the local cloud did not answer in {START_TIMEOUT_S:g} s\n{tail(self.server_log)}"
            )
        return self.record

    def stop(self) -> None:
        """Stops the cloud with its jobs and functions."""
        if self._server is not None:
            end(self._server)

    def cdk(self, name: str, *arguments: str) -> subprocess.Popen[bytes]:
        """Starts a ``cdk`` command against the cloud. Its output goes to ``<name>.log``."""
        record = self._running()
        environment = cdk_environment(client_environment(record.endpoint_url, record.region, os.environ))
        command = cdk_command(self.root, *arguments)
        return self.children.start(
            command, log_path=self.data_dir / f"{name}.log", environment=environment, cwd=self.root
        )

    def finish(self, name: str, process: subprocess.Popen[bytes]) -> None:
        """Waits for a ``cdk`` command.

        Raises:
            DemoError: the command failed or took too long.
        """
        log_path = self.data_dir / f"{name}.log"
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(CDK_TIMEOUT_S)
        if process.returncode is None:
            raise DemoError(f"{name} did not end in {CDK_TIMEOUT_S:g} s\n{tail(log_path)}")
        if process.returncode != 0:
            raise DemoError(f"{name} failed with exit code {process.returncode}\n{tail(log_path)}")

    def synthesize(self) -> subprocess.Popen[bytes]:
        """Starts ``cdk synth`` on app.py."""
        return self.cdk("cdk-synth", "synth", "--quiet", "--output", str(self.assembly))

    def bootstrap(self) -> subprocess.Popen[bytes]:
        """Starts ``cdk bootstrap``."""
        record = self._running()
        return self.cdk("cdk-bootstrap", "bootstrap", f"aws://{record.account}/{record.region}")

    def deploy(self) -> subprocess.Popen[bytes]:
        """Starts ``cdk deploy`` of the assembly that ``cdk synth`` wrote."""
        make_private_file(self._outputs_file)
        outputs = str(self._outputs_file)
        return self.cdk(
            "cdk-deploy",
            *("deploy", "--app", str(self.assembly), "--require-approval", "never"),
            *("--method", "direct", "--outputs-file", outputs),
        )

    @property
    def _outputs_file(self) -> Path:
        return self.data_dir / "outputs.json"

    def read_outputs(self) -> dict[str, str]:
        """Returns the outputs of the deployed stack by name."""
        (self.outputs,) = json.loads(self._outputs_file.read_text()).values()
        return self.outputs

    def client(self, service: str) -> Any:
        """Returns a boto3 client for the cloud."""
        record = self._running()
        variables = to_set(record.endpoint_url, record.region)
        return boto3.client(
            service,
            endpoint_url=record.endpoint_url,
            region_name=record.region,
            aws_access_key_id=variables["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=variables["AWS_SECRET_ACCESS_KEY"],
        )

    def _running(self) -> ServerRecord:
        if self.record is None:
            raise DemoError("the local cloud is not running")
        return self.record


def tail(log_path: Path) -> str:
    """Returns the last lines of a log and its path."""
    with contextlib.suppress(OSError):
        lines = log_path.read_text(errors="replace").splitlines()[-TAIL_LINES:]
        return "\n".join([*(f"  {line}" for line in lines), f"log: {log_path}"])
    return f"log: {log_path}"


AWS_ERRORS = (BotoCoreError, ClientError)
"""The exceptions that a boto3 call raises."""
