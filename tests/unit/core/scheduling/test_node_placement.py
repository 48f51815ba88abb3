"""Where multi-node jobs run, and what children and nodes cannot have, one test a rule."""

import pytest

from batch_engine.core.model.errors import ClientError
from batch_engine.core.model.events import CapacityChanged
from batch_engine.core.model.jobs import JobStatus

S = JobStatus
PROVIDER = {
    "infrastructureRoleArn": "arn:aws:iam::123456789012:role/infrastructure",
    "instanceLaunchTemplate": {
        "ec2InstanceProfileArn": "arn:aws:iam::123456789012:instance-profile/p",
        "networkConfiguration": {"subnets": ["subnet-1"]},
    },
}


def container(vcpus=1, memory_mib=128):
    requirements = [{"type": "VCPU", "value": str(vcpus)}, {"type": "MEMORY", "value": str(memory_mib)}]
    return {"image": "i", "command": ["c"], "resourceRequirements": requirements}


def define(world, *needs, name="m", **body):
    """A job definition with a node for each of the needs."""
    ranges = [{"targetNodes": str(node), "container": container(*need)} for node, need in enumerate(needs)]
    properties = {"numNodes": len(needs), "mainNode": 0, "nodeRangeProperties": ranges}
    request = {"jobDefinitionName": name, "type": "multinode", "nodeProperties": properties, **body}
    world.call("RegisterJobDefinition", **request)


def environment(world, name="ce", types=("m6g.xlarge",), **resources):
    wire = {
        "type": "EC2",
        "minvCpus": 0,
        "maxvCpus": 16,
        "instanceTypes": list(types),
        "instanceRole": "r",
        "allocationStrategy": "BEST_FIT_PROGRESSIVE",
        **resources,
    }
    request = {"computeEnvironmentName": name, "type": "MANAGED", "computeResources": wire}
    return world.call("CreateComputeEnvironment", **request)["computeEnvironmentArn"]


def instances(world, job):
    fleet = world.scheduler.dispatcher.scaling.instances
    nodes = (world.registry.jobs[f"{job.id}#{index}"] for index in range(job.num_nodes))
    return [fleet[node.attempt.instance_id] for node in nodes]


@pytest.mark.parametrize(
    ("kind", "body"), [("container", "nodeProperties"), ("multinode", "containerProperties")]
)
def test_node_properties_and_the_type_multinode_go_together(world, kind, body):
    ranges = [{"targetNodes": "0:", "container": container()}]
    bodies = {
        "nodeProperties": {"numNodes": 2, "mainNode": 0, "nodeRangeProperties": ranges},
        "containerProperties": container(),
    }
    with pytest.raises(ClientError, match=f"of type {kind} cannot have {body}"):
        world.call("RegisterJobDefinition", jobDefinitionName="d", type=kind, **{body: bodies[body]})


@pytest.mark.parametrize("kind", ["UNMANAGED", "ECS_MANAGED_INSTANCES"])
def test_neither_on_unmanaged_nor_on_managed_instances(world, kind):
    define(world, (1,), (1,))
    if kind == "UNMANAGED":
        request = {"computeEnvironmentName": "ce", "type": kind, "serviceRole": "arn:aws:iam::1:role/r"}
        arn = world.call("CreateComputeEnvironment", **request)["computeEnvironmentArn"]
    else:
        wire = {"type": kind, "maxvCpus": 16, "managedInstancesProvider": PROVIDER}
        request = {"computeEnvironmentName": "ce", "type": "MANAGED", "computeResources": wire}
        arn = world.call("CreateComputeEnvironment", **request)["computeEnvironmentArn"]
    job = world.submit(world.queue("q", arn), "m")
    assert (job.status, job.attempts) == (S.RUNNABLE, [])


def test_all_nodes_use_one_instance_type(world):
    define(world, (1, 128), (2, 12_000))
    queue = world.queue("q", environment(world, types=["m6g"]))
    job = world.submit(queue, "m")
    assert {instance.type for instance in instances(world, job)} == {"m6g.xlarge"}, "large enough for each"


def test_a_node_does_not_share_its_instance(world):
    define(world, (1,), (1,))
    world.definition()
    queue = world.queue("q", environment(world))
    job = world.submit(queue, "m")
    single = world.submit(queue)
    own = {instance.id for instance in instances(world, job)}
    assert len(own) == 2
    assert single.status is S.STARTING
    assert single.attempt.instance_id not in own, "though three vCPUs of each are idle"


def test_nodes_wait_for_their_type_where_a_single_job_takes_another(world):
    define(world, (1,), (1,))
    world.definition()
    queue = world.queue("q", environment(world, types=["m6g"]))
    world.tell(CapacityChanged(frozenset({"m6g.medium"})))
    single, job = world.submit(queue), world.submit(queue, "m")
    assert single.status is S.STARTING
    assert job.status is S.RUNNABLE
    world.tell(CapacityChanged(frozenset()))
    assert job.status is S.STARTING


@pytest.mark.parametrize("suffix", [":0", "#0"])
def test_children_and_nodes_have_no_tags_of_their_own(world, suffix):
    define(world, (1,), (1,))
    world.definition()
    queue = world.queue("q", environment(world))
    request = {"definition": "m"} if suffix == "#0" else {"arrayProperties": {"size": 2}}
    job = world.submit(queue, **request, tags={"a": "b"})
    for operation, more in (
        ("TagResource", {"tags": {"c": "d"}}),
        ("UntagResource", {"tagKeys": ["a"]}),
        ("ListTagsForResource", {}),
    ):
        with pytest.raises(ClientError, match="have no tags of their own"):
            world.call(operation, resourceArn=f"{job.arn}{suffix}", **more)
    assert world.call("ListTagsForResource", resourceArn=job.arn)["tags"]["a"] == "b"


def test_filters_do_not_apply_to_children_and_nodes(world):
    define(world, (1,), (1,))
    world.definition()
    queue = world.queue("q", environment(world))
    array, gang = world.submit(queue, arrayProperties={"size": 2}), world.submit(queue, "m")
    filters = [{"name": "JOB_NAME", "values": ["no-such-name"]}]
    for request in ({"arrayJobId": array.id}, {"multiNodeJobId": gang.id}):
        listed = world.call("ListJobs", **request, jobStatus="STARTING", filters=filters)
        assert len(listed["jobSummaryList"]) == 2


def test_keys_of_tags_are_case_sensitive_and_have_1_to_128_characters(world):
    arn = world.queue("q", world.environment("ce"))
    longest = {"k" * 128: "v" * 256, "Key": "1", "key": "2"}
    world.call("TagResource", resourceArn=arn, tags=longest)
    assert world.call("ListTagsForResource", resourceArn=arn)["tags"] == longest
    for tags in ({"k" * 129: ""}, {"": ""}, {"k": "v" * 257}):
        with pytest.raises(ClientError, match="characters, got"):
            world.call("TagResource", resourceArn=arn, tags=tags)


def test_environments_of_a_queue_have_one_architecture(world):
    intel, graviton = environment(world, "intel", ["m6i"]), environment(world, "graviton", ["m6g"])
    with pytest.raises(ClientError, match="one CPU architecture"):
        world.queue("q", intel, graviton)


def test_an_invalid_environment_is_not_attached(world):
    arn = environment(world)
    world.registry.compute_environments["ce"].status = "INVALID"
    with pytest.raises(ClientError, match="must be created and valid before attaching"):
        world.queue("q", arn)
