"""AWS Batch as a target: of EventBridge's rules, and of EventBridge Scheduler's universal target.

https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-retry-policy.html
https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html
https://docs.aws.amazon.com/scheduler/latest/UserGuide/configuring-schedule-dlq.html
"""

import json
import logging
import random
import re
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from batch_engine import translation as cfn
from batch_engine.local.base.delay_queue import Worker, epoch_ms
from batch_engine.local.base.ports import BatchService, ClientError
from batch_engine.local.delivery.deliveries import Deliveries, Delivery
from batch_engine.local.delivery.requests import (
    UNIVERSAL_PREFIX,
    Target,
    TargetError,
    submit_request,
    universal_request,
)

_QUEUE_ARN = re.compile(r"arn:[^:]+:batch:[^:]+:\d{12}:job-queue/.+")
# What EventBridge does where the target has no retry policy of its own.
_ATTEMPTS_MAX = 185
_AGE_MAX_S = 86_400
_PAUSE_S = 1.0
_PAUSE_MAX_S = 60.0
EVENTS = "events.amazonaws.com"
SCHEDULER = "scheduler.amazonaws.com"

_log = logging.getLogger(__name__)

DeadLetter = Callable[[str, str, dict[str, str]], None]
Authorize = Callable[[str, str, str, str, dict[str, Any]], None]


class BatchTargets:
    """Carries matched events and due schedules to AWS Batch, one after another on a thread of its own.

    Delivery is asynchronous, as in AWS: whoever sent the event learns nothing of it. What AWS Batch or IAM
    refuses is not tried again: it is logged, and sent to the target's dead-letter queue where it has one. Any
    other failure is tried again, for as long as the target's retry policy says.

    Args:
        service: the AWS Batch API.
        deliveries: remembers what has been taken over.
        dead_letter: sends a message with string attributes to the queue of an ARN.
        authorize: called with a role, the service that takes it, on behalf of what, and the operation and the
            request that it is for; raises TargetError where the role does not allow it.
        clock: the time in epoch milliseconds.
    """

    def __init__(
        self,
        service: BatchService,
        deliveries: Deliveries,
        dead_letter: DeadLetter,
        authorize: Authorize,
        clock: Callable[[], int] = epoch_ms,
    ) -> None:
        self._service = service
        self._deliveries = deliveries
        self._dead_letter = dead_letter
        self._authorize = authorize
        self._clock = clock
        self._worker: Worker[Delivery] = Worker("batch-targets", self._work, limit=1, clock=clock)

    @staticmethod
    def takes(arn: str) -> bool:
        """Say whether a target is AWS Batch."""
        return arn.startswith(UNIVERSAL_PREFIX) or _QUEUE_ARN.fullmatch(arn) is not None

    @staticmethod
    def refusal(target: Target) -> str | None:
        """Why EventBridge does not take a target: it invokes AWS Batch with the target's own role alone."""
        arn = str(target.get("Arn", ""))
        if _QUEUE_ARN.fullmatch(arn) is None or target.get("RoleArn"):
            return None
        return f"RoleArn is required for target {arn}."

    def start(self) -> None:
        """Start delivering, first what an earlier run left behind."""
        for delivery in self._deliveries.pending():
            self._push(delivery)
        self._worker.start()

    def deliver(
        self, target: Target, event: dict[str, Any], source_arn: str, transformed: str | None
    ) -> None:
        """Take over one event for a target; returns as soon as it is written down.

        Args:
            target: the rule's or the schedule's target.
            event: the event with its detail, as targets receive it.
            source_arn: the rule's or the schedule's.
            transformed: what the target's input transformer has made of the event; None where it has none.
        """
        self._push(self._deliveries.add(target, event, source_arn, transformed, now_ms=self._clock()))

    def end(self) -> None:
        """Finish what is under way; what waits for its next attempt goes on with the next run.

        So does what is taken over from now on: it is written down until ``close``.
        """
        self._worker.stop(drain_ms=0)

    def close(self) -> None:
        """End, and take nothing over any more."""
        self.end()
        self._deliveries.close()

    def _push(self, delivery: Delivery) -> None:
        self._worker.queue.put(delivery, delivery.due_ms)

    def _work(self, due: list[Delivery]) -> None:
        for delivery in due:
            try:
                self._attempt(delivery)
            except Exception:
                # Nothing that AWS has a rule for: the delivery must outlive it.
                _log.exception("%s: %s", delivery.source_arn, delivery.target["Arn"])
                self._later(delivery)

    def _attempt(self, delivery: Delivery) -> None:
        try:
            operation, request = request_of(delivery)
            by, source_arn = _caller(delivery)
            role = str(delivery.target.get("RoleArn", ""))
            self._authorize(role, by, source_arn, operation, request)
            self._service.call(operation, request)
        except TargetError as error:
            self._give_up(delivery, error.code, str(error))
        except cfn.PropertyError as error:
            self._give_up(delivery, "INVALID_PARAMETER", str(error))
        except ClientError as error:
            gone = "not found" in error.message or "does not exist" in error.message
            self._give_up(delivery, "NO_RESOURCE" if gone else "SDK_CLIENT_ERROR", error.message)
        except Exception as error:
            exhausted = self._exhausted(delivery)
            if exhausted is None:
                _log.warning("%s: trying again", delivery.source_arn, exc_info=True)
                self._later(delivery)
            else:
                self._give_up(delivery, "ERROR_FROM_TARGET", str(error), exhausted)
        else:
            self._deliveries.forget(delivery)

    def _exhausted(self, delivery: Delivery) -> str | None:
        policy = delivery.target.get("RetryPolicy") or {}
        if delivery.attempts >= int(policy.get("MaximumRetryAttempts", _ATTEMPTS_MAX)):
            return "MaximumRetryAttempts"
        age_s = (self._clock() - delivery.taken_at_ms) / 1000
        too_old = age_s >= int(policy.get("MaximumEventAgeInSeconds", _AGE_MAX_S))
        return "MaximumEventAgeInSeconds" if too_old else None

    def _later(self, delivery: Delivery) -> None:
        pause_s = min(_PAUSE_S * 2 ** min(delivery.attempts, 10), _PAUSE_MAX_S)
        # Half of it at random, as EventBridge does: what failed together need not be tried together.
        pause_ms = round(pause_s * 1000 * random.uniform(0.5, 1.0))  # noqa: S311 - no secret
        due_ms = self._clock() + pause_ms
        try:
            later = self._deliveries.postpone(delivery, due_ms)
        except sqlite3.Error:
            # The disk may be full. The next run would only be too soon; this one must not end here.
            _log.exception("%s: what is tried again could not be written down", delivery.source_arn)
            later = replace(delivery, attempts=delivery.attempts + 1, due_ms=due_ms)
        self._push(later)

    def _give_up(self, delivery: Delivery, code: str, message: str, exhausted: str | None = None) -> None:
        _log.warning("%s: %s was not invoked: %s", delivery.source_arn, delivery.target["Arn"], message)
        queue_arn = (delivery.target.get("DeadLetterConfig") or {}).get("Arn")
        if queue_arn:
            body, attributes = dead_letter(delivery, code, message, exhausted)
            try:
                self._dead_letter(queue_arn, body, attributes)
            except Exception:
                # As EventBridge does: it counts in a metric, and the event is dropped. Whatever went wrong, a
                # delivery that is given up must not begin again.
                _log.exception("%s: the dead-letter queue %s takes nothing", delivery.source_arn, queue_arn)
        self._deliveries.forget(delivery)


