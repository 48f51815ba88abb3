"""The statuses of compute environments and queues: how they pass, and what they allow, one test a rule."""

import pytest

from batch_engine.core.capacity.autoscaler import ScalingSettings
from batch_engine.core.model.actions import LaunchInstance, TerminateInstance
from batch_engine.core.model.errors import ClientError
from batch_engine.core.model.events import (
    AttemptFinished,
    AttemptStarted,
    ResourcesChanged,
    RolesChanged,
    Woken,
)
from batch_engine.core.model.jobs import JobStatus, WaitReason

S = JobStatus
LINKED = "arn:aws:iam::123456789012:role/aws-service-role/batch.amazonaws.com/AWSServiceRoleForBatch"
OWN = "arn:aws:iam::123456789012:role/own"
FLEET = "arn:aws:iam::123456789012:role/fleet"
BEING_MODIFIED = "Cannot delete, resource is being modified"


@pytest.fixture
def slow(make_world):
    """A world in which a compute environment or a queue settles after ten seconds."""
    return make_world(scaling=ScalingSettings(settle_s=10))


def later(world, seconds):
    world.now_ms += seconds * 1000
    world.tell(Woken())


def environment(world, name="ce", role=None, **resources):
    wire = {
        "type": "EC2",
        "minvCpus": 0,
        "maxvCpus": 16,
        "instanceTypes": ["m6g.large"],
        "instanceRole": "profile",
        "allocationStrategy": "BEST_FIT_PROGRESSIVE",
        **resources,
    }
    request = {"computeEnvironmentName": name, "type": "MANAGED", "computeResources": wire}
    if role is not None:
        request["serviceRole"] = role
    return world.call("CreateComputeEnvironment", **request)["computeEnvironmentArn"]


def change(world, name="ce", **request):
    world.call("UpdateComputeEnvironment", computeEnvironment=name, **request)


def status(world, name="ce"):
    found = world.call("DescribeComputeEnvironments", computeEnvironments=[name])["computeEnvironments"]
    return found[0]["status"] if found else "gone"


def reason(world, name="ce"):
    (found,) = world.call("DescribeComputeEnvironments", computeEnvironments=[name])["computeEnvironments"]
    return found["statusReason"]


def queue_status(world):
    found = world.call("DescribeJobQueues", jobQueues=["q"])["jobQueues"]
    return found[0]["status"] if found else "gone"


def test_an_environment_passes_from_creating_to_valid_and_from_deleting_to_nothing(slow):
    environment(slow, minvCpus=2)
    launches = [action for action in slow.actions if isinstance(action, LaunchInstance)]
    assert (status(slow), launches) == ("CREATING", [])
    later(slow, 10)
    assert (status(slow), reason(slow)) == ("VALID", "ComputeEnvironment Healthy")
    assert any(isinstance(action, LaunchInstance) for action in slow.actions), "minvCpus from now on"
    change(slow, state="DISABLED")
    assert status(slow) == "UPDATING"
    later(slow, 10)
    assert status(slow) == "VALID"
    slow.call("DeleteComputeEnvironment", computeEnvironment="ce")
    assert status(slow) == "DELETING"
    later(slow, 10)
    assert status(slow) == "gone"
    assert any(isinstance(action, TerminateInstance) for action in slow.actions)


def test_a_queue_passes_from_creating_to_valid_and_from_deleting_to_nothing(slow):
    arn = environment(slow)
    later(slow, 10)
    slow.definition()
    queue = slow.queue("q", arn)
    assert queue_status(slow) == "CREATING"
    with pytest.raises(ClientError, match="not found"):
        slow.submit(queue)
    later(slow, 10)
    assert queue_status(slow) == "VALID"
    slow.call("UpdateJobQueue", jobQueue="q", state="DISABLED")
    assert queue_status(slow) == "UPDATING"
    with pytest.raises(ClientError, match=BEING_MODIFIED):
        slow.call("DeleteJobQueue", jobQueue="q")
    later(slow, 10)
    slow.call("DeleteJobQueue", jobQueue="q")
    assert queue_status(slow) == "gone"


