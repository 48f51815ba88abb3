"""Why a queue is blocked: the reason of its head, and the event, one table row a reason."""

import pytest

from batch_engine.core.capacity.wait_reasons import Refusal, most_actionable
from batch_engine.core.model.actions import PublishQueueBlocked
from batch_engine.core.model.events import CapacityChanged, RolesChanged
from batch_engine.core.model.jobs import JobStatus, WaitReason

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
def test_the_most_actionable_reason(first, second, told):
    assert most_actionable([Refusal(first, ""), Refusal(second, "")]).reason is told
    assert most_actionable([Refusal(second, ""), Refusal(first, "")]).reason is told


def blocked_by(world, queue="q"):
    return [
        action.detail["statusReason"] for action in world.actions if isinstance(action, PublishQueueBlocked)
    ]


def on_instances(world, *types, **resources):
    wire = {
        "type": "EC2",
        "minvCpus": 0,
        "maxvCpus": 256,
        "instanceTypes": list(types),
        "instanceRole": "r",
        "allocationStrategy": "BEST_FIT_PROGRESSIVE",
        **resources,
    }
    request = {"computeEnvironmentName": "ce", "type": "MANAGED", "computeResources": wire}
    return world.call("CreateComputeEnvironment", **request)["computeEnvironmentArn"]


UNSUPPORTED = (
    "MISCONFIGURATION:EC2_INSTANCE_CONFIGURATION_UNSUPPORTED - Your compute environment associated with this "
    "job queue has an unsupported instance type configuration."
)


@pytest.mark.parametrize(
    ("types", "image", "runs"),
    [
        (["p3.2xlarge"], None, False),
        (["p3"], {"imageType": "ECS_AL2023_NVIDIA"}, False),
        (["p3"], {"imageType": "ECS_AL2023_NVIDIA", "imageIdOverride": "ami-1"}, True),
        (["a1.large"], {"imageType": "ECS_AL2023"}, False),
        (["g4dn"], {"imageType": "ECS_AL2023_NVIDIA"}, True),
    ],
)
def test_types_that_the_image_does_not_run_on_block_the_queue(world, types, image, runs):
    world.definition()
    images = {} if image is None else {"ec2Configuration": [image]}
    job = world.submit(world.queue("q", on_instances(world, *types, **images)))
    assert (job.status is JobStatus.STARTING) == runs
    assert blocked_by(world) == ([] if runs else [UNSUPPORTED])


def test_other_types_of_the_environment_are_launched_instead(world):
    world.definition()
    job = world.submit(world.queue("q", on_instances(world, "p3.2xlarge", "m6i.large")))
    assert job.status is JobStatus.STARTING
    (instance,) = world.scheduler.dispatcher.scaling.instances.values()
    assert instance.type == "m6i.large"


def test_a_service_role_without_permissions_blocks_jobs_that_need_an_instance(world):
    world.definition()
    role = "arn:aws:iam::123456789012:role/own"
    queue = world.queue("q", on_instances(world, "m6g.large"))
    world.registry.compute_environments["ce"].service_role = role
    running = world.submit(queue)
    world.tell(RolesChanged(denied=frozenset({role})))
    beside = world.submit(queue)
    assert (running.status, beside.status) == (JobStatus.STARTING, JobStatus.STARTING), "there is room"
    third = world.submit(queue)
    told = "MISCONFIGURATION:SERVICE_ROLE_PERMISSIONS - Batch service role has a permission issue."
    assert (third.status_reason, blocked_by(world)) == (told, [told])
    world.tell(RolesChanged())
    assert third.status is JobStatus.STARTING


def test_a_wait_that_no_reason_explains_is_undetermined(world):
    """A reservation for shares to come is larger than what is left, and nothing runs that could end."""
    policy = {"computeReservation": 90, "shareDecaySeconds": 3600}
    arn = world.call("CreateSchedulingPolicy", name="p", fairsharePolicy=policy)["arn"]
    world.definition(vcpus=2)
    request = {
        "jobQueueName": "q",
        "priority": 1,
        "computeEnvironmentOrder": [{"order": 1, "computeEnvironment": world.environment("ce", 4)}],
    }
    world.call("CreateJobQueue", schedulingPolicyArn=arn, **request)
    job = world.submit("q", shareIdentifier="A")
    assert job.wait_reason is WaitReason.UNDETERMINED
    assert job.status_reason.startswith(
        "UNDETERMINED - Batch job is blocked, root cause is undetermined. 3.6 of 4 vCPUs"
    )
    assert blocked_by(world) == [job.status_reason]
