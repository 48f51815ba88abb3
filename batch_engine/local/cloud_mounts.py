"""Where AWS Batch is put into MiniStack beside its own API: as a target, and as a task of state machines."""

from collections.abc import Mapping
from typing import Any

from batch_engine.local.cloud_internals import Internal
from batch_engine.local.cloud_step_functions import SDK_PREFIX, SUBMIT_JOB, BatchTasks, raising
from batch_engine.local.cloud_targets import BatchTargets
from batch_engine.local.stack_handlers import RULE, checking_targets

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
        with tasks.running(execution, state):
            return original(state, given, execution, context)

    execute.replace(execute_task)
    internals["_SERVICE_DISPATCH"].value.update(
        {
            SUBMIT_JOB: raising(failure, tasks.submit_job),
            SDK_PREFIX: raising(failure, tasks.sdk_call),
        }
    )
