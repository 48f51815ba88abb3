"""Workers to run as processes, and a real S3 on 127.0.0.1 for those tests that need one."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest

DEADLINE_S = 60.0


@dataclass(frozen=True)
class Ended:
    """How a worker process ended, and the lines it logged."""

    exit_code: int
    lines: list[dict[str, Any]]
    stderr: str

    def message(self, text: str) -> dict[str, Any]:
        found = [line for line in self.lines if text in line["message"]]
        assert found, (text, self.lines, self.stderr)
        return found[0]


class WorkerScript:
    """A worker written for one test, run as a process of its own with a scratch folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.scratch = folder / "scratch"
        self.scratch.mkdir()
        self._script = folder / "worker.py"
        self.environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith("AWS_")},
            "TMPDIR": str(self.scratch),
            "AWS_MAX_ATTEMPTS": "1",
        }

    def write(self, body: str) -> WorkerScript:
        code = textwrap.indent(textwrap.dedent(body).strip(), "    ")
        self._script.write_text(
            "import sys, os, time\n"
            "from batch_worker import *\n"
            f"def process(task):\n{code}\n"
            "if __name__ == '__main__':\n"
            "    sys.exit(run(process, name='test-worker', version='1.2.3'))\n",
            encoding="utf-8",
        )
        return self

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, str(self._script), *arguments],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def run(self, *arguments: str) -> Ended:
        return ended(self.start(*arguments))

    def on(self, source: Path | str, output: Path | str) -> Ended:
        return self.run("--input", str(source), "--output", str(output))


def ended(process: subprocess.Popen[bytes], read: bytes = b"") -> Ended:
    stdout, stderr = process.communicate(timeout=DEADLINE_S)
    lines = [json.loads(line) for line in (read + stdout).decode("utf-8").splitlines()]
    return Ended(process.returncode, lines, stderr.decode("utf-8", "replace"))


def read_until(process: subprocess.Popen[bytes], text: str) -> bytes:
    """Reads the process's output up to and including the line that holds the text."""
    assert process.stdout is not None
    read = b""
    for line in process.stdout:
        read += line
        if text.encode() in line:
            return read
    raise AssertionError(f"the worker ended without {text!r}: {read!r}")


@pytest.fixture
def worker(tmp_path: Path) -> WorkerScript:
    return WorkerScript(tmp_path)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    file = tmp_path / "in.txt"
    file.write_text("hello")
    return file


@pytest.fixture
def stop_at(worker: WorkerScript) -> Callable[..., Ended]:
    """Sends the worker a signal once it has logged a certain text."""

    def stop(text: str, *arguments: str, number: int = signal.SIGTERM) -> Ended:
        process = worker.start(*arguments)
        try:
            read = read_until(process, text)
            process.send_signal(number)
            return ended(process, read)
        finally:
            if process.poll() is None:
                process.kill()
                process.communicate()

    return stop


@pytest.fixture(scope="session")
def s3_endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("s3")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {
        **os.environ,
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "SERVICES": "s3,sts",
        "S3_DATA_DIR": str(folder / "data"),
        "TMPDIR": str(folder),
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
    }
    log = folder / "server.log"
    with log.open("wb") as file:
        server = subprocess.Popen(
            [sys.executable, "-m", "ministack"], env=environment, stdout=file, stderr=subprocess.STDOUT
        )
    try:
        deadline_s = time.monotonic() + DEADLINE_S
        while True:
            assert server.poll() is None, log.read_text()
            assert time.monotonic() < deadline_s, f"S3 did not come up in {DEADLINE_S} s: {log.read_text()}"
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
            except OSError:
                server_died(server, wait_s=0.05)
            else:
                break
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        try:
            server.wait(timeout=10)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def server_died(server: subprocess.Popen[bytes], wait_s: float) -> bool:
    try:
        server.wait(timeout=wait_s)
    except subprocess.TimeoutExpired:
        return False
    return True


@pytest.fixture
def s3(s3_endpoint: str, worker: WorkerScript, monkeypatch: pytest.MonkeyPatch) -> Any:
    settings = {
        "AWS_ENDPOINT_URL": s3_endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "eu-central-1",
    }
    worker.environment.update(settings)
    for key, value in settings.items():
        monkeypatch.setenv(key, value)
    client = boto3.client("s3")
    existing = {bucket["Name"] for bucket in client.list_buckets()["Buckets"]}
    for bucket in ("in-bucket", "out-bucket"):
        if bucket not in existing:
            client.create_bucket(
                Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
            )
        for entry in client.list_objects_v2(Bucket=bucket).get("Contents", []):
            client.delete_object(Bucket=bucket, Key=entry["Key"])
    return client
