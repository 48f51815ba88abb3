"""AWS Batch in Step Functions: ``batch:submitJob``, ``batch:submitJob.sync`` and ``aws-sdk:batch:*``.

https://docs.aws.amazon.com/step-functions/latest/dg/connect-batch.html
"""

import json
import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from batch_engine import translation as cfn
from batch_engine.local.base.ports import BatchService, ClientError
from batch_engine.local.delivery.executions import Execution, Resumption, Wait, Waits
from batch_engine.local.delivery.requests import Authorize, TargetError

SUBMIT_JOB = "arn:aws:states:::batch:submitJob"
SDK_PREFIX = "arn:aws:states:::aws-sdk:batch:"
STATES = "states.amazonaws.com"
_POLL_S = 0.05
_POLL_MAX_S = 1.0
_TERMINAL = ("SUCCEEDED", "FAILED")


class TaskFailedError(Exception):
    """A task failed.

    Args:
        error: the error's name, which ``Retry`` and ``Catch`` match.
        cause: the explanation.
    """

    def __init__(self, error: str, cause: str) -> None:
        super().__init__(f"{error}: {cause}")
        self.error = error
        self.cause = cause


Task = Callable[[str, object], dict[str, Any]]


def raising(failure: Callable[[str, str], Exception], task: Task) -> Task:
    """Returns a task that raises the interpreter's exception in place of TaskFailedError.

    Args:
        failure: makes the exception from the error's name and its cause.
        task: a task of `BatchTasks`.
    """

    def carry_out(resource: str, arguments: object) -> dict[str, Any]:
        try:
            return task(resource, arguments)
        except TaskFailedError as error:
            raise failure(error.error, error.cause) from error

    return carry_out


class BatchTasks:
    """Carries out the tasks of state machines, on the executions' own threads.

    Args:
        service: the AWS Batch API.
        authorize: checks that the state machine's role allows a request; see `Authorize`.
        waits: the file of waits.
    """

    def __init__(self, service: BatchService, authorize: Authorize, waits: Waits) -> None:
        self._service = service
        self._waits = waits
        self.resumption = Resumption(waits)
        self._authorize = authorize
        self._closing = threading.Event()
        self._current: ContextVar[tuple[Execution, Mapping[str, Any], str]] = ContextVar(
            "execution and state", default=({}, {}, "")
        )

    @contextmanager
    def running(
        self, execution: Execution | None, state: Mapping[str, Any], name: str = ""
    ) -> Iterator[None]:
        """Sets the execution and the state of the task that runs inside the block.

        A job that the task waits for is terminated when the execution stops or the state times out.

        Args:
            execution: the interpreter's record, whose ``status`` tells when it stops.
            state: the definition of the task's state.
            name: the state's name.
        """
        token = self._current.set((execution or {}, state, name))
        try:
            yield
        finally:
            self._current.reset(token)

    def submit_job(self, resource: str, arguments: object) -> dict[str, Any]:
        """Carries out ``batch:submitJob``, or ``batch:submitJob.sync``, which waits for the job's end.

        Raises:
            TaskFailedError: AWS Batch refused, or the job ended ``FAILED``.
        """
        if not resource.endswith(".sync"):
            return cfn.to_pascal_case("SubmitJob", self._call("SubmitJob", arguments))
        execution, _, state = self._current.get()
        arn = str(execution.get("executionArn"))
        wait = self.resumption.job(arn, state)
        if wait is None:
            submitted = self._call("SubmitJob", arguments)
            wait = Wait(str(submitted["jobId"]), arn, state, time.time())
            self._waits.add(wait)
        try:
            job = self._wait(wait)
        finally:
            self._waits.forget(wait.job_id)
        described: dict[str, Any] = cfn.to_pascal_case("DescribeJobs", {"jobs": [job]})["Jobs"][0]
        if job["status"] == "FAILED":
            raise TaskFailedError("States.TaskFailed", json.dumps(described))
        return described

    def sdk_call(self, resource: str, arguments: object) -> dict[str, Any]:
        """Carries out any operation, such as ``aws-sdk:batch:describeJobs``.

        Raises:
            TaskFailedError: AWS Batch refused, or has no such operation.
        """
        action = resource.removeprefix(SDK_PREFIX)
        operation = action[:1].upper() + action[1:]
        if not cfn.has_operation(operation):
            raise TaskFailedError("States.Runtime", f"AWS Batch has no operation {action!r}")
        return cfn.to_pascal_case(operation, self._call(operation, arguments))

    def close(self) -> None:
        """Stops waiting for jobs: the jobs go on, and the next run waits for them again."""
        self._closing.set()
        self._waits.close()

    def _call(self, operation: str, arguments: object) -> dict[str, Any]:
        given = arguments if isinstance(arguments, Mapping) else {}
        try:
            request = cfn.to_request("Step Functions task", operation, given, root="Arguments")
            execution, _, _ = self._current.get()
            machine = str(execution.get("stateMachineArn"))
            self._authorize(role_of(execution), STATES, machine, operation, request)
            return self._service.call(operation, request)
        except TargetError as error:
            cause = f"{error} (Service: AWSBatch; Status Code: 403; Error Code: AccessDeniedException)"
            raise TaskFailedError("Batch.AWSBatchException", cause) from error
        except cfn.PropertyError as error:
            raise TaskFailedError("States.Runtime", str(error)) from error
        except ClientError as error:
            cause = f"{error.message} (Service: AWSBatch; Status Code: 400; Error Code: ClientException)"
            raise TaskFailedError("Batch.ClientException", cause) from error

    def _wait(self, wait: Wait) -> dict[str, Any]:
        execution, state, _ = self._current.get()
        timeout_s = state.get("TimeoutSeconds")
        deadline_s = wait.since_s + timeout_s if isinstance(timeout_s, int | float) else math.inf
        pause_s = _POLL_S
        while True:
            self._park_at_the_end()
            listed = self._service.call("DescribeJobs", {"jobs": [wait.job_id]})["jobs"]
            if not listed:
                raise TaskFailedError("States.TaskFailed", f"Job {wait.job_id} is not known any more")
            job: dict[str, Any] = listed[0]
            if job["status"] in _TERMINAL:
                return job
            stopped = execution.get("status", "RUNNING") != "RUNNING"
            if stopped or time.time() > deadline_s:
                reason = "The execution was stopped" if stopped else "The state has timed out"
                self._service.call("TerminateJob", {"jobId": wait.job_id, "reason": reason})
                # This is no failure: an execution that was stopped stays ABORTED.
                return job
            self._closing.wait(pause_s)
            pause_s = min(pause_s * 1.5, _POLL_MAX_S)

    def _park_at_the_end(self) -> None:
        """Blocks for ever if the cloud stops: the execution stays RUNNING until the process ends."""
        if self._closing.is_set():
            threading.Event().wait()


def role_of(execution: Execution) -> str:
    """Returns the ARN of the role that an execution acts under: its state machine's when it began."""
    started: Mapping[str, Any] = next(iter(execution.get("events") or ()), {})
    return str((started.get("executionStartedEventDetails") or {}).get("roleArn", ""))
