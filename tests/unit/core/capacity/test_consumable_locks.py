"""Consumable resources: operations, and the locks of jobs on them."""

import pytest

from batch_engine.core.model.errors import ClientError
from batch_engine.core.model.events import AttemptFinished, AttemptStarted
from batch_engine.core.model.jobs import JobStatus, WaitReason

S = JobStatus


@pytest.fixture
def queue(world):
    world.definition()
    return world.queue("q", world.environment("ce", 8))


def create(world, name="seats", total=2, **request):
    return world.call("CreateConsumableResource", consumableResourceName=name, totalQuantity=total, **request)


def needs(*wanted):
    return {
        "consumableResourceList": [
            {"consumableResource": name, "quantity": number} for name, number in wanted
        ]
    }


def submit(world, queue, *wanted, **request):
    return world.submit(queue, consumableResourcePropertiesOverride=needs(*wanted), **request)


def finish(world, job, exit_code=0):
    world.tell(AttemptStarted(job.id, job.attempt.number))
    world.tell(AttemptFinished(job.id, job.attempt.number, exit_code))


def quantities(world, name="seats"):
    shown = world.call("DescribeConsumableResource", consumableResource=name)
    return shown["totalQuantity"], shown["inUseQuantity"], shown["availableQuantity"]


def test_describe_by_name_and_arn(world):
    arn = create(world, tags={"team": "a"})["consumableResourceArn"]
    assert arn == "arn:aws:batch:eu-central-1:123456789012:consumable-resource/seats"
    shown = world.call("DescribeConsumableResource", consumableResource=arn)
    assert (shown["resourceType"], shown["tags"]) == ("REPLENISHABLE", {"team": "a"})
    assert quantities(world) == (2, 0, 2)


def test_locked_at_starting_and_freed_at_the_end(world, queue):
    create(world)
    job = submit(world, queue, ("seats", 2))
    assert (job.status, quantities(world)) == (S.STARTING, (2, 2, 0))
    finish(world, job, 1)
    assert (job.status, quantities(world)) == (S.FAILED, (2, 0, 2))


def test_head_waits_until_all_are_free(world, queue):
    create(world)
    create(world, "tape", 1)
    holder, waiting = submit(world, queue, ("tape", 1)), submit(world, queue, ("seats", 1), ("tape", 1))
    behind = world.submit(queue)
    assert waiting.wait_reason is WaitReason.CONSUMABLE_RESOURCE
    assert "0 of consumable resource tape are available and the job needs 1" in waiting.status_reason
    assert quantities(world) == (2, 0, 2), "all or nothing is locked"
    assert behind.status is S.RUNNABLE, "the head blocks"
    finish(world, holder)
    assert (waiting.status, behind.status) == (S.STARTING, S.STARTING)


def test_non_replenishable_is_used_up(world, queue):
    create(world, resourceType="NON_REPLENISHABLE")
    finish(world, submit(world, queue, ("seats", 1)))
    assert quantities(world) == (1, 0, 1)


def test_retried_job_keeps_its_lock(world, queue):
    create(world)
    job = submit(world, queue, ("seats", 2), retryStrategy={"attempts": 2})
    finish(world, job, 1)
    assert (job.status, job.attempt.number, quantities(world)) == (S.STARTING, 2, (2, 2, 0))
    finish(world, job)
    assert quantities(world) == (2, 0, 2)


def test_lowered_below_use_the_total_follows_as_jobs_end(world, queue):
    create(world, total=4)
    jobs = [submit(world, queue, ("seats", 1)) for _ in range(3)]
    world.call("UpdateConsumableResource", consumableResource="seats", operation="SET", quantity=1)
    assert quantities(world) == (3, 3, 0)
    for job, expected in zip(jobs, [(2, 2, 0), (1, 1, 0), (1, 0, 1)], strict=True):
        finish(world, job)
        assert quantities(world) == expected


@pytest.mark.parametrize(("operation", "quantity", "total"), [("SET", 7, 7), ("ADD", 3, 5), ("REMOVE", 2, 0)])
def test_update(world, operation, quantity, total):
    create(world)
    shown = world.call(
        "UpdateConsumableResource", consumableResource="seats", operation=operation, quantity=quantity
    )
    assert shown["totalQuantity"] == total


