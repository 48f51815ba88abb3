"""The guard before AWS Batch where IAM is enforced: it answers whatever is asked, and lets pass what may."""

import asyncio
import json
import random
from typing import Any

from batch_engine.core.model.ids import Arns
from batch_engine.local.api.endpoint import BatchEndpoint
from batch_engine.local.aws.batch_permissions import Check
from batch_engine.local.ministack.guard import BatchGuard, Permissions
from tests.api_world import ACCOUNT, REGION, ApiWorld, sagemaker_queue
from tests.conformance.test_fuzz import OPERATIONS, WEIGHTS, Fuzzer

REQUESTS = 800


async def saved() -> bool:
    return True


class Guarded:
    """An API behind a guard that denies what a test says."""

    def __init__(self, world: ApiWorld) -> None:
        self.denied: dict[str, str] = {}
        self.checked: list[Check] = []
        permissions = Permissions(world.api, Arns(ACCOUNT, REGION), lambda _: ["role"])
        self._guard = BatchGuard(BatchEndpoint(world.api, saved), permissions, self._denial)
        self._world = world

    def _denial(self, headers: Any, query: Any, check: Check) -> str | None:
        self.checked.append(check)
        return self.denied.get(check.resource.rpartition("/")[2], self.denied.get("everything"))

    def send(self, operation: str, request: Any) -> tuple[int, dict[str, str], bytes]:
        """As `ApiWorld.send`, through the guard."""
        method, path, body, query = self._world.on_the_wire(operation, request)
        return asyncio.run(self._guard.handle(method, path, {}, body, query))

    def ask(self, operation: str, **request: Any) -> dict[str, Any]:
        status, _, body = self.send(operation, request)
        assert status == 200, body
        return dict(json.loads(body))


def test_whatever_is_asked_is_answered() -> None:
    seed = random.SystemRandom().randrange(2**32)
    rng = random.Random(seed)
    world = ApiWorld()
    world.environment("a")
    world.queue("a", "a")
    world.definition("a")
    sagemaker_queue(world)
    guarded, fuzzer = Guarded(world), Fuzzer(world, rng)
    seen: set[int] = set()
    for number in range(REQUESTS):
        guarded.denied = {"everything": "denied"} if rng.random() < 0.3 else {}
        operation = rng.choices(OPERATIONS, WEIGHTS)[0]
        request = fuzzer.request(operation)
        before = len(guarded.checked)
        status, headers, body = guarded.send(operation, request)
        where = f"seed {seed}, request {number}: {operation} {str(request)[:1000]} -> {status} {body[:500]!r}"
        assert status in (200, 400, 403), where
        json.loads(body)
        if status == 403:
            assert headers["x-amzn-ErrorType"] == "AccessDeniedException", where
        if status == 200:
            assert len(guarded.checked) > before, f"nothing was checked: {where}"
        seen.add(status)
    assert seen == {200, 400, 403}, f"seed {seed}"


def test_of_many_jobs_those_that_are_denied_are_left_out() -> None:
    world = ApiWorld()
    world.environment("ce")
    world.queue("q", "ce")
    world.definition("d")
    first, second, third = (world.submit(name) for name in "abc")
    guarded = Guarded(world)
    guarded.denied = {second: "not you"}
    arn = f"arn:aws:batch:{REGION}:{ACCOUNT}:job/{second}"
    answer = guarded.ask("TerminateJobs", jobs=[first, arn, third], reason="r")
    assert answer == {
        "successful": [first, third],
        "errors": [{"job": arn, "code": "AccessDenied", "message": "not you"}],
    }
    stopped = {job: world.registry.jobs[job].is_terminated for job in (first, second, third)}
    assert stopped == {first: True, second: False, third: True}
    guarded.denied = {"everything": "nobody"}
    answer = guarded.ask("TerminateJobs", jobs=[second, second], reason="r")
    assert answer == {
        "successful": [],
        "errors": [{"job": second, "code": "AccessDenied", "message": "nobody"}],
    }
    assert not world.registry.jobs[second].is_terminated


def test_tags_of_what_exists_are_looked_up() -> None:
    world = ApiWorld()
    world.environment("ce")
    world.queue("q", "ce", tags={"stage": "prod"})
    world.definition("d", tags={"kind": "old"})
    world.definition("d", tags={"kind": "new"})
    guarded = Guarded(world)

    def keys(**request: Any) -> list[dict[str, Any]]:
        guarded.checked.clear()
        guarded.send("SubmitJob", {"jobName": "j", "jobQueue": "q", **request})
        return [dict(check.context) for check in guarded.checked]

    queue = {"aws:ResourceTag/stage": "prod"}
    assert keys(jobDefinition="d") == [{"aws:ResourceTag/kind": "new"}, queue]
    assert keys(jobDefinition="d:1") == [{"aws:ResourceTag/kind": "old"}, queue]
    assert keys(jobDefinition="none") == [{}, queue]
