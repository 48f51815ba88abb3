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
from batch_engine.local.delivery.executions import Resumption, Wait, Waits
from batch_engine.local.delivery.requests import TargetError
from batch_engine.local.delivery.targets import Authorize

SUBMIT_JOB = "arn:aws:states:::batch:submitJob"
SDK_PREFIX = "arn:aws:states:::aws-sdk:batch:"
STATES = "states.amazonaws.com"
_POLL_S = 0.05
_POLL_MAX_S = 1.0
_TERMINAL = ("SUCCEEDED", "FAILED")


class TaskFailedError(Exception):
    """A task failed.

    Args:
        error: its name, which ``Retry`` and ``Catch`` match.
        cause: the explanation.
    """

    def __init__(self, error: str, cause: str) -> None:
        super().__init__(f"{error}: {cause}")
        self.error = error
        self.cause = cause


Task = Callable[[str, object], dict[str, Any]]


def raising(failure: Callable[[str, str], Exception], task: Task) -> Task:
    """Have a task's failure raised as what the state machine's interpreter knows.

    Args:
        failure: makes the interpreter's exception of an error and its cause.
        task: one of `BatchTasks`.
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
        authorize: called with a state machine's role, Step Functions, the state machine, and the operation
            and the request that it is needed for; raises TargetError where the role does not allow it.
        waits: remembers who waits for which job.
    """

    def __init__(self, service: BatchService, authorize: Authorize, waits: Waits) -> None:
        self._service = service
        self._waits = waits
        self.resumption = Resumption(waits)
        self._authorize = authorize
        self._closing = threading.Event()
        self._around: ContextVar[tuple[Mapping[str, Any], Mapping[str, Any], str]] = ContextVar(
            "execution and state", default=({}, {}, "")
        )

    @contextmanager
    def running(
        self, execution: Mapping[str, Any] | None, state: Mapping[str, Any], name: str = ""
    ) -> Iterator[None]:
        """Say whose task is carried out inside: its job ends with the execution, or with the state's timeout.

        Args:
            execution: its ``status`` is looked at while a job is waited for.
            state: the definition of the task's state.
            name: the state's.
        """
        token = self._around.set((execution or {}, state, name))
        try:
            yield
        finally:
            self._around.reset(token)

    def submit_job(self, resource: str, arguments: object) -> dict[str, Any]:
        """Carry out ``batch:submitJob``; with ``.sync`` wait for the job's end.

        Raises:
            TaskFailedError: AWS Batch refused, or the job that was waited for ended ``FAILED``.
        """
        if not resource.endswith(".sync"):
            return cfn.to_pascal_case("SubmitJob", self._call("SubmitJob", arguments))
        execution, _, state = self._around.get()
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
        """Carry out any operation, ``aws-sdk:batch:describeJobs`` for one.

        Raises:
            TaskFailedError: AWS Batch refused, or has no such operation.
        """
        action = resource.removeprefix(SDK_PREFIX)
        operation = action[:1].upper() + action[1:]
        if not cfn.has_operation(operation):
            raise TaskFailedError("States.Runtime", f"AWS Batch has no operation {action!r}")
        return cfn.to_pascal_case(operation, self._call(operation, arguments))

    def close(self) -> None:
        """Look at no job any more: the jobs go on, and the next run takes the waiting up again."""
        self._closing.set()
        self._waits.close()

    def _call(self, operation: str, arguments: object) -> dict[str, Any]:
        given = arguments if isinstance(arguments, Mapping) else {}
        try:
            request = cfn.to_request("Step Functions task", operation, given, root="Arguments")
            execution, _, _ = self._around.get()
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
        execution, state, _ = self._around.get()
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
                # Not a failure: an execution that was stopped stays ABORTED.
                return job
            self._closing.wait(pause_s)
            pause_s = min(pause_s * 1.5, _POLL_MAX_S)

    def _park_at_the_end(self) -> None:
        """Leave the execution as it is, RUNNING, when the cloud stops: its thread ends with the process."""
        if self._closing.is_set():
            threading.Event().wait()


def role_of(execution: Mapping[str, Any]) -> str:
    """Name the role that an execution acts under: its state machine's when it began."""
    started: Mapping[str, Any] = next(iter(execution.get("events") or ()), {})
    return str((started.get("executionStartedEventDetails") or {}).get("roleArn", ""))
