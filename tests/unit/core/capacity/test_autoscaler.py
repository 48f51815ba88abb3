"""Instances of compute environments: scale-out to demand, packing, limits, scale-in, Spot reclaim."""

import pytest

from batch_engine.core.capacity.autoscaler import ScalingSettings
from batch_engine.core.capacity.fleet import AGENT_MEMORY_MIB
from batch_engine.core.model.actions import LaunchInstance, StartAttempt, StopAttempt, TerminateInstance
from batch_engine.core.model.events import (
    AttemptFinished,
    AttemptInterrupted,
    AttemptStarted,
    CapacityChanged,
    InstanceInterrupted,
    InstanceLost,
    InstanceReady,
    Woken,
)
from batch_engine.core.model.jobs import JobStatus, StopCause, WaitReason

S = JobStatus
GIB = 1024


def environment(world, name="ce", types=("m6g",), kind="EC2", **resources):
    wire = {
        "type": kind,
        "minvCpus": 0,
        "maxvCpus": 16,
        "instanceTypes": list(types),
        "instanceRole": "r",
        "allocationStrategy": "BEST_FIT_PROGRESSIVE" if kind == "EC2" else "SPOT_PRICE_CAPACITY_OPTIMIZED",
        **resources,
    }
    request = {"computeEnvironmentName": name, "type": "MANAGED", "computeResources": wire}
    return world.call("CreateComputeEnvironment", **request)["computeEnvironmentArn"]


def types(world, name="ce"):
    return sorted(item.type for item in world.scheduler.dispatcher.scaling.fleet(name).instances.values())


def desired(world, name="ce"):
    return world.registry.compute_environments[name].resources["desiredvCpus"]


def run(world, job):
    world.tell(AttemptStarted(job.id, job.attempt.number))


def finish(world, job, exit_code=0):
    run(world, job)
    world.tell(AttemptFinished(job.id, job.attempt.number, exit_code))


def later(world, seconds):
    world.now_ms += seconds * 1000
    return world.tell(Woken())


def test_scale_out_to_demand(world):
    world.definition(vcpus=3)
    queue = world.queue("q", environment(world))
    assert types(world) == []
    job = world.submit(queue)
    assert types(world) == ["m6g.xlarge"], "the smallest of the cheapest per vCPU that is large enough"
    assert desired(world) == 4
    (instance,) = world.scheduler.dispatcher.scaling.fleet("ce").instances.values()
    assert (job.attempt.instance_id, job.attempt.container_instance_arn) == (instance.id, instance.arn)
    launch = next(action for action in world.actions if isinstance(action, LaunchInstance))
    assert (launch.instance_id, launch.instance_type) == (instance.id, "m6g.xlarge")


def test_more_demand_can_end_a_wait_for_a_small_type_that_ec2_lacks(world):
    world.definition()
    queue = world.queue("q", environment(world, allocationStrategy="BEST_FIT"))
    world.tell(CapacityChanged(frozenset({"m6g.medium"})))
    first = world.submit(queue)
    assert (first.status, types(world)) == (S.RUNNABLE, []), "one vCPU asks for the smallest type"
    world.submit(queue, arrayProperties={"size": 3})

    assert types(world) == ["m6g.xlarge"], "four vCPUs ask for a type that is there"
    assert first.status is S.STARTING


def test_several_jobs_share_an_instance(world):
    world.definition(vcpus=1, memory_mib=1000)
    queue = world.queue("q", environment(world, types=["m6g.xlarge"]))
    jobs = [world.submit(queue) for _ in range(5)]
    assert len({job.attempt.instance_id for job in jobs[:4]}) == 1
    assert jobs[4].attempt.instance_id != jobs[0].attempt.instance_id


def test_memory_bounds_the_jobs_of_an_instance(world):
    world.definition(vcpus=1, memory_mib=9 * GIB)
    queue = world.queue("q", environment(world, types=["m6g.xlarge"]))
    assert len({world.submit(queue).attempt.instance_id for _ in range(3)}) == 3


@pytest.mark.parametrize(
    ("memory_mib", "kind"), [(4096 - AGENT_MEMORY_MIB, "m6g.medium"), (4096, "m6g.large")]
)
def test_32_mib_are_kept_for_the_agent(world, memory_mib, kind):
    world.definition(memory_mib=memory_mib)
    world.submit(world.queue("q", environment(world)))
    assert types(world) == [kind]