def test_repeated_client_token_changes_nothing_for_eight_hours(world):
    create(world)
    request = {"consumableResource": "seats", "operation": "ADD", "quantity": 1, "clientToken": "once"}
    world.call("UpdateConsumableResource", **request)
    assert world.call("UpdateConsumableResource", **request)["totalQuantity"] == 3
    world.now_ms += 8 * 3600 * 1000
    assert world.call("UpdateConsumableResource", **request)["totalQuantity"] == 4


def test_a_larger_total_lets_the_head_start(world, queue):
    create(world, total=0)
    job = submit(world, queue, ("seats", 1))
    assert job.status is S.RUNNABLE
    world.call("UpdateConsumableResource", consumableResource="seats", operation="ADD", quantity=1)
    assert job.status is S.STARTING


@pytest.mark.parametrize(
    ("operation", "request_", "message"),
    [
        ("CreateConsumableResource", {"consumableResourceName": "seats"}, "already exists"),
        (
            "CreateConsumableResource",
            {"consumableResourceName": "x", "totalQuantity": -1},
            "must be at least 0, got -1",
        ),
        (
            "CreateConsumableResource",
            {"consumableResourceName": "x", "resourceType": "ODD"},
            "resourceType must be one",
        ),
        ("CreateConsumableResource", {"consumableResourceName": "a b"}, "should match valid pattern"),
        ("UpdateConsumableResource", {"consumableResource": "none", "quantity": 1}, "does not exist"),
        (
            "UpdateConsumableResource",
            {"consumableResource": "seats", "operation": "MUL"},
            "operation must be one of",
        ),
        (
            "UpdateConsumableResource",
            {"consumableResource": "seats", "operation": "REMOVE", "quantity": 3},
            "totalQuantity must be at least 0, got -1",
        ),
        (
            "UpdateConsumableResource",
            {"consumableResource": "seats", "clientToken": "x" * 65},
            "1 to 64 characters",
        ),
        ("DescribeConsumableResource", {"consumableResource": "none"}, "does not exist"),
        (
            "ListConsumableResources",
            {"filters": [{"name": "ODD", "values": []}]},
            "filter name must be one of",
        ),
        (
            "ListJobsByConsumableResource",
            {"consumableResource": "seats", "filters": [{"name": "JOB_STATUS", "values": ["ODD"]}]},
            "JOB_STATUS must be one of",
        ),
    ],
)
def test_refused(world, operation, request_, message):
    create(world)
    with pytest.raises(ClientError) as caught:
        world.call(operation, **request_)
    assert message in caught.value.message


def test_delete_refuses_a_resource_that_a_job_holds(world, queue):
    create(world)
    job = submit(world, queue, ("seats", 1))
    with pytest.raises(ClientError, match="are in use"):
        world.call("DeleteConsumableResource", consumableResource="seats")
    finish(world, job)
    world.call("DeleteConsumableResource", consumableResource="seats")
    assert world.call("ListConsumableResources")["consumableResources"] == []


@pytest.mark.parametrize(
    ("pattern", "found"), [("SEATS", ["seats"]), ("se*", ["seats", "second"]), ("x*", [])]
)
def test_list_by_name(world, pattern, found):
    for name in ("seats", "second", "tape"):
        create(world, name)
    filters = [{"name": "CONSUMABLE_RESOURCE_NAME", "values": [pattern]}]
    shown = world.call("ListConsumableResources", filters=filters)["consumableResources"]
    assert [item["consumableResourceName"] for item in shown] == found


def test_jobs_that_use_it(world, queue):
    create(world)
    running, waiting = submit(world, queue, ("seats", 2)), submit(world, queue, ("seats", 1))
    world.submit(queue)
    shown = world.call("ListJobsByConsumableResource", consumableResource="seats")["jobs"]
    assert [(item["jobArn"], item["jobStatus"], item["quantity"]) for item in shown] == [
        (running.arn, "STARTING", 2),
        (waiting.arn, "RUNNABLE", 1),
    ]
    filters = [{"name": "JOB_STATUS", "values": ["RUNNABLE"]}]
    shown = world.call("ListJobsByConsumableResource", consumableResource="seats", filters=filters)["jobs"]
    assert [item["jobArn"] for item in shown] == [waiting.arn]
