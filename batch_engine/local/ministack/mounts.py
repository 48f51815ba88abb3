"""Puts AWS Batch into MiniStack as a target of rules and schedules, and as a task of state machines."""

import contextvars
import json
import threading
from collections.abc import Callable
from typing import Any

from batch_engine.local.delivery.requests import Target
from batch_engine.local.delivery.step_functions import SDK_PREFIX, SUBMIT_JOB, BatchTasks, raising
from batch_engine.local.delivery.targets import BatchTargets
from batch_engine.local.ministack.internals import EventView, MiniStack, Response, StateResult
from batch_engine.local.ministack.resource_types import check_targets_of_rules

# MiniStack's error for an execution that was running when the process ended.
_RESTARTED = "States.ServiceRestart"


def mount_targets(ministack: MiniStack, targets: BatchTargets) -> None:
    """Sends the events of rules and schedules that are for AWS Batch to our targets.

    Args:
        ministack: the adapter.
        targets: delivers the events.
    """
    invoke = ministack.invoke_target

    def invoke_target(
        target: Target, event: Any, rule: dict[str, Any], view: EventView | None = None
    ) -> None:
        if not targets.takes(str(target.get("Arn", ""))):
            invoke(target, event, rule, view)
            return
        view = view or ministack.pattern_event_view(event)
        transformed = None
        if transformer := target.get("InputTransformer"):
            transformed = ministack.apply_input_transformer(transformer, rule, view)
        targets.deliver(target, view.event_with_detail(), str(rule.get("Arn", "")), transformed)

    ministack.invoke_target = invoke_target
    validate = ministack.validate_target_arn

    def validate_target_arn(target: Target) -> Response | None:
        if (reason := targets.refusal(target)) is None:
            return validate(target)
        return ministack.error_response_json("ValidationException", reason, 400)

    ministack.validate_target_arn = validate_target_arn
    check_targets_of_rules(ministack, targets.refusal)


def mount_tasks(ministack: MiniStack, tasks: BatchTasks) -> None:
    """Lets state machines use AWS Batch in their tasks.

    Args:
        ministack: the adapter.
        tasks: carries the tasks out.
    """
    execute = ministack.execute_task

    def execute_task(state: dict[str, Any], given: Any, execution: Any, context: Any) -> StateResult:
        with tasks.running(execution, state, str(context["State"]["Name"])):
            return execute(state, given, execution, context)

    ministack.execute_task = _replaying(execute_task, tasks)
    ministack.execute_pass = _replaying(ministack.execute_pass, tasks)
    ministack.execute_choice = _replaying(ministack.execute_choice, tasks)
    ministack.execute_wait = _replaying(ministack.execute_wait, tasks)
    ministack.execute_parallel = _replaying(ministack.execute_parallel, tasks)
    ministack.execute_map = _replaying(ministack.execute_map, tasks)
    failure = ministack.execution_error
    ministack.task_resources[SUBMIT_JOB] = raising(failure, tasks.submit_job)
    ministack.task_resources[SDK_PREFIX] = raising(failure, tasks.sdk_call)


def _replaying(handler: Callable[..., StateResult], tasks: BatchTasks) -> Callable[..., StateResult]:
    """Lets a kind of state return the previous run's result, if a resumed execution has one."""

    def run(state: dict[str, Any], given: Any, *rest: Any) -> StateResult:
        context = rest[-1] if rest else None
        if context and "Execution" in context:
            arn, name = context["Execution"].get("Id"), context["State"]["Name"]
            if (done := tasks.resumption.step(str(arn), str(name))) is not None:
                return done
        return handler(state, given, *rest)

    return run


def resume_executions(ministack: MiniStack, tasks: BatchTasks) -> None:
    """Runs the executions again that waited for jobs when the process ended. Call it in the account's scope.

    Args:
        ministack: the adapter.
        tasks: knows the executions.
    """
    machines = ministack.state_machines
    resumed = []
    for arn, execution in list(ministack.executions.items()):
        machine = machines.get(execution["stateMachineArn"])
        # A caller of StartSyncExecution has received its answer, so a synchronous execution ends with it.
        if machine is None or execution.get("error") != _RESTARTED or execution.get("sync"):
            continue
        if tasks.resumption.resume(execution, json.loads(machine["definition"])):
            resumed.append(arn)
    tasks.resumption.settle()
    for arn in resumed:
        # The thread needs a copy of this scope: MiniStack's stores belong to the account of the scope.
        run = contextvars.copy_context().run
        threading.Thread(target=run, args=(ministack.run_execution, arn), daemon=True).start()


def refuse_pipes(ministack: MiniStack) -> None:
    """Refuses pipes to AWS Batch, since they would not deliver.

    Args:
        ministack: the adapter.
    """
    check = ministack.check_target_supported

    def check_target_supported(target: str) -> None:
        if BatchTargets.takes(target):
            raise ValueError(
                f"EventBridge Pipes to AWS Batch are not supported by the local cloud, got target {target}: "
                "use a rule, a schedule or a function"
            )
        check(target)

    ministack.check_target_supported = check_target_supported
