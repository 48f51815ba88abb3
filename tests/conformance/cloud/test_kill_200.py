"""``kill -9`` of the local cloud at random points during 200 jobs: nothing is lost, nothing is made up."""

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from batch_engine.core.audit.invariants import violations
from batch_engine.core.model.ids import Arns
from batch_engine.core.scheduling.scheduler import Scheduler
from batch_engine.core.state.registry import Registry
from batch_engine.local.engine.build import STATE_FILE
from batch_engine.local.engine.random_ids import RandomIds
from batch_engine.local.server.state import read_record
from batch_engine.local.store.store import Store
from tests.support import free_port, wait_for

pytestmark = pytest.mark.cloud

JOBS = 200
KILLS = 6
SLOTS = 8
# One attempt at a time: the second would find the lock taken.
SCRIPT = """
exec 9> $PROOF/$AWS_BATCH_JOB_ID.lock
flock -n 9 || touch $PROOF/$AWS_BATCH_JOB_ID.twice
sleep $1
echo $AWS_BATCH_JOB_ATTEMPT > $PROOF/$AWS_BATCH_JOB_ID.ran
exit $2
"""
HOST_LOST = [{"onStatusReason": "Host EC2*", "action": "RETRY"}, {"onReason": "*", "action": "EXIT"}]


