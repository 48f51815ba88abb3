"""What a rule's or a schedule's target asks AWS Batch for.

https://docs.aws.amazon.com/batch/latest/userguide/batch-cwe-target.html
https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-targets-universal.html
"""

import json
from collections.abc import Mapping
from typing import Any

from batch_engine import translation as cfn

UNIVERSAL_PREFIX = "arn:aws:scheduler:::aws-sdk:batch:"
# Of the target's input, what reaches SubmitJob; the rest (a whole event, where nothing selects) does not.
_FROM_INPUT = ("Parameters", "ContainerOverrides")


class TargetError(Exception):
    """A target's settings or input cannot become a request.

    Args:
        message: why not.
        code: in EventBridge's words.
    """

    def __init__(self, message: str, code: str = "INVALID_PARAMETER") -> None:
        super().__init__(message)
        self.code = code


def submit_request(
    target: Mapping[str, Any], event: Mapping[str, Any], transformed: str | None
) -> dict[str, Any]:
    """Compose the SubmitJob request of a rule whose target is a job queue.

    Args:
        target: its ``BatchParameters`` name the job and its definition.
        event: the event with its detail.
        transformed: what the input transformer has made of the event; None where there is none.

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


def universal_request(target: Mapping[str, Any], keywords: Mapping[str, str]) -> tuple[str, dict[str, Any]]:
    """Compose the operation and request of a schedule's universal target, ``...:aws-sdk:batch:submitJob``.

    Args:
        target: its ``Input`` is the request, members in PascalCase.
        keywords: what ``<aws.scheduler.schedule-arn>`` and the others stand for, by their last word.

    Raises:
        TargetError: there is no such operation, or the input is not a JSON object.
        PropertyError: a member is unknown or its value has the wrong type.
    """
    action = str(target["Arn"]).removeprefix(UNIVERSAL_PREFIX)
    operation = action[:1].upper() + action[1:]
    if not cfn.has_operation(operation):
        raise TargetError(f"AWS Batch has no operation {action!r}")
    text = str(target.get("Input") or "{}")
    for name, value in keywords.items():
        text = text.replace(f"<aws.scheduler.{name}>", value)
    request = _json(text)
    if not isinstance(request, Mapping):
        raise TargetError(f"Input must be a JSON object, got {text!r}")
    return operation, cfn.to_request("Scheduler target", operation, request, root="Input")


def _input(target: Mapping[str, Any], event: Mapping[str, Any], transformed: str | None) -> object:
    if transformed is not None:
        return _json(transformed)
    if target.get("Input"):
        return _json(str(target["Input"]))
    value: object = event
    for name in [name for name in str(target.get("InputPath") or "$").lstrip("$").split(".") if name]:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _json(text: str) -> object:
    try:
        parsed: object = json.loads(text)
    except ValueError as error:
        raise TargetError(f"the target's input is not JSON: {error}: {text!r}", "INVALID_JSON") from error
    return parsed
