"""A local cloud in its own process, as a user starts it."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import psutil
import pytest
from botocore.config import Config

from batch_engine.local.server.state import ServerRecord, holder_pid, read_record
from tests.support import wait_for


class LocalCloud:
    """A data folder, and the server that `batch-stack local start --detach` runs on it."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        # What a developer's shell may hold; none of it may reach a function or a job.
        self.environment = os.environ | {"AWS_PROFILE": "production", "AWS_SECRET_ACCESS_KEY": "real-secret"}

    def cli(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [
            sys.executable,
            "-m",
            "batch_cli.main",
            "local",
            *arguments,
            "--data-dir",
            str(self.data_dir),
        ]
        return subprocess.run(
            command, env=self.environment, capture_output=True, text=True, timeout=90, check=False
        )

    def start(self, *options: str) -> None:
        started = self.cli("start", "--detach", "--port", "0", *options)
        assert started.returncode == 0, started.stderr
        assert self.record.endpoint_url in started.stdout

    def stop(self) -> None:
        stopped = self.cli("stop")
        assert stopped.returncode == 0, stopped.stderr

    @property
    def record(self) -> ServerRecord:
        record = read_record(self.data_dir)
        assert record is not None, f"no server on {self.data_dir}"
        return record

    def processes(self) -> list[psutil.Process]:
        server = psutil.Process(self.record.pid)
        return [server, *server.children(recursive=True)]

    def kill(self) -> None:
        pid = self.record.pid
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: holder_pid(self.data_dir) is None, "the end of the killed server")

    def client(self, service: str) -> Any:
        return boto3.client(
            service,
            endpoint_url=self.record.endpoint_url,
            region_name=self.record.region,
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=Config(retries={"total_max_attempts": 1}, read_timeout=30),
        )

    def log(self) -> str:
        return (self.data_dir / "server.log").read_text()


@contextlib.contextmanager
def started(data_dir: Path) -> Iterator[LocalCloud]:
    cloud = LocalCloud(data_dir)
    cloud.start()
    try:
        yield cloud
    finally:
        if holder_pid(data_dir) is not None:
            cloud.stop()


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    """A cloud that a module's tests share: each names its own resources."""
    with started(tmp_path_factory.mktemp("cloud")) as running:
        yield running


@pytest.fixture
def own_cloud(tmp_path: Path) -> Iterator[LocalCloud]:
    """A cloud of the test's own, to be stopped, killed and started again."""
    with started(tmp_path / "data") as running:
        yield running