class Cloud:
    """A server that is started and killed over and over, on one port and one data folder."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None
        self.batch: Any = boto3.client(
            "batch",
            endpoint_url=f"http://127.0.0.1:{self.port}",
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=20),
        )

    def start(self, *, ready: bool = True) -> None:
        options = ["--port", str(self.port), "--host-vcpus", str(SLOTS), "--data-dir", str(self.data_dir)]
        with (self.data_dir.parent / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "batch_cli.main", "local", "start", *options], stdout=log, stderr=log
            )
        if ready:
            wait_for(self.is_ready, "the server answering")

    def is_ready(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, (self.data_dir.parent / "server.log").read_text()
        record = read_record(self.data_dir)
        return record is not None and record.pid == self.process.pid and record.answers()

    def kill(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(30)


def prepare(batch: Any, proof: Path) -> None:
    compute = {
        "type": "SPOT",
        "allocationStrategy": "SPOT_PRICE_CAPACITY_OPTIMIZED",
        "minvCpus": 0,
        "maxvCpus": 64,
        "instanceTypes": ["m6i"],
        "subnets": ["subnet-1"],
        "instanceRole": "ecsInstanceRole",
    }
    ce = batch.create_compute_environment(
        computeEnvironmentName="ce", type="MANAGED", computeResources=compute
    )["computeEnvironmentArn"]
    batch.create_job_queue(
        jobQueueName="queue", priority=1, computeEnvironmentOrder=[{"order": 1, "computeEnvironment": ce}]
    )
    needs = [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "64"}]
    batch.register_job_definition(
        jobDefinitionName="job",
        type="container",
        containerProperties={
            "image": "busybox",
            "command": ["/bin/sh", "-c", SCRIPT, "job", "Ref::seconds", "Ref::code"],
            "environment": [{"name": "PROOF", "value": str(proof)}],
            "resourceRequirements": needs,
        },
        retryStrategy={"attempts": 10, "evaluateOnExit": HOST_LOST},
    )


class Submitter(threading.Thread):
    """Submits the jobs whatever happens to the server, and keeps the ids that it was told."""

    def __init__(self, batch: Any, generator: random.Random) -> None:
        super().__init__(daemon=True)
        self.batch = batch
        self.told: dict[str, str] = {}
        self.abandon = threading.Event()
        self.jobs = [
            (f"job-{n}", f"{generator.uniform(0.1, 0.6):.2f}", "3" if n % 10 == 0 else "0")
            for n in range(JOBS)
        ]

    def run(self) -> None:
        for name, seconds, code in self.jobs:
            while not self.abandon.is_set():
                # Not told whether it was accepted: submitted again, as a client would.
                with contextlib.suppress(BotoCoreError, ClientError):
                    answer = self.batch.submit_job(
                        jobName=name,
                        jobQueue="queue",
                        jobDefinition="job",
                        parameters={"seconds": seconds, "code": code},
                    )
                    self.told[answer["jobId"]] = name
                    break
                self.abandon.wait(0.05)
            self.abandon.wait(0.02)


def broken(data_dir: Path, copy: Path) -> list[str]:
    """What a copy of the state, as the kill left it, says against itself."""
    copy.mkdir()
    for part in data_dir.glob(f"{STATE_FILE}*"):
        shutil.copy(part, copy)
    store = Store(copy / STATE_FILE)
    registry = Registry()
    for entity in store.load():
        registry.add(entity)
    store.close()
    return violations(Scheduler(registry, Arns("000000000000", "us-east-1"), RandomIds()))


def everything(batch: Any) -> dict[str, dict[str, Any]]:
    ids = []
    for status in ("SUBMITTED", "PENDING", "RUNNABLE", "STARTING", "RUNNING", "SUCCEEDED", "FAILED"):
        pages = batch.get_paginator("list_jobs").paginate(jobQueue="queue", jobStatus=status)
        ids += [job["jobId"] for page in pages for job in page["jobSummaryList"]]
    # A job may move between two listings, and so be in both.
    ids = sorted(set(ids))
    described = [batch.describe_jobs(jobs=ids[at : at + 100])["jobs"] for at in range(0, len(ids), 100)]
    return {job["jobId"]: job for some in described for job in some}


def test_200_jobs_survive_kills_at_random_points(tmp_path: Path) -> None:
    seed = int(os.environ.get("KILL_SEED", "0")) or random.SystemRandom().randrange(1, 10**6)
    sys.stdout.write(f"KILL_SEED={seed}\n")
    generator = random.Random(seed)
    data_dir, proof = tmp_path / "data", tmp_path / "proof"
    data_dir.mkdir()
    proof.mkdir()
    cloud = Cloud(data_dir)
    cloud.start()
    prepare(cloud.batch, proof)
    submitter = Submitter(cloud.batch, generator)
    submitter.start()
    try:
        for kill in range(KILLS):
            time.sleep(generator.uniform(0.1, 1.5))
            cloud.kill()
            assert broken(data_dir, tmp_path / f"state-{kill}") == [], f"KILL_SEED={seed}"
            # Every third start does not live to see its first request.
            cloud.start(ready=kill % 3 != 2)
        wait_for(cloud.is_ready, "the server answering")
        submitter.join(60)
        wait_for(
            lambda: all(job["status"] in ("SUCCEEDED", "FAILED") for job in everything(cloud.batch).values()),
            "the end of all jobs",
        )
        jobs = everything(cloud.batch)
    finally:
        submitter.abandon.set()
        cloud.stop()
    check(jobs, submitter, proof, seed)
    assert broken(data_dir, tmp_path / "state-end") == [], f"KILL_SEED={seed}"


def check(jobs: dict[str, dict[str, Any]], submitter: Submitter, proof: Path, seed: int) -> None:
    context = f"KILL_SEED={seed}"
    assert sorted(submitter.told.values()) == sorted(name for name, _, _ in submitter.jobs), context
    assert set(submitter.told) <= set(jobs), f"{context}: jobs were lost"
    expected = {name: "SUCCEEDED" if code == "0" else "FAILED" for name, _, code in submitter.jobs}
    outcomes: Counter[str] = Counter()
    for job_id, job in jobs.items():
        outcomes[f"{job['status']} after {len(job['attempts'])}"] += 1
        assert (proof / f"{job_id}.ran").exists(), f"{context}: {job['status']} but never ran: {job}"
        assert job["status"] == expected[job["jobName"]], f"{context}: {job}"
        lost = job["attempts"][:-1]
        assert all(attempt["statusReason"].startswith("Host EC2 (instance i-") for attempt in lost), context
        # The attempt that was reported is the one whose proof was written last.
        ran = int((proof / f"{job_id}.ran").read_text())
        assert ran == len(job["attempts"]), f"{context}: attempt {ran} ran last, {job}"
    sys.stdout.write(f"{dict(outcomes)}\n")
    assert list(proof.glob("*.twice")) == [], f"{context}: two attempts of one job at the same time"
    assert sum(count for outcome, count in outcomes.items() if not outcome.endswith(" 1")) > 0, (
        f"{context}: no kill has met a running job"
    )
