"""An event that EventBridge never takes is parked, `local status` shows it, and no other waits for it."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.cloud.conftest import LocalCloud
from tests.conformance.cloud.test_server import runnable_job
from tests.support import wait_for

pytestmark = pytest.mark.cloud

SERVER = """
import sys
from pathlib import Path
from batch_engine.local.engine import event_outbox
from batch_engine.local.ministack.internals import MiniStack
from batch_engine.local.server.server import ServerOptions, run_server

publish = MiniStack.publish

def publish_unless_poisoned(ministack, event):
    if "poison" in event["Detail"]:
        raise ValueError("this detail cannot be matched")
    publish(ministack, event)

MiniStack.publish = publish_unless_poisoned
event_outbox.RETRY_MS = event_outbox.RETRY_MAX_MS = 1
run_server(ServerOptions(data_dir=Path(sys.argv[1]), port=0), lambda _: print("ready", flush=True))
"""


def statuses(cloud: LocalCloud, queue_url: str) -> list[tuple[str, str]]:
    sqs = cloud.client("sqs")
    found = []
    while messages := sqs.receive_message(QueueUrl=queue_url, MaxNumberOfMessages=10).get("Messages"):
        for message in messages:
            detail: dict[str, Any] = json.loads(message["Body"])["detail"]
            found.append((detail["jobName"], detail["status"]))
    return found


def test_a_poisoned_event_is_parked_and_the_others_arrive(tmp_path: Path) -> None:
    cloud = LocalCloud(tmp_path / "data")
    command = [sys.executable, "-c", SERVER, str(cloud.data_dir)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        assert server.stdout.readline() == "ready\n"
        runnable_job(cloud, "q", ["true"])
        sqs, events, batch = (cloud.client(name) for name in ("sqs", "events", "batch"))
        queue_url = sqs.create_queue(QueueName="seen")["QueueUrl"]
        events.put_rule(Name="all", EventPattern=json.dumps({"source": ["aws.batch"]}))
        target = {"Id": "1", "Arn": "arn:aws:sqs:us-east-1:000000000000:seen"}
        assert events.put_targets(Rule="all", Targets=[target])["FailedEntryCount"] == 0
        for name in ("poison", "good"):
            batch.submit_job(jobName=name, jobQueue="q", jobDefinition="q")
        arrived: list[tuple[str, str]] = []
        wait_for(
            lambda: arrived.extend(statuses(cloud, queue_url)) or ("good", "SUCCEEDED") in arrived,  # type: ignore[func-returns-value]
            "the last event of the other job",
        )
        assert "poison" not in {name for name, _ in arrived}
        wait_for(lambda: "parked" in cloud.cli("status").stdout, "a parked event")
        cloud.kill()
    cloud.start()
    try:
        shown = cloud.cli("status").stdout
        assert "events could not be delivered to EventBridge" in shown
        assert "last error ValueError: this detail cannot be matched" in shown
    finally:
        cloud.stop()