def test_an_environment_must_be_valid_before_it_is_attached(slow):
    arn = environment(slow)
    with pytest.raises(ClientError, match="must be created and valid"):
        slow.queue("q", arn)
    later(slow, 10)
    slow.queue("q", arn)


def test_a_resource_that_is_being_changed_cannot_be_deleted(slow):
    environment(slow)
    later(slow, 10)
    change(slow, state="DISABLED")
    with pytest.raises(ClientError, match=BEING_MODIFIED):
        slow.call("DeleteComputeEnvironment", computeEnvironment="ce")
    later(slow, 10)
    slow.call("DeleteComputeEnvironment", computeEnvironment="ce")
    with pytest.raises(ClientError, match="Cannot update, resource is being modified"):
        change(slow, state="ENABLED")


def test_statuses_pass_after_a_restart_too(slow):
    environment(slow)
    slow.restart(slow.registry.compute_environments.values())
    slow.tell(ResourcesChanged())
    assert status(slow) == "CREATING"
    later(slow, 10)
    assert status(slow) == "VALID"


def test_an_infrastructure_update_is_over_when_the_last_old_instance_is_gone(world):
    world.definition()
    queue = world.queue("q", environment(world))
    job = world.submit(queue)
    change(world, computeResources={"instanceTypes": ["m6g.xlarge"]})
    assert status(world) == "UPDATING"
    other = world.submit(queue)
    assert other.status is S.STARTING, "on an instance of the new kind"
    world.tell(AttemptStarted(job.id, 1))
    world.tell(AttemptFinished(job.id, 1, 0))
    assert status(world) == "VALID"


def test_an_infrastructure_update_ends_with_the_time_that_jobs_have(world):
    world.definition()
    queue = world.queue("q", environment(world))
    job = world.submit(queue)
    world.tell(AttemptStarted(job.id, 1))
    policy = {"jobExecutionTimeoutMinutes": 1}
    change(world, updatePolicy=policy, computeResources={"instanceTypes": ["m6g.xlarge"]})
    later(world, 59)
    assert status(world) == "UPDATING"
    later(world, 1)
    assert (status(world), job.status) == ("VALID", S.FAILED)


def test_a_scaling_update_replaces_nothing_and_is_over_at_once(world):
    world.definition()
    world.submit(world.queue("q", environment(world)))
    change(world, computeResources={"maxvCpus": 32})
    assert status(world) == "VALID"


def test_an_environment_with_jobs_is_deleting_until_they_have_ended(world):
    world.definition()
    job = world.submit(world.queue("q", environment(world)))
    other = environment(world, "other")
    order = [{"order": 1, "computeEnvironment": other}]
    world.call("UpdateJobQueue", jobQueue="q", computeEnvironmentOrder=order)
    change(world, state="DISABLED")
    world.call("DeleteComputeEnvironment", computeEnvironment="ce")
    assert (status(world), job.status) == ("DELETING", S.STARTING)
    world.tell(AttemptStarted(job.id, 1))
    world.tell(AttemptFinished(job.id, 1, 0))
    assert (status(world), job.status) == ("gone", S.SUCCEEDED)


def fargate_job(world):
    requirements = [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "2048"}]
    world.call(
        "RegisterJobDefinition",
        jobDefinitionName="f",
        type="container",
        platformCapabilities=["FARGATE"],
        containerProperties={
            "image": "i",
            "command": ["c"],
            "resourceRequirements": requirements,
            "executionRoleArn": "r",
        },
    )
    job = world.submit(world.queue("q", world.environment("ce", kind="FARGATE")), "f")
    order = [{"order": 1, "computeEnvironment": world.environment("other", kind="FARGATE")}]
    world.call("UpdateJobQueue", jobQueue="q", computeEnvironmentOrder=order)
    return job


def test_a_fargate_environment_deleted_with_active_jobs_turns_invalid(world):
    job = fargate_job(world)
    change(world, state="DISABLED")
    world.call("DeleteComputeEnvironment", computeEnvironment="ce")
    assert (status(world), job.status) == ("INVALID", S.STARTING)
    world.call("TerminateJob", jobId=job.id, reason="enough")
    world.tell(AttemptFinished(job.id, 1, 143))
    world.call("DeleteComputeEnvironment", computeEnvironment="ce")
    assert status(world) == "gone"


