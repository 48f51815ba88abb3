"""A state machine that waits for a job goes on after the local cloud has ended, however it ended."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.cloud.conftest import LocalCloud
from tests.conformance.cloud.test_server import runnable_job
from tests.support import wait_for

pytestmark = pytest.mark.cloud

ROLE = "arn:aws:iam::000000000000:role/invoke"
HOST_LOST = [{"onStatusReason": "Host EC2*", "action": "RETRY"}, {"onReason": "*", "action": "EXIT"}]


def task(name: str, following: dict[str, Any], command: list[str]) -> dict[str, Any]:
    parameters = {
        "JobName": name,
        "JobQueue": "bench",
        "JobDefinition": "bench",
        "ContainerOverrides": {"Command": command},
        "RetryStrategy": {"Attempts": 10, "EvaluateOnExit": [_pascal(entry) for entry in HOST_LOST]},
    }
    resource = "arn:aws:states:::batch:submitJob.sync"
    state = {"Type": "Task", "Resource": resource, "Parameters": parameters, "ResultPath": f"$.{name}"}
    return state | following


def _pascal(entry: dict[str, str]) -> dict[str, str]:
    return {f"{name[0].upper()}{name[1:]}": value for name, value in entry.items()}


@pytest.mark.parametrize("end", [LocalCloud.kill, LocalCloud.stop], ids=["kill -9", "stop"])
def test_it_goes_on_with_the_same_job(
    own_cloud: LocalCloud, tmp_path: Path, end: Callable[[LocalCloud], None]
) -> None:
    gate = tmp_path / "gate"
    runnable_job(own_cloud, "bench", ["true"])
    definition = {
        "StartAt": "First",
        "States": {
            "First": {"Type": "Pass", "Result": {"from": "First"}, "Next": "Gated"},
            "Gated": task(
                "gated", {"Next": "Last"}, ["sh", "-c", f"until test -e {gate}; do sleep 0.1; done"]
            ),
            "Last": task("last", {"End": True}, ["true"]),
        },
    }
    states = own_cloud.client("stepfunctions")
    machine = states.create_state_machine(name="m", roleArn=ROLE, definition=json.dumps(definition))
    execution = states.start_execution(stateMachineArn=machine["stateMachineArn"])["executionArn"]
    saved = own_cloud.data_dir / "state/stepfunctions.json"
    wait_for(lambda: jobs(own_cloud, "gated"), "the job")
    wait_for(
        lambda: saved.exists() and '\\"Gated\\"' in json.dumps(saved.read_text()),
        "a snapshot of the execution",
    )
    end(own_cloud)
    own_cloud.start()
    states = own_cloud.client("stepfunctions")
    assert states.describe_execution(executionArn=execution)["status"] == "RUNNING"
    gate.touch()

    def ended() -> dict[str, Any] | None:
        now = dict(states.describe_execution(executionArn=execution))
        return now if now["status"] != "RUNNING" else None

    outcome = wait_for(ended, "the end of the execution")
    assert outcome["status"] == "SUCCEEDED", outcome
    output = json.loads(outcome["output"])
    assert (output["from"], output["gated"]["Status"], output["last"]["Status"]) == (
        "First",
        "SUCCEEDED",
        "SUCCEEDED",
    )
    assert (len(jobs(own_cloud, "gated")), len(jobs(own_cloud, "last"))) == (1, 1), (
        "nothing is submitted twice"
    )
    history = states.get_execution_history(executionArn=execution)["events"]
    assert [event["type"] for event in history].count("PassStateEntered") == 1


def jobs(cloud: LocalCloud, name: str) -> list[Any]:
    only = [{"name": "JOB_NAME", "values": [name]}]
    return list(cloud.client("batch").list_jobs(jobQueue="bench", filters=only)["jobSummaryList"])
