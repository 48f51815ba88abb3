"""What the engine publishes while the cloud stops reaches AWS Batch as a target all the same."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conformance.cloud.conftest import LocalCloud
from tests.conformance.cloud.test_server import runnable_job
from tests.support import wait_for

pytestmark = pytest.mark.cloud

SERVER = """
import sys
from pathlib import Path
from batch_engine.local.base.ports import Publication
from batch_engine.local.engine.engine import Engine
from batch_engine.local.server.server import ServerOptions, run_server

stop = Engine.stop

def stop_with_a_last_event(engine):
    engine._outbox._sink.publish([Publication("late", [], {}, 1_700_000_000_000)])
    stop(engine)

Engine.stop = stop_with_a_last_event
run_server(ServerOptions(data_dir=Path(sys.argv[1]), port=0), lambda _: print("ready", flush=True))
"""


def test_an_event_of_the_very_end_is_delivered_by_the_next_run(tmp_path: Path) -> None:
    cloud = LocalCloud(tmp_path / "data")
    command = [sys.executable, "-c", SERVER, str(cloud.data_dir)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        assert server.stdout.readline() == "ready\n"
        runnable_job(cloud, "q", ["true"])
        (queue,) = cloud.client("batch").describe_job_queues(jobQueues=["q"])["jobQueues"]
        events = cloud.client("events")
        events.put_rule(Name="late", EventPattern=json.dumps({"detail-type": ["late"]}))
        target = {
            "Id": "1",
            "Arn": queue["jobQueueArn"],
            "RoleArn": "arn:aws:iam::000000000000:role/invoke",
            "BatchParameters": {"JobName": "late", "JobDefinition": "q"},
        }
        assert events.put_targets(Rule="late", Targets=[target])["FailedEntryCount"] == 0
        server.terminate()
        assert server.wait(60) == 0
    cloud.start()
    try:
        batch = cloud.client("batch")
        filters = [{"name": "JOB_NAME", "values": ["late"]}]

        def submitted() -> int:
            return len(batch.list_jobs(jobQueue="q", filters=filters)["jobSummaryList"])

        wait_for(submitted, "the job of the last event")
        assert submitted() == 1
    finally:
        cloud.stop()