def test_update_compute_environment_cures_it(world):
    fargate_job(world)
    change(world, state="DISABLED")
    world.call("DeleteComputeEnvironment", computeEnvironment="ce")
    change(world, state="ENABLED")
    assert status(world) == "VALID"


@pytest.mark.parametrize(
    ("role", "resources", "told"),
    [
        (OWN, {}, f"CLIENT_ERROR - Not authorized to perform sts:AssumeRole on {OWN}"),
        (
            None,
            {"type": "SPOT", "allocationStrategy": "BEST_FIT", "spotIamFleetRole": FLEET},
            "CLIENT_ERROR - Parameter: SpotFleetRequestConfig.IamFleetRole is invalid.",
        ),
        (None, {"instanceRole": OWN}, f"CLIENT_ERROR - Invalid IamInstanceProfile: {OWN}"),
    ],
)
def test_a_role_that_cannot_be_assumed_makes_an_environment_invalid(world, role, resources, told):
    world.tell(RolesChanged(unusable=frozenset({OWN, FLEET})))
    environment(world, role=role, **resources)
    assert (status(world), reason(world)) == ("INVALID", told)


def test_the_right_role_cures_it(world):
    world.tell(RolesChanged(unusable=frozenset({OWN})))
    environment(world, role=OWN)
    other = "arn:aws:iam::123456789012:role/another"
    change(world, serviceRole=other)
    assert (status(world), reason(world)) == ("VALID", "ComputeEnvironment Healthy")


def test_a_role_that_is_deleted_makes_environments_invalid_and_their_queue_blocked(world):
    world.definition()
    queue = world.queue("q", environment(world, role=OWN))
    world.tell(RolesChanged(unusable=frozenset({OWN})))
    job = world.submit(queue)
    assert (status(world), job.wait_reason) == ("INVALID", WaitReason.QUEUE_WITHOUT_COMPUTE)
    world.tell(RolesChanged())
    assert status(world) == "INVALID", "until it is updated"
    change(world, state="ENABLED")
    assert job.status is S.STARTING


def test_roles_are_deleted_last_or_the_environment_is_stuck(world):
    environment(world, role=OWN)
    change(world, state="DISABLED")
    world.tell(RolesChanged(unusable=frozenset({OWN})))
    world.call("DeleteComputeEnvironment", computeEnvironment="ce")
    assert status(world) == "INVALID"
    world.tell(RolesChanged())
    world.call("DeleteComputeEnvironment", computeEnvironment="ce")
    assert status(world) == "gone"


def test_launching_instances_go_with_their_environment_and_its_jobs_get_back_in_line(make_world):
    world = make_world(scaling=ScalingSettings(launch_takes_time=True))
    world.definition()
    queue = world.queue("q", environment(world))
    job = world.submit(queue)
    order = [{"order": 1, "computeEnvironment": environment(world, "other")}]
    world.call("UpdateJobQueue", jobQueue="q", computeEnvironmentOrder=order)
    change(world, state="DISABLED")
    world.call("DeleteComputeEnvironment", computeEnvironment="ce")
    assert status(world) == "gone"
    launches = [action for action in world.actions if isinstance(action, LaunchInstance)]
    assert [action.compute_environment for action in launches] == ["ce", "other"]
    assert job.wait_reason is WaitReason.INSTANCE_LAUNCHING


def test_a_name_can_be_used_again_once_its_owner_is_gone(world):
    arn = environment(world)
    world.definition()
    job = world.submit(world.queue("q", arn))
    world.call("UpdateJobQueue", jobQueue="q", state="DISABLED")
    world.call("DeleteJobQueue", jobQueue="q")
    change(world, computeResources={"maxvCpus": 32})
    world.tell(AttemptFinished(job.id, 1, 143))
    assert queue_status(world) == "gone"
    world.queue("q", arn)
    assert queue_status(world) == "VALID"
