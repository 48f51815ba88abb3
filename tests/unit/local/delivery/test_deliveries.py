"""Deliveries to AWS Batch as a target: retries, dead letters, roles, and what survives the server's end."""

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from batch_engine.local.aws.client import CallError
from batch_engine.local.base.ports import ClientError
from batch_engine.local.delivery.deliveries import Deliveries
from batch_engine.local.delivery.requests import TargetError
from batch_engine.local.delivery.targets import BatchTargets
from tests.support import wait_for

QUEUE = "arn:aws:batch:us-east-1:000000000000:job-queue/q"
RULE = "arn:aws:events:us-east-1:000000000000:rule/r"
SCHEDULE = "arn:aws:scheduler:us-east-1:000000000000:schedule/default/s"
DEAD = "arn:aws:sqs:us-east-1:000000000000:dead"
ROLE = "arn:aws:iam::000000000000:role/invoke"
EVENT = {"source": "x", "detail": {"n": 1}}
UNIVERSAL = {
    "Arn": "arn:aws:scheduler:::aws-sdk:batch:submitJob",
    "RoleArn": ROLE,
    "Input": '{"JobName": "<aws.scheduler.attempt-number>"}',
    "DeadLetterConfig": {"Arn": DEAD},
}


def target(**more: Any) -> dict[str, Any]:
    parameters = {"JobName": "j", "JobDefinition": "d"}
    settings = {"RoleArn": ROLE, "DeadLetterConfig": {"Arn": DEAD}}
    return {"Arn": QUEUE, "BatchParameters": parameters, **settings, **more}


class World:
    """AWS Batch that answers as told, a dead-letter queue, and a clock that leaps to whatever is due."""

    def __init__(self, path: Path, answers: list[Exception | None]) -> None:
        self.answers = answers
        self.calls: list[dict[str, Any]] = []
        self.asked: list[tuple[str, str, str, str]] = []
        self.dead: list[tuple[str, str, dict[str, str]]] = []
        self.denial: TargetError | None = None
        self.dead_letter_error: Exception | None = None
        self.now_ms = 1_700_000_000_000
        self.step_ms = 60_000
        self.deliveries = Deliveries(path)
        self.targets = BatchTargets(self, self.deliveries, self.bury, self.authorize, self.clock)

    def clock(self) -> int:
        self.now_ms += self.step_ms
        return self.now_ms

    def call(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        self.calls.append(request)
        answer = self.answers.pop(0) if self.answers else None
        if answer is not None:
            raise answer
        return {}

    def authorize(self, role: str, by: str, source: str, operation: str, request: dict[str, Any]) -> None:
        self.asked.append((role, by, source, operation))
        if self.denial is not None:
            raise self.denial

    def bury(self, queue_arn: str, body: str, attributes: dict[str, str]) -> None:
        if self.dead_letter_error is not None:
            raise self.dead_letter_error
        self.dead.append((queue_arn, body, attributes))

    def settle(self) -> None:
        wait_for(lambda: not self.deliveries.pending(), "the end of every delivery")


@pytest.fixture
def world(tmp_path: Path) -> Callable[..., World]:
    worlds: list[World] = []

    def make(*answers: Exception | None) -> World:
        worlds.append(World(tmp_path / "deliveries.sqlite", [*answers]))
        worlds[-1].targets.start()
        return worlds[-1]

    yield make  # type: ignore[misc]
    for made in worlds:
        made.targets.close()


def test_a_failure_of_the_service_is_tried_again_until_it_succeeds(world: Callable[..., World]) -> None:
    made = world(RuntimeError("a"), RuntimeError("b"))
    made.targets.deliver(target(), EVENT, RULE, None)
    made.settle()
    assert (len(made.calls), made.dead) == (3, [])
    assert made.asked == [(ROLE, "events.amazonaws.com", RULE, "SubmitJob")] * 3


@pytest.mark.parametrize(
    ("policy", "calls", "exhausted"),
    [
        ({"MaximumRetryAttempts": 2}, 3, "MaximumRetryAttempts"),
        ({"MaximumRetryAttempts": 0}, 1, "MaximumRetryAttempts"),
        ({"MaximumEventAgeInSeconds": 60}, 1, "MaximumEventAgeInSeconds"),
        ({}, 186, "MaximumRetryAttempts"),
    ],
)
def test_retry_policy(
    world: Callable[..., World], policy: dict[str, int], calls: int, exhausted: str
) -> None:
    made = world(*[RuntimeError("no")] * 200)
    made.targets.deliver(target(RetryPolicy=policy), EVENT, RULE, None)
    made.settle()
    assert len(made.calls) == calls
    ((queue_arn, body, attributes),) = made.dead
    assert (queue_arn, json.loads(body)) == (DEAD, EVENT)
    assert attributes == {
        "RULE_ARN": RULE,
        "TARGET_ARN": QUEUE,
        "ERROR_CODE": "ERROR_FROM_TARGET",
        "ERROR_MESSAGE": "no",
        "RETRY_ATTEMPTS": str(calls - 1),
        "EXHAUSTED_RETRY_CONDITION": exhausted,
    }


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ClientError("JobQueue q not found."), "NO_RESOURCE"),
        (ClientError("Job name should match valid pattern"), "SDK_CLIENT_ERROR"),
    ],
)
def test_a_delivery_that_batch_refuses_is_not_tried_again(
    world: Callable[..., World], error: ClientError, code: str
) -> None:
    made = world(error)
    made.targets.deliver(target(), EVENT, RULE, None)
    made.settle()
    ((_, _, attributes),) = made.dead
    assert attributes == {
        "RULE_ARN": RULE,
        "TARGET_ARN": QUEUE,
        "ERROR_CODE": code,
        "ERROR_MESSAGE": error.message,
        "RETRY_ATTEMPTS": "0",
    }
    assert len(made.calls) == 1


