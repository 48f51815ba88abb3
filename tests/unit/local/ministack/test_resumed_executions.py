"""The executions that a start of the local cloud runs again."""

from types import SimpleNamespace
from typing import Any

from batch_engine.local.ministack.mounts import resume_executions
from tests.support import wait_for

CUT_SHORT = {"stateMachineArn": "m", "status": "FAILED", "error": "States.ServiceRestart"}


class Resumption:
    """Resumes each execution that it is asked for."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def resume(self, execution: dict[str, Any], definition: dict[str, Any]) -> bool:
        assert definition == {"States": {}}
        self.calls.append(execution["executionArn"])
        return execution["executionArn"] != "cannot"

    def settle(self) -> None:
        self.calls.append("settled")


def test_executions_that_a_restart_has_ended_run_again() -> None:
    resumption = Resumption()
    executions = {
        "cut-short": CUT_SHORT,
        "cannot": CUT_SHORT,
        "failed": CUT_SHORT | {"error": "States.TaskFailed"},
        "succeeded": {"stateMachineArn": "m", "status": "SUCCEEDED"},
        "synchronous": CUT_SHORT | {"sync": True},
        "without-machine": CUT_SHORT | {"stateMachineArn": "deleted"},
    }
    run: list[str] = []
    ministack = SimpleNamespace(
        state_machines={"m": {"definition": '{"States": {}}'}},
        executions={arn: {"executionArn": arn, **record} for arn, record in executions.items()},
        run_execution=run.append,
    )
    resume_executions(ministack, SimpleNamespace(resumption=resumption))
    assert resumption.calls == ["cut-short", "cannot", "settled"]
    wait_for(lambda: run == ["cut-short"], "the thread of the execution")
