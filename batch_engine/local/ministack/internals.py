"""Everything of MiniStack's insides that the local cloud touches, by name.

No other file imports MiniStack: `tests/conformance/cloud/test_ministack_contract.py` fails when an upgrade
moves any of it.
"""

import importlib
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

INTERNALS: Mapping[str, tuple[str, ...]] = {
    # The ASGI application; the table of services; modules by name, ours for "batch" put in first; what is
    # persisted; whether Docker is looked for (never: nothing here may touch the user's containers).
    "ministack.app": (
        "app",
        "SERVICE_HANDLERS",
        "_loaded_modules",
        "_build_persistence_save_dict",
        "_docker_socket_present",
        "pin_request_origin",
    ),
    # Policies: what a REST request asks for, on which resource, and by what transport; who may do it. The way
    # to make a session of a role; the store of the roles.
    "ministack.core.iam_actions": (
        "SERVICE_TO_IAM_NAMESPACE",
        "extract_iam_action",
        "extract_resource_arn",
    ),
    "ministack.core.iam_evaluator": ("AuthError", "EvalContext", "enforce", "evaluate_trust_policy"),
    "ministack.core.lambda_runtime": ("reset",),
    "ministack.core.persistence": ("save_all",),
    "ministack.core.responses": ("error_response_json", "request_scope"),
    "ministack.core.router": ("extract_access_key_id",),
    # Resource types; which of them may block, and so run on a thread of their own; the stacks.
    "ministack.services.cloudformation": ("_stacks",),
    "ministack.services.cloudformation.provisioners": ("_RESOURCE_HANDLERS",),
    "ministack.services.cloudformation.stacks": ("_runs_on_worker_thread",),
    # What change sets compare.
    "ministack.services.cloudformation.changesets": ("_resolve_props_for_diff",),
    # The way in for events of AWS's own services: PutEvents refuses every source that starts with "aws.".
    # The way out, which EventBridge Scheduler takes as well: to a rule's or a schedule's target.
    "ministack.services.eventbridge": (
        "_dispatch_event",
        "_archive_event",
        "_invoke_target",
        "_apply_input_transformer",
        "_pattern_event_view",
        "_validate_target_arn",
    ),
    # What a pipe may not deliver to.
    "ministack.services.pipes": ("check_target_supported",),
    "ministack.services.sts": ("register_session",),
    # The resources of Task states by prefix; what a failed task raises; what knows whose task it is. What
    # carries out each kind of state; the executions, their state machines, and what runs one from its start.
    "ministack.services.stepfunctions": (
        "_SERVICE_DISPATCH",
        "_ExecutionError",
        "_execute_task",
        "_execute_pass",
        "_execute_choice",
        "_execute_wait",
        "_execute_parallel",
        "_execute_map",
        "_executions",
        "_state_machines",
        "_run_execution",
    ),
}


class MiniStackMovedError(RuntimeError):
    """An internal of MiniStack that this file uses is not where it was."""


class Internal:
    """One name inside one of MiniStack's modules."""

    def __init__(self, module: Any, name: str) -> None:
        self._module = module
        self._name = name

    @property
    def value(self) -> Any:
        """What stands under this name now."""
        return getattr(self._module, self._name)

    def replace(self, value: object) -> None:
        """Have something else stand there."""
        setattr(self._module, self._name, value)


def load_internals() -> dict[str, Internal]:
    """Import MiniStack and find everything in `INTERNALS`; the environment must have been set before.

    Raises:
        MiniStackMovedError: a name is not where it was.
    """
    found: dict[str, Internal] = {}
    for module_name, names in INTERNALS.items():
        try:
            module = importlib.import_module(module_name)
        except ImportError as error:
            raise MiniStackMovedError(_moved(module_name)) from error
        for name in names:
            if not hasattr(module, name):
                raise MiniStackMovedError(_moved(f"{module_name}.{name}"))
            found[name] = Internal(module, name)
    return found


def _moved(what: str) -> str:
    return (
        f"MiniStack {version('ministack')} has no {what}, which "
        "batch_engine/local/ministack/internals.py names: "
        "install the version pinned in requirements.txt, or adapt INTERNALS there"
    )