def test_gpus_are_counted(world):
    gpu = {"type": "GPU", "value": "1"}
    world.definition(vcpus=2)
    queue = world.queue("q", environment(world, types=["g4dn.12xlarge"], maxvCpus=48))
    overrides = {"resourceRequirements": [gpu]}
    jobs = [world.submit(queue, containerOverrides=overrides) for _ in range(5)]
    assert [job.status for job in jobs] == [S.STARTING] * 4 + [S.RUNNABLE]
    assert jobs[4].wait_reason is WaitReason.COMPUTE_ENVIRONMENT_FULL


def test_limit_may_be_overshot_by_one_instance(world):
    world.definition(vcpus=4)
    queue = world.queue("q", environment(world, types=["m6g.xlarge"], maxvCpus=6))
    jobs = [world.submit(queue) for _ in range(3)]
    assert [job.status for job in jobs] == [S.STARTING, S.STARTING, S.RUNNABLE]
    assert desired(world) == 6, "what is reported stays within the limits"


def test_best_fit_on_demand_never_overshoots(world):
    world.definition(vcpus=4)
    queue = world.queue(
        "q", environment(world, types=["m6g.xlarge"], maxvCpus=6, allocationStrategy="BEST_FIT")
    )
    jobs = [world.submit(queue) for _ in range(2)]
    assert [job.status for job in jobs] == [S.STARTING, S.RUNNABLE]


def test_best_fit_waits_for_its_one_type_where_progressive_takes_another(world):
    world.definition()
    world.tell(CapacityChanged(frozenset({"m6g.medium"})))
    first = world.submit(world.queue("a", environment(world, "a", allocationStrategy="BEST_FIT")))
    second = world.submit(world.queue("b", environment(world, "b")))
    assert first.wait_reason is WaitReason.INSUFFICIENT_INSTANCE_CAPACITY
    assert (second.status, types(world, "b")) == (S.STARTING, ["m6g.large"])
    world.tell(CapacityChanged(frozenset()))
    assert first.status is S.STARTING


def test_minimum_is_kept_from_the_start_and_while_disabled(world):
    environment(world, minvCpus=3)
    assert types(world) == ["m6g.large", "m6g.medium"]
    world.call("UpdateComputeEnvironment", computeEnvironment="ce", state="DISABLED")
    later(world, 3600)
    assert types(world) == ["m6g.large", "m6g.medium"]
    world.call("UpdateComputeEnvironment", computeEnvironment="ce", computeResources={"minvCpus": 0})
    later(world, 3600)
    assert types(world) == []


def test_idle_instances_go_whole_and_not_below_the_minimum(world):
    world.definition(vcpus=2)
    queue = world.queue("q", environment(world, types=["m6g.large"], minvCpus=1))
    jobs = [world.submit(queue) for _ in range(3)]
    for job in jobs:
        finish(world, job)
    assert types(world) == ["m6g.large"] * 3
    actions = later(world, 300)
    assert types(world) == ["m6g.large"]
    assert len([action for action in actions if isinstance(action, TerminateInstance)]) == 2
    assert desired(world) == 2


def test_scale_down_delay_counts_from_the_last_job(world):
    policy = {"minScaleDownDelayMinutes": 20}
    world.definition()
    queue = world.queue("q", environment(world, scalingPolicy=policy))
    first, second = world.submit(queue), None
    later(world, 600)
    finish(world, first)
    later(world, 1199)
    assert types(world) == ["m6g.medium"]
    second = world.submit(queue)
    later(world, 60)
    assert second.status is S.STARTING
    finish(world, second)
    later(world, 1190)
    assert types(world) == ["m6g.medium"]
    later(world, 20)
    assert types(world) == []


def test_desired_vcpus_can_be_raised_by_hand_only(world):
    environment(world)
    world.call("UpdateComputeEnvironment", computeEnvironment="ce", computeResources={"desiredvCpus": 4})
    assert types(world) == ["m6g.xlarge"]
    with pytest.raises(Exception, match="should not be less than its current value 4, got 2"):
        world.call("UpdateComputeEnvironment", computeEnvironment="ce", computeResources={"desiredvCpus": 2})


def test_idle_instance_makes_room_for_one_that_fits(world):
    world.definition("small")
    world.definition("large", vcpus=16)
    queue = world.queue("q", environment(world, allocationStrategy="BEST_FIT"))
    finish(world, world.submit(queue, "small"))
    assert world.submit(queue, "large").status is S.STARTING
    assert types(world) == ["m6g.4xlarge"]


