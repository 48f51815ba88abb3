"""What a ``kill -9`` of the engine leaves: no job lost, none reported done that did not run, no process."""

import contextlib
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from botocore.exceptions import BotoCoreError

from tests.support import Endpoint, batch_client, free_port, wait_for

pytestmark = pytest.mark.cloud

SERVER = ["-m", "batch_cli.main", "local", "start", "--batch-only", "--host-vcpus", "2"]
HOST_LOST = [{"onStatusReason": "Host EC2*", "action": "RETRY"}, {"onReason": "*", "action": "EXIT"}]


class Server:
    def __init__(self, data_dir: Path) -> None:
        port = free_port()
        self.process = subprocess.Popen(
            [sys.executable, *SERVER, "--data-dir", str(data_dir), "--port", str(port)]
        )
        self.endpoint = Endpoint(batch_client(f"http://127.0.0.1:{port}"), None, data_dir)  # type: ignore[arg-type]
        wait_for(self.answers, "the server answering")

    def answers(self) -> bool:
        assert self.process.poll() is None, "the server died"
        with contextlib.suppress(BotoCoreError):
            self.endpoint.batch.describe_job_queues()
            return True
        return False

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


def test_kill_9_loses_nothing(tmp_path: Path) -> None:
    data_dir, proof = tmp_path / "data", tmp_path / "proof"
    proof.mkdir()
    first = Server(data_dir)
    endpoint = first.endpoint
    queue = endpoint.queue("q", endpoint.environment())
    quick = endpoint.definition("quick", ["/bin/sh", "-c", f"touch {proof}/$AWS_BATCH_JOB_ID"])
    held = endpoint.definition(
        "held",
        ["/bin/sh", "-c", f"echo $$ > {proof}/pid; test $AWS_BATCH_JOB_ATTEMPT = 2 || sleep 300"],
        retryStrategy={"attempts": 2, "evaluateOnExit": HOST_LOST},
    )
    done = endpoint.wait(endpoint.submit(queue, quick))
    stuck = endpoint.submit(queue, held)
    endpoint.wait(stuck, "RUNNING")
    wait_for(lambda: (proof / "pid").exists() and (proof / "pid").read_text().strip(), "the job's pid")
    pid = int((proof / "pid").read_text())
    waiting = [endpoint.submit(queue, quick) for _ in range(10)]
    first.kill()
    wait_for(lambda: not psutil.pid_exists(pid) or is_zombie(pid), "the job ending with its server")

    second = Server(data_dir)
    try:
        endpoint = second.endpoint
        assert endpoint.job(done["jobId"]) == done, "what had ended is as it was"
        job = endpoint.wait(stuck)
        assert (job["status"], len(job["attempts"])) == ("SUCCEEDED", 2)
        assert job["attempts"][0]["statusReason"].startswith("Host EC2 (instance i-")
        for job_id in waiting:
            job = endpoint.wait(job_id)
            if job["status"] == "SUCCEEDED":
                assert (proof / job_id).exists(), "reported as done, yet it never ran"
            else:
                # Only a job that was placed when the server was killed may fail: its host was lost.
                assert job["statusReason"].startswith("Host EC2 (instance i-"), job
        assert sum(endpoint.job(job_id)["status"] == "SUCCEEDED" for job_id in waiting) >= len(waiting) - 1
    finally:
        second.process.terminate()
        second.process.wait()


def is_zombie(pid: int) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    return True


def test_a_later_version_of_the_state_is_refused(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "batch.sqlite")
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    result = subprocess.run(
        [sys.executable, *SERVER, "--data-dir", str(tmp_path), "--port", "0"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert result.returncode != 0
    assert "batch.sqlite has version 99" in result.stderr