@pytest.mark.parametrize("code", ["NO_PERMISSIONS", "FAILED_TO_ASSUME_ROLE"])
def test_a_role_that_may_not_is_not_tried_again_and_asks_nothing(
    world: Callable[..., World], code: str
) -> None:
    made = world()
    made.denial = TargetError("User: x is not authorized", code)
    made.targets.deliver(target(), EVENT, RULE, None)
    made.settle()
    assert made.calls == []
    assert made.dead[0][2]["ERROR_CODE"] == code


@pytest.mark.parametrize(
    ("broken", "code"),
    [({"Input": "{"}, "INVALID_JSON"), ({"BatchParameters": {"JobNme": 1}}, "INVALID_PARAMETER")],
)
def test_an_event_that_cannot_become_a_request_is_a_dead_letter(
    world: Callable[..., World], broken: dict[str, Any], code: str
) -> None:
    made = world()
    made.targets.deliver(target(**broken), EVENT, RULE, None)
    made.settle()
    assert made.dead[0][2]["ERROR_CODE"] == code


def test_a_dead_letter_of_a_schedule_is_its_payload(world: Callable[..., World]) -> None:
    made = world(RuntimeError("no"), ClientError("refused"))
    made.targets.deliver(UNIVERSAL, EVENT, SCHEDULE, None)
    made.settle()
    assert [call["jobName"] for call in made.calls] == ["1", "2"], "the number of the attempt"
    assert made.asked[0][1] == "scheduler.amazonaws.com"
    ((_, body, attributes),) = made.dead
    assert body == UNIVERSAL["Input"]
    assert attributes.items() >= {"SCHEDULE_ARN": SCHEDULE, "RETRY_ATTEMPTS": "1"}.items()
    assert "RULE_ARN" not in attributes
    assert set(attributes) >= {"SCHEDULED_TIME", "EXECUTION_ID", "IS_PAYLOAD_TRUNCATED", "ERROR_CODE"}


@pytest.mark.parametrize(
    "error",
    [CallError("sqs.SendMessage", "QueueDoesNotExist", "gone"), ValueError("no ARN"), TimeoutError()],
    ids=["absent", "no ARN", "too late"],
)
def test_without_a_dead_letter_queue_the_event_is_dropped(
    world: Callable[..., World], error: Exception
) -> None:
    made = world(ClientError("no"), ClientError("no"))
    made.targets.deliver(target(DeadLetterConfig=None), EVENT, RULE, None)
    made.dead_letter_error = error
    made.targets.deliver(target(), EVENT, RULE, None)
    made.settle()
    assert made.dead == []
    assert len(made.calls) == 2, "what is given up is not tried again"


def test_a_full_disk_does_not_end_deliveries(
    world: Callable[..., World], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = world(RuntimeError("no"))

    def full(*_: Any) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(made.deliveries, "postpone", full)
    made.targets.deliver(target(), EVENT, RULE, None)
    made.settle()
    assert len(made.calls) == 2


def test_an_accepted_event_survives_the_servers_end(tmp_path: Path) -> None:
    killed = World(tmp_path / "d.sqlite", [])
    killed.targets.deliver(target(), EVENT, RULE, '{"Parameters": {"a": "b"}}')
    # Its worker never ran: as after a kill between the match and the request.
    later = World(tmp_path / "d.sqlite", [])
    later.targets.start()
    later.settle()
    assert later.calls[0]["parameters"] == {"a": "b"}
    later.targets.close()
    again = World(tmp_path / "d.sqlite", [])
    assert again.deliveries.pending() == [], "delivered once"
    again.targets.close()


def test_an_event_that_is_accepted_at_the_very_end_is_left_for_the_next_run(tmp_path: Path) -> None:
    first = World(tmp_path / "d.sqlite", [])
    first.targets.start()
    first.targets.end()
    first.targets.deliver(target(), EVENT, RULE, None)
    first.targets.close()
    assert first.calls == [], "AWS Batch has ended by then"
    second = World(tmp_path / "d.sqlite", [])
    second.targets.start()
    second.settle()
    assert len(second.calls) == 1
    second.targets.close()


def test_an_attempt_that_is_not_due_yet_waits_for_the_next_run(tmp_path: Path) -> None:
    first = World(tmp_path / "d.sqlite", [RuntimeError("no")])
    first.step_ms = 0
    first.targets.start()
    first.targets.deliver(target(), EVENT, RULE, None)
    wait_for(lambda: [item.attempts for item in first.deliveries.pending()] == [1], "the first attempt")
    first.targets.close()
    second = World(tmp_path / "d.sqlite", [])
    second.targets.start()
    second.settle()
    assert len(second.calls) == 1
    second.targets.close()


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"Arn": QUEUE}, f"RoleArn is required for target {QUEUE}."),
        ({"Arn": QUEUE, "RoleArn": ROLE}, None),
        ({"Arn": DEAD}, None),
    ],
)
def test_a_queue_as_a_target_needs_a_role(given: dict[str, Any], reason: str | None) -> None:
    assert BatchTargets.refusal(given) == reason
