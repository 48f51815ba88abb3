"""Multi-node parallel jobs, one test a rule."""

import pytest

from batch_engine.core.model.actions import StartAttempt, StopAttempt, WakeAt
from batch_engine.core.model.errors import ClientError
from batch_engine.core.model.events import AttemptFinished, AttemptStarted, HostLost, Woken
from batch_engine.core.model.jobs import JobStatus, StopCause
from batch_engine.core.rules.nodes import narrowest
from batch_engine.core.scheduling.multinode import address

S = JobStatus
CONTAINER = {
    "image": "i",
    "command": ["c"],
    "resourceRequirements": [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "128"}],
}


def define(world, *ranges, count=3, main=0, name="m", **body):
    entries = [
        {"targetNodes": item, "container": CONTAINER} if isinstance(item, str) else item
        for item in ranges or ("0:",)
    ]
    properties = {"numNodes": count, "mainNode": main, "nodeRangeProperties": entries}
    request = {"jobDefinitionName": name, "type": "multinode", "nodeProperties": properties, **body}
    world.call("RegisterJobDefinition", **request)


@pytest.fixture
def queue(world):
    define(world)
    return world.queue("q", world.environment("ce", max_vcpus=16))


def nodes(world, job):
    return [world.registry.jobs[f"{job.id}#{index}"] for index in range(job.num_nodes)]


def states(world, job):
    return [node.status for node in nodes(world, job)]


def start(world, *running):
    for node in running:
        world.tell(AttemptStarted(node.id, node.attempt.number))


def end(world, node, exit_code=0):
    world.tell(AttemptFinished(node.id, node.attempt.number, exit_code))


def started(world):
    return [action.job_id for action in world.actions if isinstance(action, StartAttempt)]


def stopped(world):
    return [action.job_id for action in world.actions if isinstance(action, StopAttempt)]


def test_main_node_starts_first_and_the_others_when_it_runs(world, queue):
    job = world.submit(queue, "m")
    assert (job.status, states(world, job)) == (S.STARTING, [S.STARTING] * 3)
    assert started(world) == [f"{job.id}#0"], "the others have room, and no container yet"
    start(world, nodes(world, job)[0])
    assert job.status is S.RUNNING
    assert started(world) == [f"{job.id}#0", f"{job.id}#1", f"{job.id}#2"]


def test_main_node_need_not_be_the_first(world, queue):
    define(world, main=2)
    job = world.submit(queue, "m")
    assert started(world) == [f"{job.id}#2"]
    start(world, nodes(world, job)[2])
    assert started(world)[1:] == [f"{job.id}#0", f"{job.id}#1"]


def test_job_ends_as_its_main_node_does(world, queue):
    job = world.submit(queue, "m")
    main, *others = nodes(world, job)
    start(world, main, *others)
    end(world, main, 0)
    assert stopped(world) == [node.id for node in others]
    assert job.status is S.RUNNING, "until the others are gone"
    for node in others:
        end(world, node, 143)
    assert (job.status, job.attempt.exit_code) == (S.SUCCEEDED, 0)
    assert job.attempt.stopped_at_ms == main.attempt.stopped_at_ms
    assert job.started_at_ms == main.started_at_ms


@pytest.mark.parametrize("exit_code", [0, 1])
def test_a_node_that_ends_changes_nothing_for_the_others(world, queue, exit_code):
    job = world.submit(queue, "m")
    main, other, last = nodes(world, job)
    start(world, main, other, last)
    end(world, other, exit_code)
    assert other.status is (S.FAILED if exit_code else S.SUCCEEDED)
    assert (job.status, main.status, last.status) == (S.RUNNING, S.RUNNING, S.RUNNING)
    assert stopped(world) == []
    end(world, last)
    end(world, main)
    assert job.status is S.SUCCEEDED


