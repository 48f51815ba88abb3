"""What SubmitJob checks and remembers, one test a rule."""

import pytest

from batch_engine.core.api.submission import override_bytes
from batch_engine.core.model.errors import ClientError
from batch_engine.core.model.events import AttemptFinished, AttemptStarted
from batch_engine.core.model.jobs import JobStatus
from batch_engine.core.model.tasks import task_arn

S = JobStatus
SMALL = [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "128"}]


@pytest.fixture
def queue(world):
    world.definition()
    return world.queue("q", world.environment("ce"))


@pytest.fixture
def fair_queue(world):
    world.definition()
    policy = world.call("CreateSchedulingPolicy", name="p", fairsharePolicy={})["arn"]
    order = [{"order": 1, "computeEnvironment": world.environment("fair")}]
    request = {"priority": 1, "computeEnvironmentOrder": order, "schedulingPolicyArn": policy}
    return world.call("CreateJobQueue", jobQueueName="fair", **request)["jobQueueArn"]


def detail(world, job):
    (found,) = world.call("DescribeJobs", jobs=[job.id])["jobs"]
    return found


@pytest.mark.parametrize(("spare", "status"), [(0, S.STARTING), (-1, S.FAILED)])
def test_overrides_of_more_than_8192_bytes_fail_at_dispatch(world, queue, spare, status):
    job = world.submit(queue, containerOverrides={"environment": [{"name": "X", "value": ""}]})
    room = 8192 - override_bytes(job.container) - spare
    # Two bytes a letter: bytes count, not characters.
    value = "ä" * (room // 2) + "x" * (room % 2)
    job = world.submit(queue, containerOverrides={"environment": [{"name": "X", "value": value}]})
    assert job.status is status
    if status is S.FAILED:
        assert job.status_reason == "Container Overrides length must be at most 8192"
        assert [past for _, past in job.history] == [S.SUBMITTED, S.RUNNABLE, S.FAILED]


def test_too_long_overrides_fail_every_child_of_an_array(world, queue):
    overrides = {"environment": [{"name": "X", "value": "x" * 9000}]}
    parent = world.submit(queue, containerOverrides=overrides, arrayProperties={"size": 3})
    assert (parent.status, parent.status_reason) == (S.FAILED, "Array Child Job failed")
    assert world.registry.jobs[f"{parent.id}:2"].status_reason.startswith("Container Overrides length")


@pytest.mark.parametrize(("extra", "status"), [(0, S.STARTING), (1, S.FAILED)])
def test_more_than_50_propagated_tags_fail_the_job(world, queue, extra, status):
    world.definition("tagged", tags={f"d{number}": "x" for number in range(25)}, propagateTags=True)
    tags = {f"j{number}": "x" for number in range(25 + extra)}
    job = world.submit(queue, "tagged", tags=tags)
    assert job.status is status
    if extra:
        assert job.status_reason == "Tags propagated to the ECS task must be at most 50, got 51"
        assert world.submit(queue, "tagged", tags=tags, propagateTags=False).status is S.STARTING


def test_share_identifier_is_required_with_a_scheduling_policy(world, fair_queue):
    with pytest.raises(ClientError, match="shareIdentifier must be specified"):
        world.submit(fair_queue)
    assert world.submit(fair_queue, shareIdentifier="blue").share_identifier == "blue"


@pytest.mark.parametrize("member", [{"shareIdentifier": "blue"}, {"schedulingPriorityOverride": 1}])
def test_share_identifier_and_priority_are_refused_without_one(world, queue, member):
    with pytest.raises(ClientError, match="cannot be specified: JobQueue q has no scheduling policy"):
        world.submit(queue, **member)


@pytest.mark.parametrize("share", ["a-b", "a b", "x" * 256, "a*b", "ä"])
def test_share_identifiers_are_letters_and_digits(world, fair_queue, share):
    with pytest.raises(ClientError, match="letters and digits"):
        world.submit(fair_queue, shareIdentifier=share)


@pytest.mark.parametrize("priority", [-1, 10_000])
def test_scheduling_priority_is_0_to_9999(world, fair_queue, priority):
    with pytest.raises(ClientError, match=f"between 0 and 9999, got {priority}"):
        world.submit(fair_queue, shareIdentifier="a", schedulingPriorityOverride=priority)


def test_scheduling_priority_override_beats_the_definition(world, fair_queue):
    world.definition("urgent", schedulingPriority=7)
    assert world.submit(fair_queue, "urgent", shareIdentifier="a").scheduling_priority == 7
    job = world.submit(fair_queue, "urgent", shareIdentifier="a", schedulingPriorityOverride=0)
    assert detail(world, job)["schedulingPriority"] == 0


def ecs(*containers, **task):
    named = [
        {
            "name": f"c{place}",
            "image": "i",
            "command": ["run", "Ref::x"],
            "resourceRequirements": SMALL,
            **item,
        }
        for place, item in enumerate(containers)
    ]
    return {"taskProperties": [{"containers": named, **task}]}


def ecs_definition(world, *containers, **task):
    request = {"jobDefinitionName": "e", "type": "container", "ecsProperties": ecs(*containers, **task)}
    world.call("RegisterJobDefinition", **request)


def test_ecs_properties_of_one_container_run(world, queue):
    role = "arn:aws:iam::123456789012:role/job"
    ecs_definition(world, {}, taskRoleArn=role, volumes=[{"name": "v"}])
    override = {"name": "c0", "environment": [{"name": "A", "value": "1"}]}
    overrides = {"taskProperties": [{"containers": [override]}]}
    job = world.submit(queue, "e", parameters={"x": "7"}, ecsPropertiesOverride=overrides)
    assert job.container["jobRoleArn"] == role
    world.tell(AttemptStarted(job.id, 1))
    world.tell(AttemptFinished(job.id, 1, 0))
    shown = detail(world, job)
    assert "container" not in shown
    (task,) = shown["ecsProperties"]["taskProperties"]
    assert (task["taskRoleArn"], task["volumes"]) == (role, [{"name": "v"}])
    (container,) = task["containers"]
    assert (container["name"], container["command"], container["exitCode"]) == ("c0", ["run", "7"], 0)
    assert container["environment"] == [{"name": "A", "value": "1"}]
    (attempt,) = shown["attempts"]
    assert attempt["container"] == {}
    assert attempt["taskProperties"][0]["taskArn"] == task_arn(job, job.attempt)
    assert attempt["taskProperties"][0]["containers"][0]["exitCode"] == 0


def test_ecs_properties_of_several_containers_are_refused(world, queue):
    ecs_definition(world, {}, {})
    with pytest.raises(ClientError, match="1 tasks and 2 containers is not supported"):
        world.submit(queue, "e")


@pytest.mark.parametrize(
    ("definition", "request_", "message"),
    [
        ("e", {"containerOverrides": {"command": ["x"]}}, "use ecsPropertiesOverride"),
        (
            "e",
            {"ecsPropertiesOverride": {"taskProperties": [{"containers": [{"name": "other"}]}]}},
            "names the containers other; the task has only c0",
        ),
        (
            "d",
            {"ecsPropertiesOverride": {"taskProperties": [{"containers": []}]}},
            "only for job definitions",
        ),
        ("d", {"eksPropertiesOverride": {"podProperties": {}}}, "eksPropertiesOverride is not supported"),
    ],
)
def test_overrides_of_the_wrong_kind_are_refused(world, queue, definition, request_, message):
    ecs_definition(world, {})
    with pytest.raises(ClientError, match=message):
        world.submit(queue, definition, **request_)
    assert not world.registry.jobs
