"""The adapter of MiniStack: all of its internal names that the local cloud reads or replaces, with types.

MiniStack has no plug-in interface, and a release may move any of these names. No other file imports it.
`tests/conformance/cloud/test_ministack_contract.py` has one contract test for each name.
"""

import importlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from importlib.metadata import version
from types import ModuleType
from typing import Any, Generic, NotRequired, Protocol, TypedDict, TypeVar, overload

from batch_engine.local.api.asgi import AsgiApp
from batch_engine.local.aws.client import Handler
from batch_engine.local.delivery.executions import Execution
from batch_engine.local.delivery.requests import Target

_T = TypeVar("_T")

Properties = dict[str, Any]
Attributes = dict[str, str]
Made = tuple[str, Attributes]
"""A resource's physical id, and what ``Fn::GetAtt`` answers."""
Response = tuple[int, dict[str, str], bytes]
StateResult = tuple[Any, str]
"""A state's output, and the name of the next state."""


class TableEntry(TypedDict):
    """An entry of the table of CloudFormation's resource types; ``update`` takes old and new properties."""

    create: Callable[[str, Properties, str], Made]
    update: Callable[..., Made]
    update_with_logical_id: NotRequired[bool]
    delete: Callable[..., None]


class EventView(Protocol):
    """An event as rules match it."""

    def event_with_detail(self) -> dict[str, Any]:
        """Returns the event as its targets receive it."""
        ...


class AuthFailure:
    """The shape of the answer to a request whose credentials are not valid."""

    message: str


class PolicyDenial:
    """The shape of the answer to an action that is not allowed; an explicit ``decision`` is ``Deny``."""

    principal_arn: str
    decision: str


class MiniStackMovedError(RuntimeError):
    """This version of MiniStack lacks a name that the adapter declares."""


class Name(Generic[_T]):
    """A descriptor for one name in one module: reading returns its value, assignment replaces it.

    Args:
        module: the module's full name.
        name: the name in that module.
    """

    def __init__(self, module: str, name: str) -> None:
        self.module = module
        self.name = name

    @overload
    def __get__(self, instance: None, owner: type) -> "Name[_T]": ...
    @overload
    def __get__(self, instance: object, owner: type) -> _T: ...
    def __get__(self, instance: object | None, owner: type) -> "Name[_T] | _T":
        if instance is None:
            return self
        value: _T = getattr(self._imported(), self.name)
        return value

    def __set__(self, instance: object, value: _T) -> None:
        setattr(self._imported(), self.name, value)

    def check(self) -> None:
        """Imports the module and looks the name up.

        Raises:
            MiniStackMovedError: there is no such module or name.
        """
        try:
            found = hasattr(self._imported(), self.name)
        except ImportError as error:
            raise MiniStackMovedError(_moved(self.module)) from error
        if not found:
            raise MiniStackMovedError(_moved(f"{self.module}.{self.name}"))

    def _imported(self) -> ModuleType:
        return importlib.import_module(self.module)


