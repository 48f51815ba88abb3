"""How large the instances are that a queue's demand launches, one test a rule."""

import pytest

from batch_engine.core.capacity.autoscaler import ScalingSettings
from batch_engine.core.model.actions import LaunchInstance
from batch_engine.core.model.events import AttemptFinished, AttemptStarted, CapacityChanged, InstanceReady
from batch_engine.core.model.jobs import JobStatus, WaitReason

S = JobStatus
GIB = 1024


def environment(world, name="ce", kind="EC2", **resources):
    strategy = "BEST_FIT_PROGRESSIVE" if kind == "EC2" else "SPOT_PRICE_CAPACITY_OPTIMIZED"
    wire = {
        "type": kind,
        "minvCpus": 0,
        "maxvCpus": 256,
        "instanceTypes": ["m6g"],
        "instanceRole": "r",
        "spotIamFleetRole": "r",
        "allocationStrategy": strategy,
        **resources,
    }
    request = {"computeEnvironmentName": name, "type": "MANAGED", "computeResources": wire}
    return world.call("CreateComputeEnvironment", **request)["computeEnvironmentArn"]


def launched(world):
    return [item.instance_type for item in world.actions if isinstance(item, LaunchInstance)]


def array(world, queue, size, **request):
    return world.submit(queue, arrayProperties={"size": size}, **request)


def waiting(world, queue="q"):
    return world.registry.index.waiting_milli_vcpus(queue)


@pytest.mark.parametrize(
    ("size", "sizes"),
    [
        (2, ["large"]),
        (5, ["xlarge", "medium"]),
        (100, ["16xlarge", "8xlarge", "xlarge"]),
        (300, ["16xlarge"] * 4),
    ],
)
@pytest.mark.parametrize("strategy", ["BEST_FIT_PROGRESSIVE", "BEST_FIT_PROGRESSIVE_ORDERED"])
def test_sizes_follow_the_demand_of_the_queue_within_max_vcpus(world, strategy, size, sizes):
    world.definition(vcpus=1)
    queue = world.queue("q", environment(world, allocationStrategy=strategy))
    array(world, queue, size)
    assert launched(world) == [f"m6g.{item}" for item in sizes]
    assert waiting(world) == max(0, size - 256) * 1000


@pytest.mark.parametrize("strategy", ["BEST_FIT", "BEST_FIT_PROGRESSIVE"])
def test_jobs_that_wait_count_and_not_those_that_run(world, strategy):
    world.definition(vcpus=1)
    queue = world.queue("q", environment(world, allocationStrategy=strategy))
    for _ in range(3):
        world.submit(queue)
    assert launched(world) == ["m6g.medium"] * 3


def test_best_fit_takes_the_type_with_which_the_demand_costs_least(world):
    world.definition(vcpus=3)
    types = ["m6g.4xlarge", "m6g.2xlarge", "m6g.xlarge"]
    queue = world.queue("q", environment(world, instanceTypes=types, allocationStrategy="BEST_FIT"))
    array(world, queue, 5)
    assert launched(world) == ["m6g.4xlarge"], "five jobs on 16 vCPUs; four on each 4 would be 20"


def test_waste_counts_before_size(world):
    world.definition(vcpus=1, memory_mib=7 * GIB)
    queue = world.queue("q", environment(world, instanceTypes=["m6g.large", "m6g.xlarge"]))
    array(world, queue, 4)
    assert launched(world) == ["m6g.xlarge", "m6g.xlarge"], "of 16 GiB two jobs take 14, of 8 one takes 7"


def test_memory_bounds_the_jobs_that_a_size_counts_for(world):
    world.definition(vcpus=1, memory_mib=9 * GIB)
    queue = world.queue("q", environment(world))
    array(world, queue, 4)
    assert launched(world) == ["m6g.2xlarge", "m6g.xlarge"], "three on 32 GiB, and one"


def test_a_larger_size_with_no_more_gpus_is_no_better(world):
    gpu = {"type": "GPU", "value": "1"}
    world.definition(vcpus=2)
    queue = world.queue("q", environment(world, instanceTypes=["g4dn"]))
    world.submit(queue, containerOverrides={"resourceRequirements": [gpu]})
    assert launched(world) == ["g4dn.xlarge"], "though a vCPU of g4dn.16xlarge costs less"


