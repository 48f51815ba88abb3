"""jobStateTimeLimitActions: the head of a queue is cancelled when it waited too long."""

import pytest

from batch_engine.core.model.events import CapacityChanged, Woken
from batch_engine.core.model.jobs import JobStatus, WaitReason

S = JobStatus
REASONS = [
    "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY",
    "MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE",
    "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT",
]


def limited_queue(world, *reasons, seconds=600):
    actions = [
        {"reason": reason, "state": "RUNNABLE", "maxTimeSeconds": seconds, "action": "CANCEL"}
        for reason in reasons
    ]
    order = [{"order": 1, "computeEnvironment": world.environment("ce")}]
    request = {"jobQueueName": "q", "priority": 1, "computeEnvironmentOrder": order}
    return world.call("CreateJobQueue", jobStateTimeLimitActions=actions, **request)["jobQueueArn"]


def later(world, seconds):
    world.now_ms += seconds * 1000
    world.tell(Woken())


def blocking_job(world, queue, reason):
    if reason.startswith("CAPACITY"):
        world.definition("b")
        world.tell(CapacityChanged(frozenset({"m6g.medium"})))
    elif reason.endswith("MAX_RESOURCE"):
        world.definition("b", vcpus=8)
    else:
        world.definition("b", memory_mib=1_000_000)
    return world.submit(queue, "b")


@pytest.mark.parametrize("reason", REASONS)
def test_head_is_cancelled_with_the_reason(world, reason):
    queue = limited_queue(world, *REASONS)
    job = blocking_job(world, queue, reason)
    later(world, 599)
    assert job.status is S.RUNNABLE
    later(world, 1)
    assert (job.status, job.is_cancelled) == (S.FAILED, True)
    assert job.status_reason == f"Canceled by JobStateTimeLimit action due to reason: {reason}"


def test_other_reasons_do_not_count(world):
    queue = limited_queue(world, REASONS[0])
    job = blocking_job(world, queue, REASONS[1])
    later(world, 100_000)
    assert job.status is S.RUNNABLE


def test_clock_starts_at_the_head_of_the_queue(world):
    queue = limited_queue(world, *REASONS)
    first, second = blocking_job(world, queue, REASONS[1]), blocking_job(world, queue, REASONS[1])
    later(world, 601)
    assert (first.status, second.status) == (S.FAILED, S.RUNNABLE)
    later(world, 598)
    assert second.status is S.RUNNABLE
    later(world, 3)
    assert second.status is S.FAILED


def test_clock_starts_again_with_another_reason(world):
    queue = limited_queue(world, *REASONS)
    job = blocking_job(world, queue, REASONS[1])
    later(world, 500)
    world.tell(CapacityChanged(frozenset({"m6g.2xlarge"})))
    world.call("UpdateComputeEnvironment", computeEnvironment="ce", computeResources={"maxvCpus": 8})
    assert job.status_reason.startswith(REASONS[0])
    later(world, 599)
    assert job.status is S.RUNNABLE
    later(world, 1)
    assert job.status_reason.endswith(REASONS[0])


def test_job_that_was_placed_in_time_is_left_alone(world):
    queue = limited_queue(world, *REASONS)
    job = blocking_job(world, queue, REASONS[0])
    later(world, 300)
    world.tell(CapacityChanged(frozenset()))
    assert job.status is S.STARTING
    later(world, 600)
    assert job.status is S.STARTING


def test_limit_added_later_counts_from_when_the_wait_began(world):
    queue = world.queue("q", world.environment("ce"))
    job = blocking_job(world, queue, REASONS[1])
    later(world, 550)
    action = {"reason": REASONS[1], "state": "RUNNABLE", "maxTimeSeconds": 600, "action": "CANCEL"}
    world.call("UpdateJobQueue", jobQueue="q", jobStateTimeLimitActions=[action])
    later(world, 51)
    assert job.status is S.FAILED


def test_clock_goes_on_after_a_restart(world):
    queue = limited_queue(world, *REASONS)
    job = blocking_job(world, queue, REASONS[1])
    later(world, 590)
    world.restart([*world.registry.compute_environments.values(), *world.registry.job_queues.values(), job])
    world.tell(Woken())
    later(world, 11)
    assert job.status is S.FAILED


def test_a_wait_for_a_consumable_resource_is_limited_as_one_for_capacity(world):
    world.call("CreateConsumableResource", consumableResourceName="seats", totalQuantity=0)
    queue = limited_queue(world, *REASONS)
    world.definition("b")
    wanted = {"consumableResourceList": [{"consumableResource": "seats", "quantity": 1}]}
    job = world.submit(queue, "b", consumableResourcePropertiesOverride=wanted)
    behind = world.submit(queue, "b")
    assert job.wait_reason is WaitReason.CONSUMABLE_RESOURCE
    later(world, 599)
    assert (job.status, behind.status) == (S.RUNNABLE, S.RUNNABLE)
    later(world, 1)
    assert (job.status, job.is_cancelled, behind.status) == (S.FAILED, True, S.STARTING)
    assert job.status_reason == f"Canceled by JobStateTimeLimit action due to reason: {REASONS[0]}"


def test_a_wait_for_a_consumable_resource_has_no_limit_without_one_for_capacity(world):
    world.call("CreateConsumableResource", consumableResourceName="seats", totalQuantity=0)
    queue = limited_queue(world, *REASONS[1:])
    world.definition("b")
    wanted = {"consumableResourceList": [{"consumableResource": "seats", "quantity": 1}]}
    job = world.submit(queue, "b", consumableResourcePropertiesOverride=wanted)
    later(world, 100_000)
    assert job.status is S.RUNNABLE