def request_of(delivery: Delivery) -> tuple[str, dict[str, Any]]:
    """Compose the operation and the request of a delivery.

    Raises:
        TargetError: the target's settings or input cannot become a request.
        PropertyError: a member is unknown or its value has the wrong type.
    """
    if not _is_universal(delivery):
        return "SubmitJob", submit_request(delivery.target, delivery.event, delivery.transformed)
    keywords = {
        "schedule-arn": delivery.source_arn,
        "scheduled-time": _iso_time(delivery.taken_at_ms),
        "execution-id": f"{delivery.taken_at_ms:x}-{delivery.id:x}",
        "attempt-number": str(delivery.attempts + 1),
    }
    return universal_request(delivery.target, keywords)


def dead_letter(
    delivery: Delivery, code: str, message: str, exhausted: str | None
) -> tuple[str, dict[str, str]]:
    """Compose the message for a dead-letter queue: its body and its attributes.

    Args:
        delivery: what is given up.
        code: in EventBridge's words.
        message: why.
        exhausted: which limit of the retry policy was reached; None where trying again would not help.
    """
    attributes = {
        "TARGET_ARN": str(delivery.target["Arn"]),
        "ERROR_CODE": code,
        "ERROR_MESSAGE": message,
        "RETRY_ATTEMPTS": str(delivery.attempts),
    }
    if exhausted is not None:
        attributes["EXHAUSTED_RETRY_CONDITION"] = exhausted
    if not _is_universal(delivery):
        return json.dumps(delivery.event), attributes | {"RULE_ARN": delivery.source_arn}
    attributes |= {
        "SCHEDULE_ARN": delivery.source_arn,
        "SCHEDULED_TIME": _iso_time(delivery.taken_at_ms),
        "EXECUTION_ID": f"{delivery.taken_at_ms:x}-{delivery.id:x}",
        "IS_PAYLOAD_TRUNCATED": "false",
    }
    return str(delivery.target.get("Input") or "{}"), attributes


def _caller(delivery: Delivery) -> tuple[str, str]:
    """Which service takes the target's role, and on behalf of what: a schedule's group, not the schedule.

    https://docs.aws.amazon.com/scheduler/latest/UserGuide/cross-service-confused-deputy-prevention.html
    """
    if not _is_universal(delivery):
        return EVENTS, delivery.source_arn
    group = delivery.source_arn.replace(":schedule/", ":schedule-group/").rpartition("/")[0]
    return SCHEDULER, group


def _is_universal(delivery: Delivery) -> bool:
    return str(delivery.target["Arn"]).startswith(UNIVERSAL_PREFIX)


def _iso_time(epoch_ms: int) -> str:
    return datetime.fromtimestamp(epoch_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