@pytest.mark.parametrize(
    "strategy",
    [
        "SPOT_CAPACITY_OPTIMIZED",
        "SPOT_PRICE_CAPACITY_OPTIMIZED",
        "SPOT_CAPACITY_OPTIMIZED_PRIORITIZED",
        "BEST_FIT_PROGRESSIVE",
        "BEST_FIT",
    ],
)
def test_on_spot_no_size_is_launched_that_the_demand_does_not_fill(world, strategy):
    world.definition(vcpus=1)
    queue = world.queue("q", environment(world, kind="SPOT", allocationStrategy=strategy))
    array(world, queue, 8)
    fleet = world.scheduler.dispatcher.scaling.fleet("ce")
    assert fleet.milli_vcpus == 8000
    assert waiting(world) == 0


def test_jobs_that_the_first_environment_cannot_hold_are_the_demand_on_the_next(world):
    world.definition(vcpus=1)
    first, second = environment(world, "first", maxvCpus=16), environment(world, "second")
    array(world, world.queue("q", first, second), 48)
    assert launched(world) == ["m6g.4xlarge", "m6g.8xlarge"]


def test_a_size_that_cannot_be_had_gives_way_to_others(world):
    world.definition(vcpus=1)
    world.tell(CapacityChanged(frozenset({"m6g.2xlarge"})))
    array(world, world.queue("q", environment(world)), 8)
    assert launched(world) == ["m6g.xlarge", "m6g.xlarge"]


def test_the_pool_of_min_vcpus_is_demand_too(world):
    environment(world, minvCpus=24)
    assert launched(world) == ["m6g.4xlarge", "m6g.2xlarge"]


def test_jobs_for_which_an_instance_is_launching_are_no_demand(make_world):
    world = make_world(scaling=ScalingSettings(launch_takes_time=True))
    world.definition(vcpus=1)
    queue = world.queue("q", environment(world))
    jobs = [world.submit(queue) for _ in range(3)]
    assert (launched(world), waiting(world)) == (["m6g.medium"] * 3, 0)
    world.call("CancelJob", jobId=jobs[1].id, reason="no more")
    assert waiting(world) == 0
    for item in [item for item in world.actions if isinstance(item, LaunchInstance)]:
        world.tell(InstanceReady(item.instance_id))
    assert (jobs[0].status, jobs[2].status, waiting(world)) == (S.STARTING, S.STARTING, 0)


def test_the_demand_is_counted_and_not_enumerated(world):
    """Retries, cancelled jobs and children that nobody has touched: the running total is that of the line."""
    world.definition(vcpus=2)
    queue = world.queue("q", environment(world, instanceTypes=["m6g.large"], maxvCpus=2))
    running = world.submit(queue, retryStrategy={"attempts": 2})
    behind = array(world, queue, 10)
    waits = world.submit(queue)
    assert waiting(world) == 22_000
    world.call("CancelJob", jobId=f"{behind.id}:7", reason="one less")
    world.call("TerminateJob", jobId=waits.id, reason="one less")
    assert waiting(world) == 18_000
    world.call("UpdateComputeEnvironment", computeEnvironment="ce", state="DISABLED")
    world.tell(AttemptStarted(running.id, 1))
    world.tell(AttemptFinished(running.id, 1, 1))
    assert (running.status, waiting(world)) == (S.RUNNABLE, 20_000)
    saved = [*world.registry.compute_environments.values(), *world.registry.job_queues.values()]
    world.restart([*saved, *world.registry.jobs.values()])
    assert waiting(world) == 20_000
    world.call("TerminateJob", jobId=behind.id, reason="all")
    assert waiting(world) == 2_000


def test_a_full_environment_is_full_for_any_demand(world):
    world.definition(vcpus=16)
    queue = world.queue("q", environment(world, maxvCpus=16))
    array(world, queue, 5)
    (head,) = [job for job in world.registry.jobs.values() if job.wait_reason is not None]
    assert head.wait_reason is WaitReason.COMPUTE_ENVIRONMENT_FULL
    assert launched(world) == ["m6g.4xlarge"]
