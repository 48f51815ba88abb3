"""Delivers events of EventBridge's rules, and due schedules with Scheduler's universal target, to AWS Batch.

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
    Authorize,
    Target,
    TargetError,
    submit_request,
    universal_request,
)

_QUEUE_ARN = re.compile(r"arn:[^:]+:batch:[^:]+:\d{12}:job-queue/.+")
# EventBridge's retry policy for a target that has none.
_ATTEMPTS_MAX = 185
_AGE_MAX_S = 86_400
_PAUSE_S = 1.0
_PAUSE_MAX_S = 60.0
EVENTS = "events.amazonaws.com"
SCHEDULER = "scheduler.amazonaws.com"

_log = logging.getLogger(__name__)

DeadLetter = Callable[[str, str, dict[str, str]], None]
"""Sends a message to a queue, given the queue's ARN, the body and string attributes."""


class BatchTargets:
    """Delivers matched events and due schedules to AWS Batch, one after another on a thread.

    Delivery is asynchronous, as on AWS: the sender of the event does not learn the result. A delivery that
    AWS Batch or IAM refuses is not repeated: it is logged, and goes to the target's dead-letter queue if it
    has one. Any other failure is repeated as long as the target's retry policy allows.

    Args:
        service: the AWS Batch API.
        deliveries: the file of deliveries.
        send_dead_letter: sends a message to a dead-letter queue.
        authorize: checks that the target's role allows a request.
        clock: returns the time in epoch milliseconds.
    """

    def __init__(
        self,
        service: BatchService,
        deliveries: Deliveries,
        send_dead_letter: DeadLetter,
        authorize: Authorize,
        clock: Callable[[], int] = epoch_ms,
    ) -> None:
        self._service = service
        self._deliveries = deliveries
        self._send_dead_letter = send_dead_letter
        self._authorize = authorize
        self._clock = clock
        self._worker: Worker[Delivery] = Worker("batch-targets", self._work, limit=1, clock=clock)

    @staticmethod
    def takes(arn: str) -> bool:
        """Returns whether a target is AWS Batch."""
        return arn.startswith(UNIVERSAL_PREFIX) or _QUEUE_ARN.fullmatch(arn) is not None

    @staticmethod
    def refusal(target: Target) -> str | None:
        """Returns why EventBridge refuses a target, or None. A target that is AWS Batch needs a role."""
        arn = str(target.get("Arn", ""))
        if _QUEUE_ARN.fullmatch(arn) is None or target.get("RoleArn"):
            return None
        return f"RoleArn is required for target {arn}."

    def start(self) -> None:
        """Starts to deliver; the deliveries of an earlier run come first."""
        for delivery in self._deliveries.pending():
            self._push(delivery)
        self._worker.start()

    def deliver(
        self, target: Target, event: dict[str, Any], source_arn: str, transformed: str | None
    ) -> None:
        """Accepts an event for a target; returns as soon as it is in the file.

        Args:
            target: the target of the rule or the schedule.
            event: the event with its detail, as targets receive it.
            source_arn: the ARN of the rule or the schedule.
            transformed: the result of the target's input transformer; None if it has none.
        """
        self._push(self._deliveries.add(target, event, source_arn, transformed, now_ms=self._clock()))

    def end(self) -> None:
        """Finishes the delivery that is under way; the next run goes on with the others.

        Events that are accepted between ``end`` and ``close`` are written to the file for the next run.
        """
        self._worker.stop(drain_ms=0)

    def close(self) -> None:
        """Stops, and accepts no more events."""
        self.end()
        self._deliveries.close()

    def _push(self, delivery: Delivery) -> None:
        self._worker.queue.put(delivery, delivery.due_ms)

    def _work(self, due: list[Delivery]) -> None:
        for delivery in due:
            try:
                self._attempt(delivery)
            except Exception:
                # An error of ours, for which AWS has no rule: the delivery must not get lost.
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
        # Half of the pause is random, as in EventBridge, so that failed deliveries do not come back together.
        pause_ms = round(pause_s * 1000 * random.uniform(0.5, 1.0))  # noqa: S311 - no secret
        due_ms = self._clock() + pause_ms
        try:
            later = self._deliveries.postpone(delivery, due_ms)
        except sqlite3.Error:
            # The disk may be full. Then only the next run would try too early.
            _log.exception("%s: the time of the next attempt could not be written", delivery.source_arn)
            later = replace(delivery, attempts=delivery.attempts + 1, due_ms=due_ms)
        self._push(later)

    def _give_up(self, delivery: Delivery, code: str, message: str, exhausted: str | None = None) -> None:
        _log.warning("%s: %s was not invoked: %s", delivery.source_arn, delivery.target["Arn"], message)
        queue_arn = (delivery.target.get("DeadLetterConfig") or {}).get("Arn")
        if queue_arn:
            body, attributes = dead_letter(delivery, code, message, exhausted)
            try:
                self._send_dead_letter(queue_arn, body, attributes)
            except Exception:
                # EventBridge drops the event as well. A delivery that is given up must not begin again.
                _log.exception("%s: the dead-letter queue %s cannot be used", delivery.source_arn, queue_arn)
        self._deliveries.forget(delivery)


def request_of(delivery: Delivery) -> tuple[str, dict[str, Any]]:
    """Returns the operation and the request of a delivery.

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
    """Returns the body and the attributes of the message for a dead-letter queue.

    Args:
        delivery: the delivery that is given up.
        code: EventBridge's error code.
        message: the reason.
        exhausted: the limit of the retry policy that was reached; None if a retry would not help.
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
    """Returns the service that assumes the target's role, and the resource on whose behalf it acts.

    For a schedule that is its group.

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
