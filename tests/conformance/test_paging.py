"""Pages of the Describe and List operations lose nothing, whatever happens between two of them."""

import base64
from collections.abc import Callable
from typing import Any

import pytest

from tests.api_world import ApiWorld, sagemaker_queue

# What makes one more, what removes one, and how a page is asked for.
Thing = tuple[Callable[[ApiWorld, str], None], Callable[[ApiWorld, str], None], str, dict[str, Any], str, str]


def _make_environment(world: ApiWorld, name: str) -> None:
    world.environment(name)


def _drop_environment(world: ApiWorld, name: str) -> None:
    world.ask("UpdateComputeEnvironment", computeEnvironment=name, state="DISABLED")
    world.ask("DeleteComputeEnvironment", computeEnvironment=name)


def _make_queue(world: ApiWorld, name: str) -> None:
    if "ce" not in world.registry.compute_environments:
        world.environment("ce")
    world.queue(name, "ce")


def _drop_queue(world: ApiWorld, name: str) -> None:
    world.ask("UpdateJobQueue", jobQueue=name, state="DISABLED")
    world.ask("DeleteJobQueue", jobQueue=name)


def _make_definition(world: ApiWorld, name: str) -> None:
    world.definition(name)


def _drop_definition(world: ApiWorld, name: str) -> None:
    world.ask("DeregisterJobDefinition", jobDefinition=f"{name}:1")


def _make_policy(world: ApiWorld, name: str) -> None:
    world.ask("CreateSchedulingPolicy", name=name, fairsharePolicy={})


def _drop_policy(world: ApiWorld, name: str) -> None:
    arn = next(arn for arn in world.registry.scheduling_policies if arn.endswith(f"/{name}"))
    world.ask("DeleteSchedulingPolicy", arn=arn)


def _make_resource(world: ApiWorld, name: str) -> None:
    world.ask("CreateConsumableResource", consumableResourceName=name, totalQuantity=1)


def _drop_resource(world: ApiWorld, name: str) -> None:
    world.ask("DeleteConsumableResource", consumableResource=name)


def _make_service_environment(world: ApiWorld, name: str) -> None:
    world.ask(
        "CreateServiceEnvironment",
        serviceEnvironmentName=name,
        serviceEnvironmentType="SAGEMAKER_TRAINING",
        capacityLimits=[{"maxCapacity": 1, "capacityUnit": "NUM_INSTANCES"}],
    )


def _drop_service_environment(world: ApiWorld, name: str) -> None:
    world.ask("UpdateServiceEnvironment", serviceEnvironment=name, state="DISABLED")
    world.ask("DeleteServiceEnvironment", serviceEnvironment=name)


THINGS: dict[str, Thing] = {
    "compute environments": (
        _make_environment,
        _drop_environment,
        "DescribeComputeEnvironments",
        {},
        "computeEnvironments",
        "computeEnvironmentName",
    ),
    "queues": (_make_queue, _drop_queue, "DescribeJobQueues", {}, "jobQueues", "jobQueueName"),
    "definitions": (
        _make_definition,
        _drop_definition,
        "DescribeJobDefinitions",
        {"status": "ACTIVE"},
        "jobDefinitions",
        "jobDefinitionName",
    ),
    "policies": (_make_policy, _drop_policy, "ListSchedulingPolicies", {}, "schedulingPolicies", "arn"),
    "resources": (
        _make_resource,
        _drop_resource,
        "ListConsumableResources",
        {},
        "consumableResources",
        "consumableResourceName",
    ),
    "service environments": (
        _make_service_environment,
        _drop_service_environment,
        "DescribeServiceEnvironments",
        {},
        "serviceEnvironments",
        "serviceEnvironmentName",
    ),
}


@pytest.mark.parametrize("thing", THINGS)
def test_pages_lose_nothing_while_things_come_and_go(thing: str) -> None:
    make, drop, operation, request, member, name = THINGS[thing]
    world = ApiWorld()
    for number in range(9):
        make(world, f"n{number}")
    page = world.ask(operation, **request, maxResults=2)
    shown = [item[name].rpartition("/")[2] for item in page[member]]
    pages = 1
    while "nextToken" in page:
        if pages == 1:
            # One that was shown, the very one that the token stands behind, and one that is yet to come.
            for gone in (shown[0], shown[-1], "n5"):
                drop(world, gone)
            make(world, "late")
        page = world.ask(operation, **request, maxResults=2, nextToken=page["nextToken"])
        shown += [item[name].rpartition("/")[2] for item in page[member]]
        pages += 1
    assert len(shown) == len(set(shown)), "shown twice"
    assert {f"n{number}" for number in range(9)} - {"n5"} <= set(shown), "lost"
    assert "n5" not in shown


