"""The function behind a budget: disables the queue when it is used up, tells people, and only then."""

from collections.abc import Iterator
from decimal import Decimal
from types import ModuleType, SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.stub import ANY, Stubber

QUEUE = "arn:aws:batch:eu-west-1:123456789012:job-queue/low"
TOPIC = "arn:aws:sns:eu-west-1:123456789012:people"
CONTEXT = SimpleNamespace(invoked_function_arn="arn:aws:lambda:eu-west-1:123456789012:function:disable")
NOTICE: dict[str, Any] = {"Records": [{"Sns": {"Message": "You requested that we alert you ..."}}]}


@pytest.fixture
def function() -> str:
    return "disable_queue"


@pytest.fixture
def stubs(handler: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Stubber]]:
    """Stubs of the three services; whatever is called must have been announced, in its order."""
    variables = {"BUDGET_NAME": "low", "JOB_QUEUE": QUEUE, "NOTIFICATION_TOPIC": TOPIC, "TIER": "low"}
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    clients = {
        name: boto3.client(name, region_name="eu-west-1", aws_access_key_id="a", aws_secret_access_key="b")
        for name in ("budgets", "batch", "sns")
    }
    monkeypatch.setattr(handler, "_client", clients.__getitem__)
    found = {name: Stubber(client) for name, client in clients.items()}
    for stub in found.values():
        stub.activate()
    yield found
    for stub in found.values():
        stub.assert_no_pending_responses()


def _budget(actual: str, limit: str = "100") -> dict[str, Any]:
    return {
        "BudgetName": "low",
        "TimeUnit": "MONTHLY",
        "BudgetType": "COST",
        "BudgetLimit": {"Amount": limit, "Unit": "USD"},
        "CalculatedSpend": {"ActualSpend": {"Amount": actual, "Unit": "USD"}},
    }


def _says(stubs: dict[str, Stubber], actual: str) -> None:
    asked = {"AccountId": "123456789012", "BudgetName": "low"}
    stubs["budgets"].add_response("describe_budget", {"Budget": _budget(actual)}, asked)


def _disabled(stubs: dict[str, Stubber]) -> None:
    stubs["batch"].add_response("update_job_queue", {}, {"jobQueue": QUEUE, "state": "DISABLED"})


def test_a_budget_that_is_used_up_disables_the_queue_and_people_are_told(
    handler: ModuleType, stubs: dict[str, Stubber]
) -> None:
    _says(stubs, "100.5")
    _disabled(stubs)
    told = {"TopicArn": TOPIC, "Subject": "AWS Batch: the budget of tier low is used up", "Message": ANY}
    stubs["sns"].add_response("publish", {}, told)
    handler.handle(NOTICE, CONTEXT)


def test_a_message_does_nothing_while_the_budget_is_not_used_up(
    handler: ModuleType, stubs: dict[str, Stubber]
) -> None:
    _says(stubs, "99.99")
    handler.handle(NOTICE, CONTEXT)


def test_nobody_is_told_of_a_queue_that_could_not_be_disabled(
    handler: ModuleType, stubs: dict[str, Stubber]
) -> None:
    _says(stubs, "100")
    stubs["batch"].add_client_error("update_job_queue", "ClientException", "resource is being modified")
    with pytest.raises(ClientError, match="being modified"):
        handler.handle(NOTICE, CONTEXT)


def test_a_budget_that_is_gone_is_an_error(handler: ModuleType, stubs: dict[str, Stubber]) -> None:
    stubs["budgets"].add_client_error("describe_budget", "NotFoundException", "Unable to get budget")
    with pytest.raises(ClientError, match="Unable to get budget"):
        handler.handle(NOTICE, CONTEXT)


def test_clients_are_made_once(handler: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    assert handler._client("batch") is handler._client("batch")


@pytest.mark.parametrize(
    ("actual", "exceeded"), [("0", False), ("99.999", False), ("100", True), ("1e3", True)]
)
def test_a_budget_is_used_up_from_its_limit_on(logic: ModuleType, actual: str, exceeded: bool) -> None:
    spend = logic.spend_of(_budget(actual))
    assert (spend.exceeded, spend.limit) == (exceeded, Decimal(100))


@pytest.mark.parametrize("missing", ["BudgetLimit", "CalculatedSpend"])
def test_a_budget_without_amounts_is_refused_by_name(logic: ModuleType, missing: str) -> None:
    budget = _budget("1")
    del budget[missing]
    with pytest.raises(ValueError, match=f"but '{missing}' is missing"):
        logic.spend_of(budget)


def test_people_are_told_how_to_go_on(logic: ModuleType) -> None:
    notice = logic.notice("low", QUEUE, logic.spend_of(_budget("120.456")))
    assert "120.46 of 100.00 USD" in notice["Message"]
    assert f"aws batch update-job-queue --job-queue {QUEUE} --state ENABLED" in notice["Message"]
    longest = logic.notice("t" * 40, QUEUE, logic.spend_of(_budget("1")))["Subject"]
    assert len(longest) <= 100
    assert longest.isascii()
