"""Where AWS Batch is put into MiniStack beside its own API: as a target, and as a task of state machines."""

import contextvars
import json
import threading
from collections.abc import Callable, Mapping
from typing import Any

from batch_engine.local.cloudformation.handlers import RULE, checking_targets
from batch_engine.local.delivery.step_functions import SDK_PREFIX, SUBMIT_JOB, BatchTasks, raising
from batch_engine.local.delivery.targets import BatchTargets
from batch_engine.local.ministack.internals import Internal

Internals = Mapping[str, Internal]


def mount_targets(internals: Internals, targets: BatchTargets) -> None:
    """Have rules and schedules reach AWS Batch.

    Args:
        internals: MiniStack's.
        targets: takes what is for AWS Batch.
    """
    invoke = internals["_invoke_target"]
    original = invoke.value

    def invoke_target(target: dict[str, Any], event: Any, rule: dict[str, Any], view: Any = None) -> None:
        if not targets.takes(str(target.get("Arn", ""))):
            original(target, event, rule, view)
            return
        view = view or internals["_pattern_event_view"].value(event)
        transformed = None
        if transformer := target.get("InputTransformer"):
            transformed = internals["_apply_input_transformer"].value(transformer, rule, view)
        targets.deliver(target, view.event_with_detail(), str(rule.get("Arn", "")), transformed)

    invoke.replace(invoke_target)
    validate = internals["_validate_target_arn"]
    original_validate = validate.value
    error = internals["error_response_json"].value

    def validate_target_arn(target: dict[str, Any]) -> Any:
        reason = targets.refusal(target)
        return original_validate(target) if reason is None else error("ValidationException", reason, 400)

    validate.replace(validate_target_arn)
    handlers = internals["_RESOURCE_HANDLERS"].value
    handlers[RULE] = checking_targets(handlers[RULE], targets.refusal)


def mount_tasks(internals: Internals, tasks: BatchTasks) -> None:
    """Have state machines reach AWS Batch.

    Args:
        internals: MiniStack's.
        tasks: carries the tasks out.
    """
    failure = internals["_ExecutionError"].value
    execute = internals["_execute_task"]
    original = execute.value

    def execute_task(state: dict[str, Any], given: Any, execution: Any, context: Any) -> Any:
        with tasks.running(execution, state, str(context["State"]["Name"])):
            return original(state, given, execution, context)

    execute.replace(execute_task)
    for kind in ("pass", "choice", "wait", "task", "parallel", "map"):
        handler = internals[f"_execute_{kind}"]
        handler.replace(_replaying(handler.value, tasks))
    internals["_SERVICE_DISPATCH"].value.update(
        {
            SUBMIT_JOB: raising(failure, tasks.submit_job),
            SDK_PREFIX: raising(failure, tasks.sdk_call),
        }
    )


def _replaying(handler: Callable[..., Any], tasks: BatchTasks) -> Callable[..., Any]:
    """Skip what an execution that is taken up again had done before."""

    def run(state: dict[str, Any], given: Any, *rest: Any) -> Any:
        context = rest[-1] if rest else None
        if context and "Execution" in context:
            arn, name = context["Execution"].get("Id"), context["State"]["Name"]
            if (done := tasks.resumption.step(str(arn), str(name))) is not None:
                return done
        return handler(state, given, *rest)

    return run


def resume_executions(internals: Internals, tasks: BatchTasks) -> None:
    """Take up the executions that waited for jobs when the process ended; in the account's scope.

    Args:
        internals: MiniStack's.
        tasks: knows which they are.
    """
    machines = internals["_state_machines"].value
    resumed = []
    for arn, execution in list(internals["_executions"].value.items()):
        machine = machines.get(execution.get("stateMachineArn"))
        if machine is not None and tasks.resumption.resume(execution, json.loads(machine["definition"])):
            resumed.append(arn)
    tasks.resumption.settle()
    for arn in resumed:
        # In a copy of this scope: MiniStack's stores answer for the account that it names.
        run = contextvars.copy_context().run
        threading.Thread(target=run, args=(internals["_run_execution"].value, arn), daemon=True).start()


def refuse_pipes(internals: Internals) -> None:
    """Have pipes to AWS Batch refused by name: they would never deliver anything.

    Args:
        internals: MiniStack's.
    """
    check = internals["check_target_supported"]
    original = check.value

    def check_target_supported(target: str) -> None:
        if BatchTargets.takes(target):
            raise ValueError(
                f"EventBridge Pipes to AWS Batch are not supported by the local cloud, got target {target}: "
                "use a rule, a schedule or a function"
            )
        original(target)

    check.replace(check_target_supported)