def test_only_a_main_node_failure_is_retried_and_then_the_whole(world, queue):
    job = world.submit(queue, "m", retryStrategy={"attempts": 2})
    main, other, last = nodes(world, job)
    start(world, main, other, last)
    end(world, other, 1)
    assert job.attempt.number == 1
    end(world, main, 1)
    assert job.attempt.number == 1, "not before the last node of the first attempt is gone"
    end(world, last, 143)
    assert [len(node.attempts) for node in (job, main, other, last)] == [2] * 4
    assert (job.status, states(world, job)) == (S.STARTING, [S.STARTING] * 3)
    assert started(world)[3:] == [main.id]
    start(world, main)
    for node in (other, last, main):
        end(world, node)
    assert job.status is S.SUCCEEDED


def test_main_node_that_never_starts_fails_the_job(world, queue):
    job = world.submit(queue, "m")
    main = nodes(world, job)[0]
    world.tell(AttemptFinished(main.id, 1, None, "CannotPullContainerError: x", "Task failed to start"))
    assert (job.status, job.status_reason) == (S.FAILED, "Task failed to start")
    assert states(world, job) == [S.FAILED] * 3
    assert world.scheduler.dispatcher.capacity.in_use_milli_vcpus["ce"] == 0


def test_main_host_lost_is_retried_by_rule(world, queue):
    rules = [{"onStatusReason": "Host EC2*", "action": "RETRY"}, {"onReason": "*", "action": "EXIT"}]
    job = world.submit(queue, "m", retryStrategy={"attempts": 3, "evaluateOnExit": rules})
    main = nodes(world, job)[0]
    world.tell(HostLost(main.id, 1))
    assert job.attempt.number == 2
    start(world, main)
    end(world, main, 1)
    for node in nodes(world, job)[1:]:
        end(world, node, 143)
    assert (job.status, len(job.attempts)) == (S.FAILED, 2)


def test_timeout_covers_the_whole_job(world, queue):
    job = world.submit(queue, "m", timeout={"attemptDurationSeconds": 60}, retryStrategy={"attempts": 3})
    start(world, *nodes(world, job))
    wake = [action for action in world.actions if isinstance(action, WakeAt)][-1]
    assert wake.at_ms == job.started_at_ms + 60_000
    world.now_ms = wake.at_ms
    world.tell(Woken())
    assert stopped(world) == [node.id for node in nodes(world, job)]
    assert {action.cause for action in world.actions if isinstance(action, StopAttempt)} == {
        StopCause.TIMED_OUT
    }
    for node in nodes(world, job):
        end(world, node, 137)
    assert (job.status, job.status_reason) == (S.FAILED, "Job attempt duration exceeded timeout")


@pytest.mark.parametrize("running", [False, True])
def test_terminating_stops_every_node(world, queue, running):
    job = world.submit(queue, "m")
    if running:
        start(world, *nodes(world, job))
    world.call("TerminateJob", jobId=job.id, reason="enough")
    for node in nodes(world, job):
        if node.status.is_placed:
            end(world, node, 143)
    assert (job.status, job.status_reason, job.is_terminated) == (S.FAILED, "enough", True)
    assert states(world, job) == [S.FAILED] * 3


def test_all_nodes_or_none_are_placed(world):
    define(world, count=3)
    world.definition()
    queue = world.queue("q", world.environment("ce", max_vcpus=3))
    single = world.submit(queue, "d")
    job = world.submit(queue, "m")
    assert (job.status, states(world, job)) == (S.RUNNABLE, [S.RUNNABLE] * 3)
    assert all(not node.attempts for node in nodes(world, job))
    start(world, single)
    end(world, single)
    assert states(world, job) == [S.STARTING] * 3
    assert len({node.attempt.instance_id for node in nodes(world, job)}) == 3, "an instance each"


@pytest.mark.parametrize("operation", ["CancelJob", "TerminateJob"])
def test_a_waiting_job_ends_with_its_nodes(world, operation):
    define(world, count=3)
    queue = world.queue("q", world.environment("ce", max_vcpus=2))
    job = world.submit(queue, "m")
    world.call(operation, jobId=job.id, reason="r")
    assert (job.status, states(world, job)) == (S.FAILED, [S.FAILED] * 3)


