"""Starts `batch-stack local start`, and calls it with a client that does as little as possible."""

import contextlib
import json
import os
import selectors
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import Any

import boto3
import httptools
import psutil
from botocore.config import Config
from botocore.exceptions import BotoCoreError

COMMAND = ("-m", "batch_cli.main", "local", "start")
START_TIMEOUT_S = 60.0
# Each AWS client sends the service and the signer of a request.
AUTHORIZATION = (
    "AWS4-HMAC-SHA256 Credential=test/20261201/us-east-1/batch/aws4_request, SignedHeaders=host, Signature=0"
)


def free_port() -> int:
    with contextlib.closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def server(*options: str) -> Iterator[tuple[psutil.Process, int]]:
    """Runs `batch-stack local start` on a new data folder. Yields its process and its port."""
    port = free_port()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        command = [sys.executable, *COMMAND, f"--port={port}", f"--data-dir={folder}/data", *options]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            wait_until_it_answers(client(port))
            yield psutil.Process(process.pid), port
        finally:
            process.terminate()
            process.wait()


@contextlib.contextmanager
def engine(*options: str) -> Iterator[Any]:
    """Yields a boto3 client of a new server with one compute environment ``ce`` and one queue ``q``."""
    with server(*options) as (_, port):
        batch = client(port)
        set_up(batch)
        yield batch


def client(port: int) -> Any:
    return boto3.client(
        "batch",
        endpoint_url=f"http://127.0.0.1:{port}",
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(max_pool_connections=16, retries={"total_max_attempts": 1}),
    )


class RawClient:
    """Calls operations over a few persistent connections.

    It takes little time itself, so that the engine is measured: boto3 spends more time on a request than the
    engine. It uses several connections, as clients with thousands of jobs do not wait for each answer.
    """

    def __init__(self, port: int) -> None:
        self._port = port

    def call(self, operation: str, **request: Any) -> dict[str, Any]:
        (answer,) = self.call_all(operation, [request], connections=1)
        return answer

    def call_all(
        self, operation: str, requests: list[dict[str, Any]], connections: int = 8
    ) -> list[dict[str, Any]]:
        """Sends the requests and returns the answers in the same order."""
        answers: list[dict[str, Any]] = [{}] * len(requests)
        left = enumerate(requests)
        with selectors.DefaultSelector() as selector, contextlib.ExitStack() as stack:

            def send_next(connection: socket.socket) -> None:
                for place, request in left:
                    connection.sendall(_message(operation, request))
                    selector.modify(connection, selectors.EVENT_READ, (connection, _Answer(place)))
                    return
                selector.unregister(connection)

            for _ in range(min(connections, len(requests))):
                new = stack.enter_context(socket.create_connection(("127.0.0.1", self._port)))
                selector.register(new, selectors.EVENT_READ)
                send_next(new)
            while selector.get_map():
                for key, _ in selector.select():
                    connection, answer = key.data
                    if answer.feed(connection.recv(1 << 16)):
                        answers[answer.place] = answer.document(operation)
                        send_next(connection)
        return answers


def _message(operation: str, request: dict[str, Any]) -> bytes:
    body = json.dumps(request).encode()
    head = (
        f"POST /v1/{operation.lower()} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        f"Authorization: {AUTHORIZATION}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class _Answer:
    """A response, as far as it was received."""

    def __init__(self, place: int) -> None:
        self.place = place
        self._body = b""
        self._is_complete = False
        self._parser = httptools.HttpResponseParser(self)

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        self._is_complete = True

    def feed(self, data: bytes) -> bool:
        if not data:
            raise ConnectionError("the engine has closed the connection")
        self._parser.feed_data(data)
        return self._is_complete

    def document(self, operation: str) -> dict[str, Any]:
        status = self._parser.get_status_code()
        if status != 200:
            raise RuntimeError(f"{operation} answered {status}: {self._body.decode()}")
        return dict(json.loads(self._body))


def port_of(batch: Any) -> int:
    return int(batch.meta.endpoint_url.rpartition(":")[2])


def wait_until_it_answers(batch: Any) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while True:
        with contextlib.suppress(BotoCoreError):
            batch.describe_job_queues()
            return
        if time.monotonic() > deadline:
            raise TimeoutError(f"the engine did not answer in {START_TIMEOUT_S:g} s")
        time.sleep(0.05)


def set_up(batch: Any) -> None:
    vcpus = os.cpu_count() or 1
    resources = {
        "type": "EC2",
        "minvCpus": 0,
        "maxvCpus": vcpus,
        "instanceTypes": ["m6i"],
        "instanceRole": "r",
        "subnets": ["s"],
    }
    batch.create_compute_environment(computeEnvironmentName="ce", type="MANAGED", computeResources=resources)
    order = [{"order": 1, "computeEnvironment": "ce"}]
    batch.create_job_queue(jobQueueName="q", priority=1, computeEnvironmentOrder=order)


def define(batch: Any, name: str, command: list[str]) -> None:
    requirements = [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "64"}]
    batch.register_job_definition(
        jobDefinitionName=name,
        type="container",
        containerProperties={"image": "i", "command": command, "resourceRequirements": requirements},
    )


def count(client: RawClient, status: str) -> int:
    found = 0
    page: dict[str, str] = {}
    while True:
        answer = client.call("ListJobs", jobQueue="q", jobStatus=status, maxResults=1000, **page)
        found += len(answer["jobSummaryList"])
        if "nextToken" not in answer:
            return found
        page = {"nextToken": answer["nextToken"]}


def wait_until_over(client: RawClient, job_id: str) -> dict[str, Any]:
    while True:
        (job,) = client.call("DescribeJobs", jobs=[job_id])["jobs"]
        if job["status"] in ("SUCCEEDED", "FAILED"):
            return dict(job)
        time.sleep(0.05)
