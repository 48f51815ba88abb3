"""Why a queue is blocked: the reason of its head, and the event, one table row a reason."""

import pytest

from batch_engine.core.actions import PublishQueueBlocked
from batch_engine.core.events import CapacityChanged
from batch_engine.core.model import JobStatus, WaitReason
from batch_engine.core.refusals import Refusal, telling

MAX_RESOURCE = (
    "MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE - CE(s) associated with the job queue cannot meet the "
    "CPU requirement of the job."
)
REQUIREMENT = (
    "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT - The job resource requirement (vCPU/memory/GPU) is higher "
    "than that can be met by the CE(s) attached to the job queue."
)
CAPACITY = (
    "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY - Service cannot fulfill the capacity requested for instance "
    "type [m6g.medium]"
)
INVALID = "ACTION_REQUIRED - CE(s) associated with the job queue are invalid."


def too_many_vcpus(world):
    world.definition(vcpus=8)


def too_much_memory(world):
    world.definition(memory_mib=1_000_000)


def no_gpu(world):
    world.definition(
        containerProperties={
            "image": "i",
            "command": ["c"],
            "resourceRequirements": [
                {"type": "VCPU", "value": "1"},
                {"type": "MEMORY", "value": "128"},
                {"type": "GPU", "value": "1"},
            ],
        }
    )


def no_capacity(world):
    world.definition()
    world.tell(CapacityChanged(frozenset({"m6g.medium"})))


def invalid(world):
    world.definition()
    world.registry.compute_environments["ce"].status = "INVALID"


@pytest.mark.parametrize(
    ("cause", "reason"),
    [
        (too_many_vcpus, MAX_RESOURCE),
        (too_much_memory, REQUIREMENT),
        (no_gpu, REQUIREMENT),
        (no_capacity, CAPACITY),
        (invalid, INVALID),
    ],
)
def test_reason_and_event(world, cause, reason):
    queue = world.queue("q", world.environment("ce"))
    cause(world)
    world.actions.clear()
    job = world.submit(queue)
    assert (job.status, job.status_reason) == (JobStatus.RUNNABLE, reason)
    (event,) = [action for action in world.actions if isinstance(action, PublishQueueBlocked)]
    assert (event.job_id, event.queue_arn) == (job.id, queue)
    assert (event.detail["status"], event.detail["statusReason"]) == ("RUNNABLE", reason)
    world.actions.clear()
    world.submit(queue)
    assert not [action for action in world.actions if isinstance(action, PublishQueueBlocked)], "told once"


def test_busy_is_not_blocked(world):
    world.definition()
    queue = world.queue("q", world.environment("ce", 1))
    world.submit(queue)
    waiting = world.submit(queue)
    assert waiting.wait_reason is WaitReason.COMPUTE_ENVIRONMENT_FULL
    assert not [action for action in world.actions if isinstance(action, PublishQueueBlocked)]


def test_unknown_instance_types_are_named(world):
    resources = {
        "type": "EC2",
        "maxvCpus": 4,
        "minvCpus": 0,
        "instanceTypes": ["z9.huge"],
        "instanceRole": "r",
    }
    created = world.call(
        "CreateComputeEnvironment", computeEnvironmentName="odd", type="MANAGED", computeResources=resources
    )
    world.definition()
    job = world.submit(world.queue("q", created["computeEnvironmentArn"]))
    assert job.wait_reason is WaitReason.JOB_RESOURCE_REQUIREMENT
    assert job.status_reason.endswith("Instance types that this engine does not know are not used: z9.huge.")


def test_next_environment_is_tried_when_the_first_cannot(world):
    world.definition(vcpus=4)
    queue = world.queue("q", world.environment("small", 2), world.environment("large", 8))
    assert world.submit(queue).attempt.compute_environment == "large"
    world.registry.compute_environments["large"].status = "INVALID"
    assert world.submit(queue).status_reason == MAX_RESOURCE


@pytest.mark.parametrize(
    ("first", "second", "told"),
    [
        (
            WaitReason.QUEUE_WITHOUT_COMPUTE,
            WaitReason.COMPUTE_ENVIRONMENT_FULL,
            WaitReason.COMPUTE_ENVIRONMENT_FULL,
        ),
        (WaitReason.JOB_RESOURCE_REQUIREMENT, WaitReason.HOST_FULL, WaitReason.HOST_FULL),
        (
            WaitReason.JOB_RESOURCE_REQUIREMENT,
            WaitReason.INSUFFICIENT_INSTANCE_CAPACITY,
            WaitReason.INSUFFICIENT_INSTANCE_CAPACITY,
        ),
        (
            WaitReason.COMPUTE_ENVIRONMENT_MAX_RESOURCE,
            WaitReason.QUEUE_WITHOUT_COMPUTE,
            WaitReason.COMPUTE_ENVIRONMENT_MAX_RESOURCE,
        ),
    ],
)
def test_reason_that_says_most(first, second, told):
    assert telling([Refusal(first, ""), Refusal(second, "")]).reason is told
    assert telling([Refusal(second, ""), Refusal(first, "")]).reason is told
