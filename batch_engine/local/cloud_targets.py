"""AWS Batch as a target: of EventBridge's rules, and of EventBridge Scheduler's universal target.

https://docs.aws.amazon.com/batch/latest/userguide/batch-cwe-target.html
https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-targets-universal.html
"""

import json
import logging
import re
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from batch_engine import cloudformation as cfn
from batch_engine.local.ports import BatchService, ClientError

UNIVERSAL_PREFIX = "arn:aws:scheduler:::aws-sdk:batch:"
_QUEUE_ARN = re.compile(r"arn:[^:]+:batch:[^:]+:\d{12}:job-queue/.+")
# Of the target's input, what reaches SubmitJob; the rest (a whole event, where nothing selects) does not.
_FROM_INPUT = ("Parameters", "ContainerOverrides")

_log = logging.getLogger(__name__)

DeadLetter = Callable[[str, str, dict[str, str]], None]


class TargetError(Exception):
    """A target's settings or input cannot become a request."""


class BatchTargets:
    """Carries matched events and due schedules to AWS Batch, one after another on a thread of its own.

    Delivery is asynchronous, as in AWS: whoever sent the event learns nothing of it. What AWS Batch refuses
    is not tried again (a ``ClientException`` is no transient error): it is logged, and sent to the target's
    dead-letter queue where it has one.

    Args:
        service: the AWS Batch API.
        dead_letter: sends a message with string attributes to the queue of an ARN.
    """

    def __init__(self, service: BatchService, dead_letter: DeadLetter) -> None:
        self._service = service
        self._dead_letter = dead_letter
        self._worker = ThreadPoolExecutor(1, "batch-targets")

    @staticmethod
    def takes(arn: str) -> bool:
        """Say whether a target is AWS Batch."""
        return arn.startswith(UNIVERSAL_PREFIX) or _QUEUE_ARN.fullmatch(arn) is not None

    def deliver(
        self, target: Mapping[str, Any], event: Mapping[str, Any], source_arn: str, transformed: str | None
    ) -> None:
        """Take over one event for a target; returns at once.

        Args:
            target: the rule's or the schedule's target.
            event: the event with its detail, as targets receive it.
            source_arn: the rule's or the schedule's.
            transformed: what the target's input transformer has made of the event; None where it has none.
        """
        self._worker.submit(self._deliver, target, event, source_arn, transformed)

    def close(self) -> None:
        """Finish what was taken over."""
        self._worker.shutdown()

    def _deliver(
        self, target: Mapping[str, Any], event: Mapping[str, Any], source_arn: str, transformed: str | None
    ) -> None:
        arn = str(target["Arn"])
        try:
            if arn.startswith(UNIVERSAL_PREFIX):
                operation, request = universal_request(target, source_arn)
            else:
                operation, request = "SubmitJob", submit_request(target, event, transformed)
            self._service.call(operation, request)
        except (TargetError, cfn.PropertyError, ClientError) as error:
            message = error.message if isinstance(error, ClientError) else str(error)
            _log.warning("%s: %s was not invoked: %s", source_arn, arn, message)
            self._give_up(target, event, source_arn, message)
        except Exception:
            _log.exception("%s: %s was not invoked", source_arn, arn)

    def _give_up(
        self, target: Mapping[str, Any], event: Mapping[str, Any], source_arn: str, message: str
    ) -> None:
        queue_arn = (target.get("DeadLetterConfig") or {}).get("Arn")
        if queue_arn:
            attributes = {
                "RULE_ARN": source_arn,
                "TARGET_ARN": str(target["Arn"]),
                "ERROR_CODE": "ClientException",
                "ERROR_MESSAGE": message,
            }
            self._dead_letter(queue_arn, json.dumps(event), attributes)


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


def universal_request(target: Mapping[str, Any], schedule_arn: str) -> tuple[str, dict[str, Any]]:
    """Compose the operation and request of a schedule's universal target, ``...:aws-sdk:batch:submitJob``.

    Args:
        target: its ``Input`` is the request, members in PascalCase.
        schedule_arn: what ``<aws.scheduler.schedule-arn>`` stands for.

    Raises:
        TargetError: there is no such operation, or the input is not a JSON object.
        PropertyError: a member is unknown or its value has the wrong type.
    """
    action = str(target["Arn"]).removeprefix(UNIVERSAL_PREFIX)
    operation = action[:1].upper() + action[1:]
    if not cfn.has_operation(operation):
        raise TargetError(f"AWS Batch has no operation {action!r}")
    text = str(target.get("Input") or "{}")
    for name, value in _schedule_context(schedule_arn).items():
        text = text.replace(f"<aws.scheduler.{name}>", value)
    request = _json(text)
    if not isinstance(request, Mapping):
        raise TargetError(f"Input must be a JSON object, got {text!r}")
    return operation, cfn.to_request("Scheduler target", operation, request, root="Input")


def _schedule_context(schedule_arn: str) -> dict[str, str]:
    return {
        "schedule-arn": schedule_arn,
        "scheduled-time": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "execution-id": str(uuid4()),
        "attempt-number": "1",
    }


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
        raise TargetError(f"the target's input is not JSON: {error}: {text!r}") from error
    return parsed
