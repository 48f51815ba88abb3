"""Turns a target of a rule or a schedule into a request to AWS Batch.

https://docs.aws.amazon.com/batch/latest/userguide/batch-cwe-target.html
https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-targets-universal.html
"""

import json
from collections.abc import Mapping
from typing import Any, Protocol, TypedDict

from batch_engine import translation as cfn

UNIVERSAL_PREFIX = "arn:aws:scheduler:::aws-sdk:batch:"
# The members of the target's input that reach SubmitJob. By default the input is the whole event.
_FROM_INPUT = ("Parameters", "ContainerOverrides")


class Target(TypedDict, total=False):
    """A target as PutTargets and CreateSchedule take it: the members that AWS Batch needs."""

    Arn: str
    RoleArn: str
    BatchParameters: Mapping[str, Any]
    Input: str
    InputPath: str
    InputTransformer: dict[str, Any]
    RetryPolicy: Mapping[str, int]
    DeadLetterConfig: Mapping[str, str]


class TargetError(Exception):
    """A target cannot be invoked: its settings or input make no request, or its role does not allow it.

    Args:
        message: the reason.
        code: EventBridge's error code.
    """

    def __init__(self, message: str, code: str = "INVALID_PARAMETER") -> None:
        super().__init__(message)
        self.code = code


class Authorize(Protocol):
    """Checks that a role allows a request to AWS Batch."""

    def __call__(
        self, role_arn: str, service: str, source_arn: str, operation: str, request: dict[str, Any]
    ) -> None:
        """Checks one request; not on the event loop.

        Args:
            role_arn: the role.
            service: the service that assumes it, such as ``events.amazonaws.com``.
            source_arn: the resource on whose behalf the service acts.
            operation: the operation of AWS Batch.
            request: its request.

        Raises:
            TargetError: the role cannot be assumed, or does not allow the request.
        """
        ...


def submit_request(target: Target, event: Mapping[str, Any], transformed: str | None) -> dict[str, Any]:
    """Returns the SubmitJob request for a rule whose target is a job queue.

    Args:
        target: its ``BatchParameters`` name the job and its definition.
        event: the event with its detail.
        transformed: the result of the target's input transformer; None if it has none.

    Raises:
        TargetError: ``BatchParameters`` is absent, or the input is not JSON.
        PropertyError: a member is unknown or its value has the wrong type.
    """
    parameters = target.get("BatchParameters")
    if not isinstance(parameters, Mapping):
        raise TargetError(f"BatchParameters is required for the target {target['Arn']}")
    members = {**parameters, "JobQueue": target["Arn"]}
    given = _input(target, event, transformed)
    if isinstance(given, Mapping):
        members |= {name: given[name] for name in _FROM_INPUT if name in given}
    return cfn.to_request("EventBridge target", "SubmitJob", members, root="Target")


def universal_request(target: Target, keywords: Mapping[str, str]) -> tuple[str, dict[str, Any]]:
    """Returns the operation and request of a schedule's universal target, ``...:aws-sdk:batch:submitJob``.

    Args:
        target: its ``Input`` is the request, with members in PascalCase.
        keywords: the values of ``<aws.scheduler.schedule-arn>`` and the others, by their last part.

    Raises:
        TargetError: there is no such operation, or the input is not a JSON object.
        PropertyError: a member is unknown or its value has the wrong type.
    """
    action = target["Arn"].removeprefix(UNIVERSAL_PREFIX)
    operation = action[:1].upper() + action[1:]
    if not cfn.has_operation(operation):
        raise TargetError(f"AWS Batch has no operation {action!r}")
    text = target.get("Input") or "{}"
    for name, value in keywords.items():
        text = text.replace(f"<aws.scheduler.{name}>", value)
    request = _json(text)
    if not isinstance(request, Mapping):
        raise TargetError(f"Input must be a JSON object, got {text!r}")
    return operation, cfn.to_request("Scheduler target", operation, request, root="Input")


def _input(target: Target, event: Mapping[str, Any], transformed: str | None) -> object:
    if transformed is not None:
        return _json(transformed)
    if given := target.get("Input"):
        return _json(given)
    value: object = event
    for name in [name for name in (target.get("InputPath") or "$").lstrip("$").split(".") if name]:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _json(text: str) -> object:
    try:
        parsed: object = json.loads(text)
    except ValueError as error:
        raise TargetError(f"the target's input is not JSON: {error}: {text!r}", "INVALID_JSON") from error
    return parsed
