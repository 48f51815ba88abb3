"""What stands between the engine and MiniStack: environment, log batches, ASGI front, in-process client."""

import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from batch_engine.local.api.front import Front
from batch_engine.local.aws import logs
from batch_engine.local.aws.client import CallError, InProcessClient
from batch_engine.local.ministack.environment import environment
from batch_engine.local.server import client_environment

DAY_MS = 24 * 60 * 60 * 1000


def test_the_servers_environment_forgets_the_users_aws() -> None:
    inherited = {
        "PATH": "/bin",
        "AWS_SECRET_ACCESS_KEY": "real",
        "AWS_PROFILE": "production",
        "LOCALSTACK_HOST": "x",
        "AUTH": "true",
        "SERVICES": "s3",
        "DOCKER_HOST": "unix:///run/docker.sock",
    }
    made = environment(
        port=4567,
        data_dir=Path("/data"),
        account="123456789012",
        region="eu-west-1",
        log_level="INFO",
        inherited=inherited,
    )
    assert (made["PATH"], made["DOCKER_HOST"]) == ("/bin", "unix:///run/docker.sock")
    assert {"AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "LOCALSTACK_HOST", "AUTH"}.isdisjoint(made)
    assert (made["GATEWAY_PORT"], made["BIND_HOST"]) == ("4567", "127.0.0.1")
    assert (made["MINISTACK_ACCOUNT_ID"], made["MINISTACK_REGION"]) == ("123456789012", "eu-west-1")
    assert made["STATE_DIR"].startswith("/data/")
    assert "batch" in made["SERVICES"].split(",")


def test_a_clients_environment_leads_nowhere_else() -> None:
    inherited = {
        "HOME": "/h",
        "AWS_PROFILE": "p",
        "AWS_ENDPOINT_URL_S3": "https://x",
        "AWS_SESSION_TOKEN": "t",
    }
    made = client_environment.client_environment("http://127.0.0.1:1", "us-east-1", inherited)
    assert made["HOME"] == "/h"
    assert made["AWS_ENDPOINT_URL"] == "http://127.0.0.1:1"
    assert {"AWS_PROFILE", "AWS_ENDPOINT_URL_S3", "AWS_SESSION_TOKEN"}.isdisjoint(made)


def texts(lines: list[tuple[int, str]]) -> list[list[str]]:
    return [[event["message"] for event in batch] for batch in logs.batches(lines)]


def test_lines_go_in_the_order_of_their_times() -> None:
    assert texts([(2, "c"), (1, "a"), (1, "b"), (3, "")]) == [["a", "b", "c"]]
    assert texts([]) == []


def test_a_batch_has_at_most_ten_thousand_events() -> None:
    assert [len(batch) for batch in texts([(1, "x")] * 10_001)] == [10_000, 1]


def test_a_batch_has_at_most_a_mebibyte_with_26_bytes_an_event() -> None:
    fits = 1_048_576 // (1000 + 26)
    assert [len(batch) for batch in texts([(1, "ü" * 500)] * (fits + 1))] == [fits, 1]


def test_a_batch_spans_less_than_a_day() -> None:
    assert texts([(0, "a"), (DAY_MS - 1, "b"), (DAY_MS, "c")]) == [["a", "b"], ["c"]]


def test_a_long_line_is_split_between_characters() -> None:
    line = "a" + "ü" * 200_000
    pieces = [piece for batch in texts([(1, line)]) for piece in batch]
    assert len(pieces) == 2
    assert "".join(pieces) == line
    assert max(len(piece.encode()) for piece in pieces) <= 262_144 - 26


def test_a_lone_surrogate_does_not_stop_the_log() -> None:
    assert texts([(1, "a\udc80b")]) == [["a?b"]]


class Asgi:
    """A recording application behind a front, and a client in front of it."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.sent: list[dict[str, Any]] = []
        self.changes = 0
        self.fail_start = False
        self.front = Front(
            batch=self.batch,
            rest=self.app,
            data_dir=Path("/data"),
            credentials=lambda token: (200, {"token": token}),
            own_routes={"/_batch-stack/interrupt": lambda body: (200, {"body": body.decode()})},
            changed=self.changed,
            saved=self.saved,
            lifespan=self,
        )
        self.can_save = True

    def changed(self) -> None:
        self.changes += 1

    async def started(self) -> None:
        self.seen.append("started")
        if self.fail_start:
            raise OSError("the state file cannot be read")

    async def stopping(self) -> None:
        self.seen.append("stopping")

    async def saved(self) -> bool:
        return self.can_save

    async def batch(self, scope: Any, receive: Any, send: Any) -> None:
        self.seen.append(f"AWS Batch: {scope['path']}")

    async def app(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await receive()
            self.seen.append("app starts")
            await send({"type": "lifespan.startup.complete"})
            await receive()
            self.seen.append("app stops")
            return
        self.seen.append(scope["path"])

    def request(
        self, path: str, method: str = "GET", body: bytes | None = None, signed_for: str = "s3"
    ) -> dict[str, Any]:
        self.sent.clear()
        scope = f"test/20261201/us-east-1/{signed_for}/aws4_request"
        signature = f"AWS4-HMAC-SHA256 Credential={scope}, Signature=0"
        headers = [(b"authorization", signature.encode())]
        asked = {"type": "http", "path": path, "method": method, "headers": headers}
        asyncio.run(self.front(asked, self.nothing if body is None else self.one(body), self.send))
        return dict(json.loads(self.sent[-1]["body"])) if self.sent else {}

    def lifespan(self) -> None:
        messages = iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])

        async def receive() -> dict[str, Any]:
            return next(messages)

        asyncio.run(self.front({"type": "lifespan"}, receive, self.send))

    @staticmethod
    def one(body: bytes) -> Callable[[], Awaitable[dict[str, Any]]]:
        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        return receive

    async def nothing(self) -> dict[str, Any]:
        raise AssertionError("no body is read")

    async def send(self, message: Any) -> None:
        self.sent.append(dict(message))


def test_our_own_paths_are_answered_in_front() -> None:
    asgi = Asgi()
    health = asgi.request("/_batch-stack/health")
    assert (health["status"], health["pid"], health["data_dir"]) == ("running", os.getpid(), "/data")
    assert asgi.request("/_batch-stack/credentials/abc") == {"token": "abc"}
    assert asgi.request("/_batch-stack/interrupt", "POST", b"{}") == {"body": "{}"}
    assert "--data-dir" in asgi.request("/_ministack/reset", "POST")["message"]
    assert asgi.sent[0]["status"] == 403
    assert asgi.seen == []


def test_a_change_by_an_own_path_that_is_not_saved_is_not_acknowledged() -> None:
    asgi = Asgi()
    asgi.can_save = False
    assert "could not be saved" in asgi.request("/_batch-stack/interrupt", "POST", b"{}")["message"]
    assert asgi.sent[0]["status"] == 500


def test_what_is_signed_for_aws_batch_does_not_go_through_the_rest() -> None:
    asgi = Asgi()
    asgi.request("/v1/submitjob", "POST", signed_for="batch")
    asgi.request("/v1/submitjob", "POST", signed_for="apigateway")
    assert asgi.seen == ["AWS Batch: /v1/submitjob", "/v1/submitjob"]
    assert asgi.changes == 1
    asgi.front.batch = None  # as where policies are enforced
    asgi.request("/v1/submitjob", "POST", signed_for="batch")
    assert asgi.seen[2:] == ["/v1/submitjob"]


@pytest.mark.parametrize(
    ("method", "changes"), [("GET", 0), ("HEAD", 0), ("POST", 1), ("PUT", 1), ("DELETE", 1)]
)
def test_the_rest_goes_through_and_writing_counts_as_a_change(method: str, changes: int) -> None:
    asgi = Asgi()
    asgi.request("/bucket/key", method)
    assert (asgi.seen, asgi.changes) == (["/bucket/key"], changes)


def test_the_engine_starts_after_the_cloud_and_stops_before_it() -> None:
    asgi = Asgi()
    asgi.lifespan()
    assert asgi.seen == ["app starts", "started", "stopping", "app stops"]
    assert [message["type"] for message in asgi.sent] == ["lifespan.startup.complete"]


def test_a_failed_start_is_the_servers_failure() -> None:
    asgi = Asgi()
    asgi.fail_start = True
    with pytest.raises(OSError, match="cannot be read"):
        asgi.lifespan()
    (told,) = asgi.sent
    assert told == {"type": "lifespan.startup.failed", "message": "the state file cannot be read"}


def test_a_refusal_of_the_logs_is_not_swallowed() -> None:
    async def handler(*_: object) -> tuple[int, dict[str, str], bytes]:
        return 400, {}, b'{"__type": "LimitExceededException", "message": "enough"}'

    with pytest.raises(CallError, match=r"logs\.PutLogEvents failed with LimitExceededException: enough"):
        asyncio.run(InProcessClient({"logs": handler}).put_log_lines("g", "s", [(1, "x")]))
