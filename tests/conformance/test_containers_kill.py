"""What a ``kill -9`` of a server leaves of the containers of its jobs: nothing."""

import contextlib
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from botocore.exceptions import BotoCoreError

from batch_engine.local.engine.runtime_choice import choose
from tests.conformance.podman import BASE_IMAGE
from tests.support import Endpoint, batch_client, free_port, running_endpoint, wait_for

pytestmark = pytest.mark.cloud

SERVER = ["-m", "batch_cli.main", "local", "start", "--batch-only", "--host-vcpus", "2"]
HOST_LOST = [{"onStatusReason": "Host EC2*", "action": "RETRY"}, {"onReason": "*", "action": "EXIT"}]


@pytest.mark.parametrize("watch_dies_too", [False, True], ids=["server", "server and watch"])
def test_kill_9_leaves_no_container(podman, tmp_path: Path, watch_dies_too: bool) -> None:
    data_dir, port = tmp_path / "data", free_port()
    server = subprocess.Popen(
        [
            sys.executable,
            *SERVER,
            "--runtime=container",
            f"--container-cli={podman.cli}",
            f"--data-dir={data_dir}",
            f"--port={port}",
        ],
        stdout=subprocess.PIPE,
    )
    try:
        assert server.stdout is not None
        assert b"ready at" in server.stdout.readline()
        endpoint = Endpoint(batch_client(f"http://127.0.0.1:{port}"), None, data_dir)  # type: ignore[arg-type]
        wait_for(lambda: answers(endpoint), "the server answering")
        queue = endpoint.queue("q", endpoint.environment())
        definition = endpoint.definition(
            "held",
            ["/bin/sh", "-c", "test $AWS_BATCH_JOB_ATTEMPT = 2 || sleep 300"],
            container={"image": BASE_IMAGE},
            retryStrategy={"attempts": 2, "evaluateOnExit": HOST_LOST},
        )
        job_id = endpoint.submit(queue, definition)
        endpoint.wait(job_id, "RUNNING")
        children = psutil.Process(server.pid).children()
        if watch_dies_too:
            for child in children:
                child.send_signal(signal.SIGKILL)
    finally:
        server.kill()
        server.wait()
    if watch_dies_too:
        assert len(podman.containers()) == 1, "without its watch the container should have stayed"
    else:
        wait_for(lambda: podman.containers() == [], "the end of the container")
        wait_for(lambda: not any(child.is_running() for child in children), "the end of the clients")
    with running_endpoint(data_dir, runtime=choose("container", podman.cli)) as again:
        job = again.wait(job_id)
        assert job["status"] == "SUCCEEDED"
        assert [attempt["statusReason"][:8] for attempt in job["attempts"][:1]] == ["Host EC2"]
        assert podman.containers() == []


def answers(endpoint: Endpoint) -> bool:
    with contextlib.suppress(BotoCoreError):
        endpoint.batch.describe_job_queues()
        return True
    return False