def test_a_token_holds_when_all_that_followed_is_gone() -> None:
    world = ApiWorld()
    for number in range(3):
        _make_resource(world, f"n{number}")
    token = world.ask("ListConsumableResources", maxResults=1)["nextToken"]
    for number in range(3):
        _drop_resource(world, f"n{number}")
    assert world.ask("ListConsumableResources", nextToken=token) == {"consumableResources": []}


def test_jobs_of_a_consumable_resource_come_in_pages() -> None:
    world = ApiWorld()
    _make_queue(world, "q")
    _make_resource(world, "licence")
    listed = [{"consumableResource": "licence", "quantity": 1}]
    world.definition("d", consumableResourceProperties={"consumableResourceList": listed})
    submitted = [world.submit(f"j{number}") for number in range(5)]
    shown: list[str] = []
    asked: dict[str, Any] = {}
    while True:
        page = world.ask("ListJobsByConsumableResource", consumableResource="licence", maxResults=2, **asked)
        shown += [job["jobArn"].rpartition("/")[2] for job in page["jobs"]]
        if "nextToken" not in page:
            break
        world.finished()
        asked = {"nextToken": page["nextToken"]}
    assert shown == submitted


def test_shares_of_a_queue_come_in_pages_with_tokens_of_their_own() -> None:
    world = ApiWorld()
    sagemaker_queue(world)
    for number in range(3):
        _make_resource(world, f"n{number}")
    foreign = world.ask("ListConsumableResources", maxResults=1)["nextToken"]
    queue = next(iter(world.registry.job_queues))
    assert "nextToken is not one" in world.refusal("ListQuotaShares", jobQueue=queue, nextToken=foreign)


FOREIGN = ("x", "1", "", "bnVsbA==", "WzFd", "é", "9" * 5000)


@pytest.mark.parametrize("token", [*FOREIGN, base64.b64encode(b'["computeEnvironments", "1"]').decode()])
@pytest.mark.parametrize("thing", THINGS)
def test_a_token_that_was_not_handed_out_is_refused(thing: str, token: str) -> None:
    _, _, operation, request, _, _ = THINGS[thing]
    # Even where there is nothing to show.
    assert "nextToken is not one" in ApiWorld().refusal(operation, **request, nextToken=token)


def test_a_token_of_one_listing_is_refused_by_every_other() -> None:
    world = ApiWorld()
    tokens: dict[str, str] = {}
    for thing, (make, _, operation, request, _, _) in THINGS.items():
        for number in range(2):
            make(world, f"n{number}")
        tokens[thing] = world.ask(operation, **request, maxResults=1)["nextToken"]
    for thing, (_, _, operation, request, _, _) in THINGS.items():
        for other, token in tokens.items():
            if other != thing:
                assert "nextToken is not one" in world.refusal(operation, **request, nextToken=token)
    assert "nextToken is not one" in world.refusal(
        "DescribeJobQueues", jobQueues=["n0"], nextToken=tokens["queues"]
    ), "who names what it wants gets one page"


def test_a_token_of_one_order_of_jobs_is_refused_by_another() -> None:
    world = ApiWorld()
    world.environment("ce", max_vcpus=16)
    _make_queue(world, "q")
    world.definition("d")
    for number in range(3):
        world.submit(f"j{number}")
    array = world.submit("array", arrayProperties={"size": 3})
    everything = [{"name": "JOB_NAME", "values": ["j*"]}]
    recent = [{"name": "AFTER_CREATED_AT", "values": ["1"]}]
    requests: list[dict[str, Any]] = [
        {"jobQueue": "q", "jobStatus": "STARTING"},
        {"jobQueue": "q", "filters": everything},
        {"jobQueue": "q", "filters": recent},
        {"arrayJobId": array, "jobStatus": "STARTING"},
    ]
    tokens = [world.ask("ListJobs", **request, maxResults=1)["nextToken"] for request in requests]
    for place, request in enumerate(requests):
        for other, token in enumerate(tokens):
            if place != other:
                assert "nextToken is not one" in world.refusal("ListJobs", **request, nextToken=token)
