"""Executions of state machines that wait for jobs: written down, and taken up again by the next run.

MiniStack ends every execution that ran when its process did. Those that waited for a job of AWS Batch in a
state of their own go on: what they had done is replayed from their history, and the same job is waited for.
"""

import json
import threading
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from batch_engine.local.base.sqlite_file import open_file

_SCHEMA = """
CREATE TABLE IF NOT EXISTS wait (
    job_id TEXT PRIMARY KEY, execution_arn TEXT NOT NULL, state TEXT NOT NULL, since_s REAL NOT NULL
) WITHOUT ROWID;
"""
# What MiniStack says of an execution that ran when the process ended.
RESTARTED = "States.ServiceRestart"

Step = tuple[str, Any, str]


@dataclass(frozen=True, slots=True)
class Wait:
    """One task that waits for a job.

    Args:
        job_id: the job.
        execution_arn: whose task it is.
        state: the name of the task's state.
        since_s: when the job was submitted, in epoch seconds.
    """

    job_id: str
    execution_arn: str
    state: str
    since_s: float


class Waits:
    """The file. Thread-safe.

    Args:
        path: made where it does not exist.
    """

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        self._connection = open_file(path, _SCHEMA)
        self._closed = False

    def add(self, wait: Wait) -> None:
        """Write one down."""
        row = (wait.job_id, wait.execution_arn, wait.state, wait.since_s)
        self._change("INSERT OR REPLACE INTO wait VALUES (?, ?, ?, ?)", row)

    def forget(self, job_id: str) -> None:
        """Strike one off: its task is over."""
        self._change("DELETE FROM wait WHERE job_id = ?", (job_id,))

    def _change(self, statement: str, values: tuple[Any, ...]) -> None:
        with self._lock:
            # A thread that is late meets the next run's view: it finds the job again, and its end.
            if not self._closed:
                self._connection.execute(statement, values)

    def all(self) -> list[Wait]:
        """Read what is left."""
        query = "SELECT job_id, execution_arn, state, since_s FROM wait"
        with self._lock:
            rows = self._connection.execute(query).fetchall()
        return [Wait(*row) for row in rows]

    def close(self) -> None:
        """Close the file; what is changed later is ignored."""
        with self._lock:
            self._closed = True
            self._connection.close()


class Resumption:
    """What is taken up again: steps to replay, and jobs to go on waiting for.

    Args:
        waits: what the run before this one has left.
    """

    def __init__(self, waits: Waits) -> None:
        self._waits = waits
        self._left: dict[str, list[Wait]] = {}
        for wait in waits.all():
            self._left.setdefault(wait.execution_arn, []).append(wait)
        self._steps: dict[str, deque[Step]] = {}
        self._jobs: dict[tuple[str, str], Wait] = {}
        self._lock = threading.Lock()

    def resume(self, execution: dict[str, Any], definition: Mapping[str, Any]) -> bool:
        """Make an execution ready to run again; say whether it can.

        Args:
            execution: MiniStack's record; changed.
            definition: its state machine's.
        """
        arn = str(execution["executionArn"])
        waits = self._left.get(arn)
        if waits is None or execution.get("error") != RESTARTED or execution.get("sync"):
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
        # The replay writes the history again, up to where it had come.
        execution["events"] = (execution.get("events") or [])[:1]
        execution.update(status="RUNNING", stopDate=None, output=None)
        for name in ("error", "cause"):
            execution.pop(name, None)
        return True

    def settle(self) -> None:
        """Forget what nobody waits for any more; when all has been resumed that can be."""
        for waits in self._left.values():
            for wait in waits:
                if (wait.execution_arn, wait.state) not in self._jobs:
                    self._waits.forget(wait.job_id)

    def step(self, execution_arn: str, state: str) -> tuple[Any, str] | None:
        """Give what a state came to in the run before, and the next one; None where it was not over."""
        with self._lock:
            steps = self._steps.get(execution_arn)
            if not steps or steps[0][0] != state:
                self._steps.pop(execution_arn, None)
                return None
            _, output, following = steps.popleft()
        return output, following

    def job(self, execution_arn: str, state: str) -> Wait | None:
        """Give the job that a state has submitted already, once."""
        with self._lock:
            return self._jobs.pop((execution_arn, state), None)


def steps_of(events: Iterable[Mapping[str, Any]], states: Mapping[str, Any]) -> list[Step]:
    """Read from a history which states were over: name, output, and the state that followed.

    Args:
        events: the history; states inside Map and Parallel states are in it, too.
        states: those of the state machine itself.
    """
    entered: list[str] = []
    left: list[tuple[str, Any]] = []
    for event in events:
        if details := event.get("stateEnteredEventDetails"):
            entered += [details["name"]] if details["name"] in states else []
        elif (details := event.get("stateExitedEventDetails")) and details["name"] in states:
            left.append((details["name"], json.loads(details["output"])))
    return [(name, output, following) for (name, output), following in zip(left, entered[1:], strict=False)]