def test_disabled_environment_runs_on_and_takes_nothing(world):
    world.definition()
    queue = world.queue("q", environment(world, types=["m6g.large"]))
    running = world.submit(queue)
    world.call("UpdateComputeEnvironment", computeEnvironment="ce", state="DISABLED")
    waiting = world.submit(queue)
    assert (running.status, waiting.status) == (S.STARTING, S.RUNNABLE)
    assert waiting.wait_reason is WaitReason.COMPUTE_ENVIRONMENT_DISABLED
    finish(world, running)
    later(world, 300)
    assert types(world) == []


def test_deleted_environment_gives_its_instances_back(world):
    environment(world, types=["m6g.medium"], minvCpus=2)
    world.call("UpdateComputeEnvironment", computeEnvironment="ce", state="DISABLED")
    world.actions.clear()
    world.call("DeleteComputeEnvironment", computeEnvironment="ce")
    assert len([action for action in world.actions if isinstance(action, TerminateInstance)]) == 2


@pytest.mark.parametrize("kind", ["FARGATE", "ECS_MANAGED_INSTANCES"])
def test_without_instances_of_its_own_job_vcpus_count(world, kind):
    if kind == "FARGATE":
        fargate_definition(world)
    else:
        world.definition()
    queue = world.queue("q", world.environment("ce", 2, kind))
    jobs = [world.submit(queue) for _ in range(3)]
    assert [job.status for job in jobs] == [S.STARTING, S.STARTING, S.RUNNABLE]
    assert not world.scheduler.dispatcher.scaling.instances


def fargate_definition(world):
    requirements = [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "2048"}]
    container = {
        "image": "i",
        "command": ["c"],
        "resourceRequirements": requirements,
        "executionRoleArn": "r",
    }
    world.call(
        "RegisterJobDefinition",
        jobDefinitionName="d",
        type="container",
        platformCapabilities=["FARGATE"],
        containerProperties=container,
    )


def test_unmanaged_environment_has_no_limit(world):
    arn = world.call(
        "CreateComputeEnvironment",
        computeEnvironmentName="own",
        type="UNMANAGED",
        serviceRole="arn:aws:iam::1:role/r",
    )["computeEnvironmentArn"]
    world.definition(vcpus=64)
    queue = world.queue("q", arn)
    jobs = [world.submit(queue) for _ in range(10)]
    assert {job.status for job in jobs} == {S.STARTING}
    assert all(job.attempt.instance_id.startswith("i-") for job in jobs)


def test_launch_that_takes_time(make_world):
    world = make_world(scaling=ScalingSettings(launch_takes_time=True))
    world.definition()
    queue = world.queue("q", environment(world, types=["m6g.large"], maxvCpus=4))
    jobs = [world.submit(queue) for _ in range(5)]
    assert [job.wait_reason for job in jobs[:4]] == [WaitReason.INSTANCE_LAUNCHING] * 4
    assert jobs[4].wait_reason is WaitReason.COMPUTE_ENVIRONMENT_FULL
    launches = [action.instance_id for action in world.actions if isinstance(action, LaunchInstance)]
    assert len(launches) == 2, "demand of the whole line is launched for, two jobs an instance"
    world.call("CancelJob", jobId=jobs[1].id, reason="r")
    world.tell(InstanceReady(launches[0]))
    started = [action.job_id for action in world.actions if isinstance(action, StartAttempt)]
    assert jobs[0].id in started
    world.tell(InstanceReady(launches[1]))
    assert [job.status for job in jobs] == [S.STARTING, S.FAILED, S.STARTING, S.STARTING, S.STARTING]


def test_instance_lost_while_launching_is_launched_for_again(make_world):
    world = make_world(scaling=ScalingSettings(launch_takes_time=True))
    world.definition()
    job = world.submit(world.queue("q", environment(world)))
    first = next(iter(world.scheduler.dispatcher.scaling.instances))
    world.tell(InstanceLost(first))
    (second,) = world.scheduler.dispatcher.scaling.instances
    assert second != first
    world.tell(InstanceReady(second))
    assert (job.status, job.attempt.instance_id) == (S.STARTING, second)


@pytest.fixture
def spot(world):
    rules = [{"onStatusReason": "Host EC2*", "action": "RETRY"}, {"onReason": "*", "action": "EXIT"}]
    world.definition(retryStrategy={"attempts": 2, "evaluateOnExit": rules})
    queue = world.queue("q", environment(world, types=["m6g.large"], kind="SPOT"))
    jobs = [world.submit(queue) for _ in range(2)]
    for job in jobs:
        run(world, job)
    return jobs


def test_spot_reclaim_warns_every_job_of_the_instance(world, spot):
    instance_id = spot[0].attempt.instance_id
    actions = world.tell(InstanceInterrupted(instance_id, 120))
    stops = [action for action in actions if isinstance(action, StopAttempt)]
    assert stops == [StopAttempt(job.id, 1, StopCause.HOST_LOST, 30) for job in spot]
    assert [job.status for job in spot] == [S.RUNNING] * 2