def test_nodes_wait_with_their_job_for_dependencies(world, queue):
    world.definition()
    first = world.submit(queue, "d")
    job = world.submit(queue, "m", dependsOn=[{"jobId": first.id}])
    assert (job.status, states(world, job)) == (S.PENDING, [S.PENDING] * 3)
    start(world, first)
    end(world, first)
    assert states(world, job) == [S.STARTING] * 3


@pytest.mark.parametrize("kind", ["SPOT", "FARGATE"])
def test_neither_on_spot_nor_on_fargate(world, kind):
    define(world)
    queue = world.queue("q", world.environment("ce", 16, kind))
    if kind == "FARGATE":
        with pytest.raises(ClientError, match=r"needs EC2, but .* are FARGATE"):
            world.submit(queue, "m")
    else:
        assert world.submit(queue, "m").status is S.RUNNABLE


def test_describe_and_list_nodes(world, queue):
    job = world.submit(queue, "m", tags={"team": "blue"})
    shown, node = world.call("DescribeJobs", jobs=[job.id, f"{job.id}#1"])["jobs"]
    assert (shown["nodeProperties"]["numNodes"], shown["nodeProperties"]["mainNode"]) == (3, 0)
    assert "container" not in shown
    assert node["nodeDetails"] == {"nodeIndex": 1, "isMainNode": False}
    assert node["jobArn"] == f"{job.arn}#1"
    assert "team" not in node["tags"], "tags do not reach the nodes"
    assert node["container"]["networkInterfaces"] == [{"privateIpv4Address": "127.1.0.2"}]
    listed = world.call("ListJobs", multiNodeJobId=job.id, jobStatus="STARTING")["jobSummaryList"]
    assert [item["nodeProperties"]["nodeIndex"] for item in listed] == [0, 1, 2]
    assert [item["nodeProperties"]["isMainNode"] for item in listed] == [True, False, False]
    in_queue = world.call("ListJobs", jobQueue="q", jobStatus="STARTING")["jobSummaryList"]
    assert [item["jobId"] for item in in_queue] == [job.id]


def test_every_node_has_an_address_of_its_own(world, queue):
    jobs = [world.submit(queue, "m") for _ in range(3)]
    found = [node.attempt.private_ipv4 for job in jobs for node in nodes(world, job)]
    assert len(set(found)) == 9
    for job in jobs:
        main = nodes(world, job)[0].attempt.private_ipv4
        assert {node.attempt.main_private_ipv4 for node in nodes(world, job)} == {main}


def test_addresses_are_loopback_hosts():
    for number in (0, 253, 254, 254 * 256 - 1, 254 * 256, 10**7):
        first, second, third, last = map(int, address(number).split("."))
        assert (first, 1 <= second <= 254, third <= 255, 1 <= last <= 254) == (127, True, True, True)
    assert len({address(number) for number in range(200_000)}) == 200_000


@pytest.mark.parametrize(
    ("targets", "count", "expected"),
    [
        (["0:2"], 3, [0, 0, 0]),
        ([":1", "2:"], 4, [0, 0, 1, 1]),
        (["0", "1:"], 3, [0, 1, 1]),
        (["0:10", "4:5"], 11, [0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0]),
        (["4:5", "0:10"], 11, [1, 1, 1, 1, 0, 0, 1, 1, 1, 1, 1]),
        (["0:", "1:", "2:"], 3, [0, 1, 2]),
        (["0:1", "0:1"], 2, [1, 1]),
        ([":"], 2, [0, 0]),
    ],
)
def test_the_narrower_range_overrides(targets, count, expected):
    entries = [{"targetNodes": target, "place": place} for place, target in enumerate(targets)]
    assert [entry["place"] for entry in narrowest(entries, count, count)] == expected


def test_node_overrides_per_range(world, queue):
    define(world, "0", "1:")
    change = {
        "targetNodes": "1:",
        "containerOverrides": {
            "command": ["other"],
            "resourceRequirements": [{"type": "MEMORY", "value": "256"}],
        },
    }
    job = world.submit(queue, "m", nodeOverrides={"numNodes": 4, "nodePropertyOverrides": [change]})
    assert [node.container["command"] for node in nodes(world, job)] == [
        ["c"],
        ["other"],
        ["other"],
        ["other"],
    ]
    assert [node.memory_mib for node in nodes(world, job)] == [128, 256, 256, 256]
    (shown,) = world.call("DescribeJobs", jobs=[job.id])["jobs"]
    assert shown["nodeProperties"]["numNodes"] == 4