class MiniStack:
    """MiniStack in this process. The environment must be complete before: MiniStack reads it on import.

    Raises:
        MiniStackMovedError: a name is not in its module.
    """

    app = Name[AsgiApp]("ministack.app", "app")
    service_handlers = Name[dict[str, Handler]]("ministack.app", "SERVICE_HANDLERS")
    loaded_modules = Name[dict[str, object]]("ministack.app", "_loaded_modules")
    docker_socket_present = Name[Callable[[], bool]]("ministack.app", "_docker_socket_present")
    build_persistence_save_dict = Name[Callable[[], dict[str, Callable[[], object]]]](
        "ministack.app", "_build_persistence_save_dict"
    )
    save_all = Name[Callable[[dict[str, Callable[[], object]]], None]](
        "ministack.core.persistence", "save_all"
    )
    reset_functions = Name[Callable[[], None]]("ministack.core.lambda_runtime", "reset")
    request_scope = Name[Callable[[str, str], AbstractContextManager[None]]](
        "ministack.core.responses", "request_scope"
    )
    error_response_json = Name[Callable[[str, str, int], Response]](
        "ministack.core.responses", "error_response_json"
    )

    # IAM: the source of a request, the action and the resource that it names, and the decision about it.
    pin_request_origin = Name[Callable[[str, bool], None]]("ministack.app", "pin_request_origin")
    namespaces = Name[dict[str, str]]("ministack.core.iam_actions", "SERVICE_TO_IAM_NAMESPACE")
    extract_iam_action = Name[Callable[..., str | None]]("ministack.core.iam_actions", "extract_iam_action")
    extract_resource_arn = Name[Callable[..., str]]("ministack.core.iam_actions", "extract_resource_arn")
    extract_access_key_id = Name[Callable[[Mapping[str, str], dict[str, list[str]]], str]](
        "ministack.core.router", "extract_access_key_id"
    )
    enforce = Name[Callable[..., AuthFailure | PolicyDenial | None]](
        "ministack.core.iam_evaluator", "enforce"
    )
    auth_error = Name[type[AuthFailure]]("ministack.core.iam_evaluator", "AuthError")
    eval_context = Name[Callable[..., object]]("ministack.core.iam_evaluator", "EvalContext")
    evaluate_trust_policy = Name[Callable[[dict[str, Any], str, object], bool]](
        "ministack.core.iam_evaluator", "evaluate_trust_policy"
    )
    register_session = Name[Callable[[str, dict[str, Any]], None]](
        "ministack.services.sts", "register_session"
    )

    # CloudFormation: the stacks, the resource types, and what change sets compare.
    stacks = Name[Mapping[str, dict[str, Any]]]("ministack.services.cloudformation", "_stacks")
    resource_handlers = Name[dict[str, TableEntry]](
        "ministack.services.cloudformation.provisioners", "_RESOURCE_HANDLERS"
    )
    runs_on_worker_thread = Name[Callable[[str], bool]](
        "ministack.services.cloudformation.stacks", "_runs_on_worker_thread"
    )
    resolve_props_for_diff = Name[Callable[..., dict[str, Any]]](
        "ministack.services.cloudformation.changesets", "_resolve_props_for_diff"
    )

    # EventBridge: the entrance for AWS's own events, since PutEvents refuses sources that start with "aws.",
    # and the exit to targets, which EventBridge Scheduler uses as well.
    dispatch_event = Name[Callable[[dict[str, Any]], None]](
        "ministack.services.eventbridge", "_dispatch_event"
    )
    archive_event = Name[Callable[[dict[str, Any]], None]]("ministack.services.eventbridge", "_archive_event")
    rules = Name[Mapping[str, dict[str, Any]]]("ministack.services.eventbridge", "_rules")
    archives = Name[Mapping[str, dict[str, Any]]]("ministack.services.eventbridge", "_archives")
    invoke_target = Name[Callable[[Target, Any, dict[str, Any], EventView | None], None]](
        "ministack.services.eventbridge", "_invoke_target"
    )
    pattern_event_view = Name[Callable[[Any], EventView]](
        "ministack.services.eventbridge", "_pattern_event_view"
    )
    apply_input_transformer = Name[Callable[[dict[str, Any], dict[str, Any], EventView], str]](
        "ministack.services.eventbridge", "_apply_input_transformer"
    )
    validate_target_arn = Name[Callable[[Target], Response | None]](
        "ministack.services.eventbridge", "_validate_target_arn"
    )
    check_target_supported = Name[Callable[[str], None]]("ministack.services.pipes", "check_target_supported")

    # Step Functions: the tasks by the prefix of their resource, the interpreter's functions by kind of state,
    # the records of executions and state machines.
    task_resources = Name[dict[str, Callable[[str, object], dict[str, Any]]]](
        "ministack.services.stepfunctions", "_SERVICE_DISPATCH"
    )
    execution_error = Name[Callable[[str, str], Exception]](
        "ministack.services.stepfunctions", "_ExecutionError"
    )
    execute_task = Name[Callable[..., StateResult]]("ministack.services.stepfunctions", "_execute_task")
    execute_pass = Name[Callable[..., StateResult]]("ministack.services.stepfunctions", "_execute_pass")
    execute_choice = Name[Callable[..., StateResult]]("ministack.services.stepfunctions", "_execute_choice")
    execute_wait = Name[Callable[..., StateResult]]("ministack.services.stepfunctions", "_execute_wait")
    execute_parallel = Name[Callable[..., StateResult]](
        "ministack.services.stepfunctions", "_execute_parallel"
    )
    execute_map = Name[Callable[..., StateResult]]("ministack.services.stepfunctions", "_execute_map")
    executions = Name[Mapping[str, Execution]]("ministack.services.stepfunctions", "_executions")
    state_machines = Name[Mapping[str, dict[str, Any]]]("ministack.services.stepfunctions", "_state_machines")
    run_execution = Name[Callable[[str], None]]("ministack.services.stepfunctions", "_run_execution")

    def __init__(self) -> None:
        for _, name in declared_names(type(self)):
            name.check()

    def has_listeners(self) -> bool:
        """Returns whether the account has an archive or an enabled rule."""
        return bool(self.archives) or any(rule.get("State") == "ENABLED" for rule in self.rules.values())

    def publish(self, event: dict[str, Any]) -> None:
        """Matches an event against the rules and the archives of its bus."""
        self.dispatch_event(event)
        self.archive_event(event)

    def save(self) -> None:
        """Writes the state of every service to its file."""
        self.save_all(self.build_persistence_save_dict())


def declared_names(adapter: type) -> Iterator[tuple[str, Name[Any]]]:
    """Yields each attribute of an adapter that is a name of MiniStack's, with its descriptor."""
    for attribute, value in vars(adapter).items():
        if isinstance(value, Name):
            yield attribute, value


def _moved(what: str) -> str:
    return (
        f"MiniStack {version('ministack')} has no {what}, which batch_engine/local/ministack/internals.py "
        "declares: install the version pinned in requirements.txt, or adapt the declaration"
    )
