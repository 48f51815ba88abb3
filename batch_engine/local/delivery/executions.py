"""Executions of state machines that wait for jobs: the waits are in a file, and the next run resumes them.

The interpreter ends every execution that was running when its process ended. An execution that waited for a
job of AWS Batch can go on: its finished states are replayed from its history, and it waits for the same job.
"""

import json
import threading
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

from batch_engine.local.base.sqlite_file import open_file

_SCHEMA = """
CREATE TABLE IF NOT EXISTS wait (
    job_id TEXT PRIMARY KEY, execution_arn TEXT NOT NULL, state TEXT NOT NULL, since_s REAL NOT NULL
) WITHOUT ROWID;
"""

Step = tuple[str, Any, str]
"""The name of a state that was over, its output, and the name of the state that followed."""


class Execution(TypedDict, total=False):
    """The interpreter's record of an execution: the members that are read or changed here."""

    executionArn: str
    stateMachineArn: str
    status: str
    stopDate: str | None
    output: str | None
    error: str
    cause: str
    sync: bool
    events: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Wait:
    """A task that waits for a job.

    Args:
        job_id: the job.
        execution_arn: the execution that has the task.
        state: the name of the task's state.
        since_s: when the job was submitted, in epoch seconds.
    """

    job_id: str
    execution_arn: str
    state: str
    since_s: float


class Waits:
    """The file of waits. Thread-safe.

    Args:
        path: the file; it is created if it does not exist.
    """

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        self._connection = open_file(path, _SCHEMA)
        self._closed = False

    def add(self, wait: Wait) -> None:
        """Adds a wait."""
        row = (wait.job_id, wait.execution_arn, wait.state, wait.since_s)
        self._change("INSERT OR REPLACE INTO wait VALUES (?, ?, ?, ?)", row)

    def forget(self, job_id: str) -> None:
        """Deletes the wait of a task that is over."""
        self._change("DELETE FROM wait WHERE job_id = ?", (job_id,))

    def _change(self, statement: str, values: tuple[Any, ...]) -> None:
        with self._lock:
            # A late thread may come after the close. The next run waits for the same job and sees its end.
            if not self._closed:
                self._connection.execute(statement, values)

    def all(self) -> list[Wait]:
        """Returns the waits in the file."""
        query = "SELECT job_id, execution_arn, state, since_s FROM wait"
        with self._lock:
            rows = self._connection.execute(query).fetchall()
        return [Wait(*row) for row in rows]

    def close(self) -> None:
        """Closes the file; later changes are ignored."""
        with self._lock:
            self._closed = True
            self._connection.close()


class Resumption:
    """The executions that go on: their steps to replay, and the jobs that they wait for.

    Args:
        waits: the waits of the run before.
    """

    def __init__(self, waits: Waits) -> None:
        self._waits = waits
        self._left: dict[str, list[Wait]] = {}
        for wait in waits.all():
            self._left.setdefault(wait.execution_arn, []).append(wait)
        self._steps: dict[str, deque[Step]] = {}
        self._jobs: dict[tuple[str, str], Wait] = {}
        self._lock = threading.Lock()

    def resume(self, execution: Execution, definition: Mapping[str, Any]) -> bool:
        """Makes an execution that a restart has ended ready to run again.

        Args:
            execution: the interpreter's record; it is changed, and names the reason if it cannot run again.
            definition: the definition of its state machine.

        Returns:
            Whether it can run again.
        """
        arn = execution["executionArn"]
        waits = self._left.get(arn)
        if waits is None:
            return False
        states = definition.get("States") or {}
        if len(waits) != 1 or waits[0].state not in states or '"Assign"' in json.dumps(states):
            jobs = ", ".join(wait.job_id for wait in waits)
            execution["cause"] = (
                "The local cloud was restarted while this execution waited for AWS Batch; "
                f"its jobs go on: {jobs}. "
                "Executions are not resumed inside a Map or Parallel state, nor where variables are assigned"
            )
            return False
        with self._lock:
            self._steps[arn] = deque(steps_of(execution.get("events") or [], states))
            self._jobs[arn, waits[0].state] = waits[0]
        # The replay writes the rest of the history again.
        execution["events"] = (execution.get("events") or [])[:1]
        execution.update({"status": "RUNNING", "stopDate": None, "output": None})
        execution.pop("error", None)
        execution.pop("cause", None)
        return True

    def settle(self) -> None:
        """Deletes the waits of executions that were not resumed; call it after the last ``resume``."""
        for waits in self._left.values():
            for wait in waits:
                if (wait.execution_arn, wait.state) not in self._jobs:
                    self._waits.forget(wait.job_id)

    def step(self, execution_arn: str, state: str) -> tuple[Any, str] | None:
        """Returns the output of a state in the run before and the next state; None if it was not over."""
        with self._lock:
            steps = self._steps.get(execution_arn)
            if not steps or steps[0][0] != state:
                self._steps.pop(execution_arn, None)
                return None
            _, output, following = steps.popleft()
        return output, following

    def job(self, execution_arn: str, state: str) -> Wait | None:
        """Returns the job that a state submitted in the run before, on the first call only."""
        with self._lock:
            return self._jobs.pop((execution_arn, state), None)


def steps_of(events: Iterable[Mapping[str, Any]], states: Mapping[str, Any]) -> list[Step]:
    """Returns the states that were over according to a history.

    Args:
        events: the history; it has the states inside Map and Parallel states as well.
        states: the states of the state machine itself.
    """
    entered: list[str] = []
    left: list[tuple[str, Any]] = []
    for event in events:
        if details := event.get("stateEnteredEventDetails"):
            entered += [details["name"]] if details["name"] in states else []
        elif (details := event.get("stateExitedEventDetails")) and details["name"] in states:
            left.append((details["name"], json.loads(details["output"])))
    return [(name, output, following) for (name, output), following in zip(left, entered[1:], strict=False)]
