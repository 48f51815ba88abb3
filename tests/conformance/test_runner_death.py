"""The process that runs jobs dies: its jobs go on with their next attempt, and none waits for ever."""

import os
import signal
from pathlib import Path

import pytest

from tests.support import running_endpoint, wait_for

pytestmark = pytest.mark.cloud


def test_jobs_go_on_and_nothing_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One runs when the runner dies; one is started while the next runner is being opened."""
    gate, data = tmp_path / "gate", tmp_path / "data"
    with running_endpoint(data, host_vcpus=4) as endpoint:
        queue = endpoint.queue("q", endpoint.environment())
        script = f"echo line; while ! test -e {gate}; do sleep 0.05; done"
        held = endpoint.definition("held", ["sh", "-c", script], retryStrategy={"attempts": 2})
        running = endpoint.submit(queue, held)
        endpoint.wait(running, "RUNNING")
        runner = endpoint.engine._runner
        assert runner is not None
        opens, meanwhile = runner._runtime.open, []

        def open_late(*given: object) -> object:
            meanwhile.append(endpoint.submit(queue, held))
            return opens(*given)  # type: ignore[arg-type]

        monkeypatch.setattr(runner._runtime, "open", open_late)
        os.kill(runner._runner._process.pid, signal.SIGKILL)  # type: ignore[union-attr]
        wait_for(lambda: meanwhile, "the new runner")
        gate.touch()
        for job_id in (running, *meanwhile):
            job = endpoint.wait(job_id)
            assert (job["status"], len(job["attempts"])) == ("SUCCEEDED", 2)
            assert job["attempts"][0]["statusReason"].startswith("Host EC2 (instance i-")
        wait_for(lambda: not endpoint.engine._logs._tails, "the end of the last log")
        folder = data / "batch-stack-scratch"
        wait_for(lambda: all(path.name.startswith("spare-") for path in folder.iterdir()), "an empty folder")
