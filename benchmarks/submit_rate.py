"""Measures latency and throughput of SubmitJob from eight threads, against moto's server."""

import contextlib
import http.client
import json
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import quantiles
from typing import Any

import boto3

from benchmarks.endpoint import (
    AUTHORIZATION,
    client,
    define,
    free_port,
    server,
    set_up,
    wait_until_it_answers,
)

THREADS = 8
REQUESTS = 4000
MOTO = Path(__file__).parents[1] / ".venv/moto/bin/moto_server"


def run() -> dict[str, Any]:
    with server() as (_, port), moto() as moto_port:
        batch = client(port)
        set_up(batch)
        define(batch, "holds", ["/bin/sleep", "3600"])
        # In turns, so that other load on the machine affects both.
        ours, theirs = [], []
        for _ in range(2):
            ours.append(submit(port, "q", "holds"))
            theirs.append(submit(moto_port, "bench-queue", "holds"))
    mine_s, moto_s = (sum(run_s for run_s, _ in runs) for runs in (ours, theirs))
    latencies_s = [latency for _, found in ours for latency in found]
    cuts = quantiles(latencies_s, n=100)
    p50_ms, p99_ms = cuts[49] * 1000, cuts[98] * 1000
    ratio = moto_s / mine_s
    rate, moto_rate = 2 * REQUESTS / mine_s, 2 * REQUESTS / moto_s
    return {
        "threads": THREADS,
        "p50_ms": p50_ms,
        "p99_ms": p99_ms,
        "per_second": rate,
        "moto_per_second": moto_rate,
        "ratio": ratio,
        "says": f"SubmitJob from {THREADS} threads: p50 {p50_ms:.1f} ms, p99 {p99_ms:.1f} ms, "
        f"{rate:.0f} a second, {ratio:.1f} times the throughput of moto's server ({moto_rate:.0f} a second)",
    }


def submit(port: int, queue: str, definition: str) -> tuple[float, list[float]]:
    """Submits jobs. Returns the time of all, and the latency of each."""
    start = time.perf_counter()
    with ThreadPoolExecutor(THREADS) as pool:
        found = pool.map(lambda _: submit_some(port, queue, definition), range(THREADS))
        latencies = [latency for some in found for latency in some]
    return time.perf_counter() - start, latencies


def submit_some(port: int, queue: str, definition: str) -> list[float]:
    connection = http.client.HTTPConnection("127.0.0.1", port)
    body = json.dumps({"jobName": "j", "jobQueue": queue, "jobDefinition": definition})
    headers = {"Authorization": AUTHORIZATION, "Content-Type": "application/json"}
    latencies = []
    with contextlib.closing(connection):
        for _ in range(REQUESTS // THREADS):
            start = time.perf_counter()
            connection.request("POST", "/v1/submitjob", body, headers)
            response = connection.getresponse()
            answer = response.read()
            latencies.append(time.perf_counter() - start)
            if response.status != 200:
                raise RuntimeError(f"SubmitJob answered {response.status}: {answer.decode()}")
    return latencies


@contextlib.contextmanager
def moto() -> Iterator[int]:
    """Runs moto's server with a job queue. Its jobs end at once, without Docker."""
    port = free_port()
    process = subprocess.Popen([MOTO, "-p", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        batch = client(port)
        wait_until_it_answers(batch)
        settings = json.dumps({"batch": {"use_docker": False}}).encode()
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/moto-api/config", settings):
            pass
        iam = boto3.client(
            "iam",
            endpoint_url=f"http://127.0.0.1:{port}",
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )
        role = iam.create_role(RoleName="bench", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
        batch.create_compute_environment(
            computeEnvironmentName="bench-environment", type="UNMANAGED", state="ENABLED", serviceRole=role
        )
        order = [{"order": 1, "computeEnvironment": "bench-environment"}]
        batch.create_job_queue(
            jobQueueName="bench-queue", state="ENABLED", priority=1, computeEnvironmentOrder=order
        )
        define(batch, "holds", ["/bin/true"])
        yield port
    finally:
        process.terminate()
        process.wait()
