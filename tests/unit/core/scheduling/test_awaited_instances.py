"""Multi-node jobs while their instances are being launched, one test a rule."""

import pytest

from batch_engine.core.capacity.autoscaler import ScalingSettings
from batch_engine.core.model.actions import LaunchInstance, StartAttempt
from batch_engine.core.model.events import AttemptFinished, AttemptStarted, InstanceLost, InstanceReady
from batch_engine.core.model.jobs import JobStatus, WaitReason

S = JobStatus


@pytest.fixture
def slow(make_world):
    """A world in which launching takes time, with a definition of three nodes that fill an instance each."""
    world = make_world(scaling=ScalingSettings(launch_takes_time=True))
    container = {
        "image": "i",
        "command": ["c"],
        "resourceRequirements": [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "128"}],
    }
    properties = {
        "numNodes": 3,
        "mainNode": 0,
        "nodeRangeProperties": [{"targetNodes": "0:", "container": container}],
    }
    world.call("RegisterJobDefinition", jobDefinitionName="m", type="multinode", nodeProperties=properties)
    world.definition()
    return world


def environment(world, **resources):
    wire = {
        "type": "EC2",
        "minvCpus": 0,
        "maxvCpus": 16,
        "instanceTypes": ["m6g.medium"],
        "instanceRole": "r",
        "allocationStrategy": "BEST_FIT_PROGRESSIVE",
        **resources,
    }
    request = {"computeEnvironmentName": "ce", "type": "MANAGED", "computeResources": wire}
    return world.call("CreateComputeEnvironment", **request)["computeEnvironmentArn"]


def launches(world):
    return [action.instance_id for action in world.actions if isinstance(action, LaunchInstance)]


def started(world):
    return [action.job_id for action in world.actions if isinstance(action, StartAttempt)]


def test_its_instances_are_launched_once_and_it_starts_when_all_are_there(slow):
    queue = slow.queue("q", environment(slow))
    job = slow.submit(queue, "m")
    first, second, third = launches(slow)
    assert job.wait_reason is WaitReason.INSTANCE_LAUNCHING
    for instance in (first, second):
        slow.tell(InstanceReady(instance))
        assert (job.status, len(launches(slow))) == (S.RUNNABLE, 3)
    slow.tell(InstanceReady(third))
    assert (job.status, started(slow)) == (S.STARTING, [f"{job.id}#0"])
    hosts = {slow.registry.jobs[f"{job.id}#{index}"].attempt.instance_id for index in range(3)}
    assert hosts == {first, second, third}


def test_no_other_job_gets_the_instances_that_are_ready_already(slow):
    queue = slow.queue("q", environment(slow))
    job = slow.submit(queue, "m")
    first, *rest = launches(slow)
    slow.tell(InstanceReady(first))
    other = slow.submit(queue)
    assert other.wait_reason is WaitReason.INSTANCE_LAUNCHING, "an instance of its own is launched"
    for instance in rest:
        slow.tell(InstanceReady(instance))
    assert job.status is S.STARTING


def test_an_idle_instance_is_set_aside_for_it(slow):
    queue = slow.queue("q", environment(slow))
    before = slow.submit(queue)
    slow.tell(InstanceReady(launches(slow)[0]))
    slow.tell(AttemptStarted(before.id, 1))
    slow.tell(AttemptFinished(before.id, 1, 0))
    job = slow.submit(queue, "m")
    assert len(launches(slow)) == 3
    for instance in launches(slow)[1:]:
        assert job.status is S.RUNNABLE
        slow.tell(InstanceReady(instance))
    assert job.status is S.STARTING


def test_the_pool_of_min_vcpus_is_not_for_its_nodes(slow):
    queue = slow.queue("q", environment(slow, minvCpus=2))
    pool = launches(slow)
    for instance in pool:
        slow.tell(InstanceReady(instance))
    slow.submit(queue, "m")
    assert (len(pool), len(launches(slow))) == (2, 5), "three others are launched beside them"


def test_an_instance_that_is_lost_while_launching_is_launched_again(slow):
    queue = slow.queue("q", environment(slow))
    job = slow.submit(queue, "m")
    first, second, third = launches(slow)
    slow.tell(InstanceReady(first))
    slow.tell(InstanceLost(second))
    fourth = launches(slow)[3]
    assert len(launches(slow)) == 4, "the others are still for it"
    slow.tell(InstanceReady(third))
    assert job.status is S.RUNNABLE
    slow.tell(InstanceReady(fourth))
    assert job.status is S.STARTING


def test_a_job_that_is_cancelled_meanwhile_leaves_them_to_others(slow):
    queue = slow.queue("q", environment(slow, maxvCpus=3))
    job = slow.submit(queue, "m")
    slow.call("CancelJob", jobId=job.id, reason="no more")
    others = [slow.submit(queue) for _ in range(3)]
    for instance in launches(slow):
        slow.tell(InstanceReady(instance))
    assert [other.status for other in others] == [S.STARTING] * 3
    assert len(launches(slow)) == 3


def test_it_waits_for_the_consumable_resources_of_all_nodes(slow):
    slow.call("CreateConsumableResource", consumableResourceName="seats", totalQuantity=2)
    queue = slow.queue("q", environment(slow))
    seat = {"consumableResourceList": [{"consumableResource": "seats", "quantity": 1}]}
    change = {"targetNodes": "0:", "consumableResourcePropertiesOverride": seat}
    job = slow.submit(queue, "m", nodeOverrides={"nodePropertyOverrides": [change]})
    assert (job.wait_reason, launches(slow)) == (WaitReason.CONSUMABLE_RESOURCE, [])
    slow.call("UpdateConsumableResource", consumableResource="seats", operation="ADD", quantity=1)
    for instance in launches(slow):
        slow.tell(InstanceReady(instance))
    assert job.status is S.STARTING
    assert slow.registry.consumable_resources["seats"].available == 0