def test_spot_reclaim_ends_running_jobs_when_the_notice_is_over(world, spot):
    instance_id = spot[0].attempt.instance_id
    world.tell(InstanceInterrupted(instance_id, 120))
    later(world, 119)
    assert spot[0].status is S.RUNNING
    later(world, 2)
    for job in spot:
        first = job.attempts[0]
        assert first.status_reason == f"Host EC2 (instance {instance_id}) terminated."
        assert first.exit_code is None
        assert (job.status, job.attempt.number) == (S.STARTING, 2)
        assert job.attempt.instance_id != instance_id
    assert instance_id not in world.scheduler.dispatcher.scaling.instances


@pytest.mark.parametrize(
    ("exit_code", "status", "shown"),
    [(0, S.SUCCEEDED, 0), (143, S.STARTING, 143), (137, S.STARTING, None), (None, S.STARTING, None)],
)
def test_container_that_ends_before_its_host(world, spot, exit_code, status, shown):
    job = spot[0]
    world.tell(InstanceInterrupted(job.attempt.instance_id, 120))
    world.tell(AttemptFinished(job.id, 1, exit_code))
    assert (job.status, job.attempts[0].exit_code) == (status, shown)


def test_terminate_beats_a_reclaim_under_way(world, spot):
    job = spot[0]
    world.tell(InstanceInterrupted(job.attempt.instance_id, 120))
    world.call("TerminateJob", jobId=job.id, reason="enough")
    world.tell(AttemptFinished(job.id, 1, 143))
    assert (job.status, job.status_reason) == (S.FAILED, "enough")


def test_fargate_spot_is_interrupted_by_task(world):
    fargate_definition(world)
    job = world.submit(world.queue("q", world.environment("f", 4, "FARGATE_SPOT")))
    run(world, job)
    world.tell(AttemptInterrupted(job.id, 1, 120))
    later(world, 121)
    assert (job.status, job.status_reason) == (S.FAILED, "Your Spot Task was interrupted.")


def test_instance_that_vanishes_without_notice_kills_its_processes(world, spot):
    actions = world.tell(InstanceLost(spot[0].attempt.instance_id))
    assert [action for action in actions if isinstance(action, StopAttempt)] == [
        StopAttempt(job.id, 1, StopCause.HOST_LOST, 0) for job in spot
    ]
    assert [job.attempt.number for job in spot] == [2, 2]


@pytest.mark.parametrize("terminate", [False, True])
def test_infrastructure_update_replaces_instances(world, terminate):
    world.definition(retryStrategy={"attempts": 2})
    queue = world.queue("q", environment(world, types=["m6g.large"]))
    job = world.submit(queue)
    run(world, job)
    world.call(
        "UpdateComputeEnvironment",
        computeEnvironment="ce",
        computeResources={"instanceTypes": ["c6g.large"]},
        updatePolicy={"terminateJobsOnUpdate": terminate, "jobExecutionTimeoutMinutes": 10},
    )
    fresh = world.submit(queue)
    assert types(world) == ["c6g.large", "m6g.large"], "nothing more is placed on the old instance"
    assert fresh.attempt.instance_id != job.attempt.instance_id
    later(world, 31)
    assert job.attempt.number == (2 if terminate else 1)
    later(world, 600)
    assert job.attempt.number == 2
    assert "m6g.large" not in types(world)


def test_instances_are_replaced_after_any_earlier_change(world):
    world.definition()
    for name in ("ce", "other"):
        queue = world.queue(f"q-{name}", environment(world, name, types=["m6g.large"]))
        run(world, world.submit(queue))
    world.call("UpdateJobQueue", jobQueue="q-ce", priority=7)
    for name in ("ce", "other"):
        subnets = {"subnets": ["subnet-2"]}
        world.call("UpdateComputeEnvironment", computeEnvironment=name, computeResources=subnets)
        assert world.registry.compute_environments[name].status == "UPDATING"
    later(world, 1801)
    assert [world.registry.compute_environments[name].status for name in ("ce", "other")] == ["VALID"] * 2


def test_scaling_update_replaces_nothing(world):
    world.definition()
    queue = world.queue("q", environment(world))
    job = world.submit(queue)
    world.call("UpdateComputeEnvironment", computeEnvironment="ce", computeResources={"maxvCpus": 64})
    later(world, 7200)
    assert (job.status, job.attempt.number, types(world)) == (S.STARTING, 1, ["m6g.medium"])
