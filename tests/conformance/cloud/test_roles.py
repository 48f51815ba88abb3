"""Roles as AWS services take them: which exist, whom they trust and when, and what a session of theirs is."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import quote

import pytest

from batch_engine.local.aws.batch_permissions import Check
from batch_engine.local.aws.client import InProcessClient
from batch_engine.local.base.ports import ClientError
from batch_engine.local.ministack.iam import Iam, budget_action, denial_text, listed_resource, statements_for
from batch_engine.local.ministack.internals import MiniStack

ACCOUNT = "000000000001"
KNOWN = f"arn:aws:iam::{ACCOUNT}:role/known"
TASK = f"arn:aws:ecs:us-east-1:{ACCOUNT}:task/session"
TASKS = "ecs-tasks.amazonaws.com"


def trust(service: str | list[str] = TASKS, effect: str = "Allow", **condition: Any) -> dict[str, Any]:
    statement = {"Effect": effect, "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    return statement | ({"Condition": condition} if condition else {})


def service_with(
    role_arn: str, *statements: dict[str, Any]
) -> Callable[..., Awaitable[tuple[int, dict[str, str], bytes]]]:
    """A service that knows one role."""

    async def handler(
        method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, list[str]]
    ) -> tuple[int, dict[str, str], bytes]:
        if b"RoleName=known" not in body:
            error = "<Error><Code>NoSuchEntity</Code><Message>no role</Message></Error>"
            return 404, {}, f"<ErrorResponse>{error}</ErrorResponse>".encode()
        document = quote(json.dumps({"Statement": list(statements)}))
        role = f"<Arn>{role_arn}</Arn><RoleName>known</RoleName><RoleId>AROA</RoleId>"
        role += f"<AssumeRolePolicyDocument>{document}</AssumeRolePolicyDocument>"
        answer = f"<GetRoleResponse><GetRoleResult><Role>{role}</Role></GetRoleResult></GetRoleResponse>"
        return 200, {}, answer.encode()

    return handler


@pytest.fixture(scope="module")
def ministack() -> MiniStack:
    return MiniStack()


Sessions = list[tuple[str, dict[str, Any]]]


@pytest.fixture
def sessions(ministack: MiniStack, monkeypatch: pytest.MonkeyPatch) -> Sessions:
    made: Sessions = []
    register = ministack.register_session
    ministack.register_session = lambda key, session: made.append((key, session))
    yield made  # type: ignore[misc]
    ministack.register_session = register


def assume(ministack: MiniStack, role_arn: str, *statements: dict[str, Any]) -> Any:
    iam = Iam(ministack, InProcessClient({"iam": service_with(KNOWN, *statements)}), ACCOUNT, "us-east-1")
    return asyncio.run(iam.assume(role_arn, "session", service=TASKS, source_arn=TASK))


@pytest.mark.parametrize(
    "statement",
    [
        trust(),
        trust(["lambda.amazonaws.com", TASKS]),
        trust(StringEquals={"aws:SourceAccount": ACCOUNT}, ArnLike={"aws:SourceArn": "arn:aws:ecs:*:*:*"}),
    ],
    ids=["one service", "one of several", "under conditions that hold"],
)
def test_a_service_takes_a_role_that_trusts_it(
    ministack: MiniStack, sessions: Sessions, statement: dict[str, Any]
) -> None:
    credentials = assume(ministack, KNOWN, statement)
    ((key, session),) = sessions
    assert credentials.access_key_id == key
    assert key.startswith("ASIA")
    assert len(key) == 20
    assert session["Arn"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/known/session"
    assert (session["SecretAccessKey"], session["SessionToken"]) == (
        credentials.secret_access_key,
        credentials.session_token,
    )


@pytest.mark.parametrize(
    ("asked", "statements", "message"),
    [
        (f"arn:aws:iam::{ACCOUNT}:role/absent", [trust()], "NoSuchEntity: no role"),
        ("arn:aws:iam::000000000002:role/known", [trust()], "one of its name is"),
        (KNOWN, [trust("lambda.amazonaws.com")], f"does not trust {TASKS}"),
        (KNOWN, [], f"does not trust {TASKS}"),
        (KNOWN, [trust(StringEquals={"aws:SourceAccount": "000000000002"})], f"does not trust {TASKS}"),
        (KNOWN, [trust(), trust(effect="Deny")], f"does not trust {TASKS}"),
    ],
)
def test_a_role_that_ecs_could_not_assume_is_refused(
    ministack: MiniStack,
    sessions: Sessions,
    asked: str,
    statements: list[dict[str, Any]],
    message: str,
) -> None:
    with pytest.raises(ClientError) as caught:
        assume(ministack, asked, *statements)
    assert message in caught.value.message
    assert sessions == []


def test_of_a_trust_policy_what_names_the_service_counts() -> None:
    everybody = {"Effect": "Allow", "Principal": "*", "Action": "sts:AssumeRole"}
    somebody = {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::1:root"}, "Action": "sts:AssumeRole"}
    kept = statements_for({"Statement": [everybody, somebody, trust("x")]}, "x")
    assert kept["Statement"] == [everybody, {**trust("x"), "Principal": "*"}]
    assert statements_for({"Statement": trust("x")}, "x")["Statement"] == [{**trust("x"), "Principal": "*"}]


def test_a_denial_reads_as_on_aws() -> None:
    check = Check("batch:SubmitJob", "arn:q")
    user = "User: arn:u is not authorized to perform: batch:SubmitJob on resource: arn:q"
    implicit = f"{user} because no identity-based policy allows the batch:SubmitJob action"
    assert denial_text("arn:u", check, explicit=False) == implicit
    assert (
        denial_text("arn:u", check, explicit=True)
        == f"{user} with an explicit deny in an identity-based policy"
    )


@pytest.mark.parametrize(
    ("service", "body", "resource"),
    [
        ("ecr", {"repositoryNames": ["a/b"]}, f"arn:aws:ecr:us-east-1:{ACCOUNT}:repository/a/b"),
        ("ssm", {"Names": ["/a/b"]}, f"arn:aws:ssm:us-east-1:{ACCOUNT}:parameter/a/b"),
        ("ecr", {"repositoryNames": ["a", "b"]}, "*"),
        ("ecr", {}, "*"),
        ("sqs", {"repositoryNames": ["a"]}, "*"),
        ("budgets", {"BudgetName": "b"}, f"arn:aws:budgets::{ACCOUNT}:budget/b"),
        ("budgets", {"Budget": {"BudgetName": "b"}}, f"arn:aws:budgets::{ACCOUNT}:budget/b"),
        ("budgets", {"NewBudget": {"BudgetName": "b"}}, f"arn:aws:budgets::{ACCOUNT}:budget/b"),
        ("budgets", {"AccountId": ACCOUNT}, "*"),
    ],
)
def test_a_resource_in_a_list_of_one_is_found(service: str, body: dict[str, Any], resource: str) -> None:
    assert listed_resource(service, json.dumps(body).encode(), "us-east-1", ACCOUNT) == resource
    assert listed_resource(service, b"not json", "us-east-1", ACCOUNT) == "*"


@pytest.mark.parametrize(
    ("operation", "action"),
    [
        ("DescribeBudget", "ViewBudget"),
        ("DescribeNotificationsForBudget", "ViewBudget"),
        ("UpdateBudget", "ModifyBudget"),
        ("CreateSubscriber", "ModifyBudget"),
        ("TagResource", "TagResource"),
        ("ExecuteBudgetAction", "ExecuteBudgetAction"),
    ],
)
def test_operations_on_budgets_take_the_permissions_that_aws_has_for_them(
    operation: str, action: str
) -> None:
    assert budget_action(f"budgets:{operation}") == f"budgets:{action}"
