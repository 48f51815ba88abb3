"""An AWS Batch endpoint without the rest of AWS, and what tests do with it."""

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import EndpointConnectionError

from batch_engine.local.engine.engine import Engine
from batch_engine.local.server.batch_only import batch_only, build_batch_engine
from batch_engine.local.server.http import listening_socket, serve

DEADLINE_S = 30.0


def free_port() -> int:
    with contextlib.closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(condition: Callable[[], Any], what: str, deadline_s: float = DEADLINE_S) -> Any:
    """Ask until the answer is true; say what was waited for when it never is."""
    end = time.monotonic() + deadline_s
    pause = threading.Event()
    while not (answer := condition()):
        if time.monotonic() > end:
            raise AssertionError(f"{what} did not happen within {deadline_s} s")
        pause.wait(0.02)
    return answer


def batch_client(endpoint_url: str) -> Any:
    return boto3.client(
        "batch",
        endpoint_url=endpoint_url,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=20),
    )


@dataclass
class Endpoint:
    """A running endpoint, and what every test does with it."""

    batch: Any
    engine: Engine
    data_dir: Path

    def environment(self, name: str = "ce", max_vcpus: int = 16, kind: str = "EC2") -> str:
        resources: dict[str, Any] = {"type": kind, "maxvCpus": max_vcpus, "subnets": ["subnet-1"]}
        if kind in ("EC2", "SPOT"):
            resources |= {"minvCpus": 0, "instanceTypes": ["m6g"], "instanceRole": "ecsInstanceRole"}
        if kind == "SPOT":
            resources["allocationStrategy"] = "SPOT_PRICE_CAPACITY_OPTIMIZED"
        created = self.batch.create_compute_environment(
            computeEnvironmentName=name, type="MANAGED", computeResources=resources
        )
        return str(created["computeEnvironmentArn"])

    def queue(self, name: str, *environments: str, priority: int = 1) -> str:
        order = [{"order": place, "computeEnvironment": arn} for place, arn in enumerate(environments, 1)]
        created = self.batch.create_job_queue(
            jobQueueName=name, priority=priority, computeEnvironmentOrder=order
        )
        return str(created["jobQueueArn"])

    def definition(self, name: str, command: list[str], **properties: Any) -> str:
        container = {
            "image": "busybox",
            "command": command,
            "resourceRequirements": [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "256"}],
            **properties.pop("container", {}),
        }
        registered = self.batch.register_job_definition(
            jobDefinitionName=name, type="container", containerProperties=container, **properties
        )
        return str(registered["jobDefinitionArn"])

    def submit(self, queue: str, definition: str, **request: Any) -> str:
        name = request.pop("jobName", "job")
        submitted = self.batch.submit_job(jobName=name, jobQueue=queue, jobDefinition=definition, **request)
        return str(submitted["jobId"])

    def job(self, job_id: str) -> dict[str, Any]:
        jobs = self.batch.describe_jobs(jobs=[job_id])["jobs"]
        assert len(jobs) == 1, f"job {job_id} is not known"
        return dict(jobs[0])

    def wait(self, job_id: str, *statuses: str) -> dict[str, Any]:
        wanted = statuses or ("SUCCEEDED", "FAILED")
        wait_for(lambda: self.job(job_id)["status"] in wanted, f"job {job_id} in {wanted}")
        return self.job(job_id)

    def log(self, job: dict[str, Any]) -> list[str]:
        path = self.data_dir / "logs/aws/batch/job" / job["container"]["logStreamName"]
        return path.read_text().splitlines()


class ServedEngine:
    """An engine that a thread of this process serves as `local start --batch-only` does."""

    def __init__(self, engine: Engine, data_dir: Path, port: int) -> None:
        self._app = batch_only(engine, data_dir)
        self._bound = listening_socket(port)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self._thread.start()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        await serve(self._app, self._bound, self._stop)

    def end(self) -> None:
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(DEADLINE_S)
        assert not self._thread.is_alive(), "the endpoint did not stop"


@contextlib.contextmanager
def running_endpoint(data_dir: Path, **options: Any) -> Iterator[Endpoint]:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    engine = build_batch_engine(data_dir, url, **options)
    served = ServedEngine(engine, data_dir, port)
    batch = batch_client(url)

    def answers() -> bool:
        with contextlib.suppress(EndpointConnectionError):
            batch.describe_job_queues()
            return True
        return False

    try:
        wait_for(answers, "the endpoint answering")
        yield Endpoint(batch, engine, data_dir)
    finally:
        served.end()
