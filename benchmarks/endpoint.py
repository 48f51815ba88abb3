"""An engine in a process of its own, as a benchmark's client meets it."""

import contextlib
import http.client
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError

SERVER = """
import sys, threading
from pathlib import Path
from batch_engine.local.bare import build_bare_engine, serve_bare
port = int(sys.argv[2])
serve_bare(build_bare_engine(Path(sys.argv[1]), f"http://127.0.0.1:{port}"), port, threading.Event())
"""
START_TIMEOUT_S = 30.0


@contextlib.contextmanager
def engine() -> Iterator[Any]:
    """A boto3 client of a fresh engine with one compute environment ``ce`` and one queue ``q``."""
    with contextlib.closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        server = subprocess.Popen([sys.executable, "-c", SERVER, folder, str(port)])
        try:
            batch = client(port)
            wait_until_it_answers(batch)
            set_up(batch)
            yield batch
        finally:
            server.terminate()
            server.wait()
            for path in Path(folder).glob("*"):
                if path.is_file():
                    path.unlink()


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
    """Sends SubmitJob over one kept-alive connection, with nothing around it.

    The engine is what is measured: boto3 spends more time on a request than the engine does, and a client in
    another language would not.
    """

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port)

    def submit(self, **request: Any) -> dict[str, Any]:
        self._connection.request(
            "POST", "/v1/submitjob", json.dumps(request), {"Content-Type": "application/json"}
        )
        response = self._connection.getresponse()
        body = json.loads(response.read())
        if response.status != 200:
            raise RuntimeError(f"SubmitJob answered {response.status}: {body}")
        return dict(body)


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


def count(batch: Any, status: str) -> int:
    pages = batch.get_paginator("list_jobs").paginate(jobQueue="q", jobStatus=status)
    return sum(len(page["jobSummaryList"]) for page in pages)


def wait_until_over(batch: Any, job_id: str) -> None:
    while True:
        job = batch.describe_jobs(jobs=[job_id])["jobs"][0]
        if job["status"] in ("SUCCEEDED", "FAILED"):
            return
        time.sleep(0.05)