@pytest.mark.parametrize(
    ("ranges", "main", "request_", "message"),
    [
        (["0:2"], 0, {"nodeOverrides": {"numNodes": 4}}, "only where a node range is open-ended"),
        (["0:1", "2:"], 0, {"nodeOverrides": {"numNodes": 2}}, "starts below it, got 0:1, 2:"),
        (["0:"], 2, {"nodeOverrides": {"numNodes": 2}}, "Main node index is out of range"),
        (["0:"], 0, {"nodeOverrides": {"numNodes": 1001}}, "between 1 and 1000"),
        (["0:"], 0, {"arrayProperties": {"size": 2}}, "arrayProperties is not applicable"),
        (["0:"], 0, {"containerOverrides": {"command": ["x"]}}, "containerOverrides is not applicable"),
        (
            ["0:"],
            0,
            {"nodeOverrides": {"nodePropertyOverrides": [{"targetNodes": "0:3"}]}},
            "must be a range of nodes 0 to 2, got 0:3",
        ),
        (
            ["0:"],
            0,
            {"nodeOverrides": {"nodePropertyOverrides": [{"targetNodes": "0:", "instanceTypes": ["m"]}]}},
            "instanceTypes is not supported",
        ),
    ],
)
def test_refused_at_submission(world, queue, ranges, main, request_, message):
    define(world, *ranges, main=main)
    with pytest.raises(ClientError, match=message):
        world.submit(queue, "m", **request_)
    assert not world.registry.jobs


def test_node_overrides_only_for_multi_node_definitions(world, queue):
    world.definition()
    with pytest.raises(ClientError, match="only for multi-node job definitions"):
        world.submit(queue, "d", nodeOverrides={"numNodes": 2})


@pytest.mark.parametrize("operation", ["CancelJob", "TerminateJob"])
def test_a_node_cannot_be_ended_by_itself(world, queue, operation):
    job = world.submit(queue, "m")
    with pytest.raises(ClientError, match="only the whole job"):
        world.call(operation, jobId=f"{job.id}#1", reason="r")


def test_consumables_of_all_nodes_are_needed_at_once(world, queue):
    world.call("CreateConsumableResource", consumableResourceName="licence", totalQuantity=5)
    wanted = {"consumableResourceList": [{"consumableResource": "licence", "quantity": 2}]}
    entry = {"targetNodes": "0:", "container": CONTAINER, "consumableResourceProperties": wanted}
    define(world, entry, count=2, name="licensed")
    first, second = world.submit(queue, "licensed"), world.submit(queue, "licensed")
    assert (first.status, second.status) == (S.STARTING, S.RUNNABLE)
    end(world, nodes(world, first)[0], 1)
    assert (first.status, second.status) == (S.FAILED, S.STARTING)


def test_retry_takes_its_consumables_again(world, queue):
    world.call("CreateConsumableResource", consumableResourceName="licence", totalQuantity=4)
    wanted = {"consumableResourceList": [{"consumableResource": "licence", "quantity": 2}]}
    entry = {"targetNodes": "0:", "container": CONTAINER, "consumableResourceProperties": wanted}
    define(world, entry, count=2, name="licensed")
    job = world.submit(queue, "licensed", retryStrategy={"attempts": 2})
    end(world, nodes(world, job)[0], 1)
    assert (job.status, job.attempt.number) == (S.STARTING, 2)


def test_ecs_properties_of_a_range(world, queue):
    task = {"taskProperties": [{"containers": [{"name": "c", **CONTAINER}]}]}
    define(world, {"targetNodes": "0:", "ecsProperties": task}, count=2)
    job = world.submit(queue, "m")
    (shown,) = world.call("DescribeJobs", jobs=[f"{job.id}#1"])["jobs"]
    assert shown["ecsProperties"]["taskProperties"][0]["containers"][0]["name"] == "c"
