"""Job queues and scheduling policies: what they may be, and whose job goes first, one test a rule."""

import pytest

from batch_engine.core.model.errors import ClientError
from batch_engine.core.model.events import AttemptFinished, AttemptStarted
from batch_engine.core.model.jobs import JobStatus

S = JobStatus
CAPACITY = "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY"
ACTION = {"reason": CAPACITY, "state": "RUNNABLE", "maxTimeSeconds": 600, "action": "CANCEL"}


@pytest.fixture
def ce(world):
    world.definition()
    return world.environment("ce")


def order(*environments):
    return [{"order": place, "computeEnvironment": item} for place, item in enumerate(environments, 1)]


def create(world, *environments, **request):
    given = {"jobQueueName": "q", "priority": 1, "computeEnvironmentOrder": order(*environments), **request}
    return world.call("CreateJobQueue", **given)["jobQueueArn"]


def shown(world, name="q"):
    (found,) = world.call("DescribeJobQueues", jobQueues=[name])["jobQueues"]
    return found


def fair(world, name, **policy):
    return world.call("CreateSchedulingPolicy", name=name, fairsharePolicy=policy)["arn"]


def finish(world, job):
    world.tell(AttemptStarted(job.id, job.attempt.number))
    world.tell(AttemptFinished(job.id, job.attempt.number, 0))


def test_a_new_queue_is_enabled_valid_and_healthy(world, ce):
    create(world, ce)
    queue = shown(world)
    assert (queue["state"], queue["status"], queue["statusReason"]) == (
        "ENABLED",
        "VALID",
        "JobQueue Healthy",
    )
    (environment,) = world.call("DescribeComputeEnvironments")["computeEnvironments"]
    assert (environment["state"], environment["status"]) == ("ENABLED", "VALID")
    assert environment["statusReason"] == "ComputeEnvironment Healthy"


def test_at_most_three_environments(world):
    four = [world.environment(name) for name in "abcd"]
    with pytest.raises(ClientError, match="between 1 and 3 compute environments, got 4"):
        create(world, *four)
    create(world, *four[:3])
    assert len(shown(world)["computeEnvironmentOrder"]) == 3


def test_an_environment_is_named_once(world, ce):
    with pytest.raises(ClientError, match="more than once"):
        create(world, ce, "ce")


def test_a_disabled_queue_takes_no_job_and_finishes_those_it_has(world):
    world.definition()
    create(world, world.environment("one", max_vcpus=1))
    running, waiting = world.submit("q"), world.submit("q")
    world.call("UpdateJobQueue", jobQueue="q", state="DISABLED")
    with pytest.raises(ClientError, match="DISABLED"):
        world.submit("q")
    finish(world, running)
    finish(world, waiting)
    assert (running.status, waiting.status) == (S.SUCCEEDED, S.SUCCEEDED)


def test_an_update_changes_only_the_members_that_it_names(world, ce):
    policies = fair(world, "first"), fair(world, "second")
    arn = create(world, ce, schedulingPolicyArn=policies[0], jobStateTimeLimitActions=[ACTION])
    before = shown(world)
    world.call("UpdateJobQueue", jobQueue=arn, priority=7)
    assert shown(world) == before | {"priority": 7}
    world.call("UpdateJobQueue", jobQueue="q", state="DISABLED", jobStateTimeLimitActions=[])
    world.call("UpdateJobQueue", jobQueue="q", schedulingPolicyArn=policies[1])
    other = world.environment("other")
    world.call("UpdateJobQueue", jobQueue="q", computeEnvironmentOrder=order(other))
    assert shown(world) == before | {
        "priority": 7,
        "state": "DISABLED",
        "jobStateTimeLimitActions": [],
        "schedulingPolicyArn": policies[1],
        "computeEnvironmentOrder": order(other),
    }


@pytest.mark.parametrize("operation", ["UpdateJobQueue", "DeleteJobQueue"])
def test_a_queue_that_does_not_exist(world, operation):
    if operation == "DeleteJobQueue":
        assert world.call(operation, jobQueue="nowhere") == {}
        return
    with pytest.raises(ClientError, match="nowhere does not exist"):
        world.call(operation, jobQueue="nowhere")


def test_a_name_is_used_once(world, ce):
    create(world, ce)
    with pytest.raises(ClientError, match="already exists"):
        create(world, ce)


@pytest.mark.parametrize("name", ["", "a b", "a/b", "ä", "x" * 129])
def test_queue_names(world, ce, name):
    with pytest.raises(ClientError, match=r"Job Queue name should match a valid pattern\."):
        create(world, ce, jobQueueName=name)


@pytest.mark.parametrize("name", ["", "a b", "a/b", "ä", "x" * 129])
def test_other_names(world, name):
    with pytest.raises(ClientError, match="valid pattern"):
        world.environment(name)
    with pytest.raises(ClientError, match="valid pattern"):
        world.definition(name)
    with pytest.raises(ClientError, match="valid pattern"):
        fair(world, name)


@pytest.mark.parametrize(
    ("actions", "message"),
    [
        ([ACTION, ACTION], "Duplicate job state limit actions are not allowed."),
        ([ACTION | {"action": "TERMINATE"}], r"Invalid job action. Valid job actions: \[CANCEL\]"),
        ([ACTION | {"maxTimeSeconds": 599}], "between 600 and 86400, got 599"),
        ([ACTION | {"maxTimeSeconds": 86_401}], "between 600 and 86400, got 86401"),
        ([ACTION | {"state": "PENDING"}], r"Valid job states: \[RUNNABLE\]"),
        ([ACTION | {"reason": "MISCONFIGURATION:SERVICE_ROLE_PERMISSIONS"}], "Invalid reason"),
        ([ACTION | {"reason": "ACTION_REQUIRED"}], "Invalid reason"),
        ([ACTION | {"reason": "UNDETERMINED"}], "Invalid reason"),
    ],
)
def test_time_limit_actions_that_are_refused(world, ce, actions, message):
    with pytest.raises(ClientError, match=message):
        create(world, ce, jobStateTimeLimitActions=actions)


def test_every_reason_that_triggers_an_action(world, ce):
    misconfigured = ("COMPUTE_ENVIRONMENT_MAX_RESOURCE", "JOB_RESOURCE_REQUIREMENT")
    reasons = [CAPACITY, *(f"MISCONFIGURATION:{reason}" for reason in misconfigured)]
    actions = [ACTION | {"reason": reason} for reason in reasons]
    create(world, ce, jobStateTimeLimitActions=actions)
    assert shown(world)["jobStateTimeLimitActions"] == actions


def test_first_come_first_served(world):
    world.definition()
    create(world, world.environment("one", max_vcpus=1))
    jobs = [world.submit("q") for _ in range(4)]
    for position, job in enumerate(jobs):
        assert [other.status for other in jobs[position:]] == [S.STARTING, *[S.RUNNABLE] * (3 - position)]
        finish(world, job)


def test_a_lower_queue_uses_capacity_that_the_higher_queue_cannot_use(world):
    world.definition("big", vcpus=4)
    world.definition("small")
    shared = world.environment("ce", max_vcpus=4)
    low, high = world.queue("low", shared, priority=1), world.queue("high", shared, priority=10)
    holder = world.submit(low, "small")
    big = world.submit(high, "big")
    small = world.submit(low, "small")
    assert (holder.status, big.status, small.status) == (S.STARTING, S.RUNNABLE, S.STARTING)


def test_priority_takes_nothing_from_a_job_that_is_placed(world):
    world.definition()
    shared = world.environment("ce", max_vcpus=1)
    low, high = world.queue("low", shared, priority=1), world.queue("high", shared, priority=10)
    placed = world.submit(low)
    waiting = world.submit(high)
    assert (placed.status, waiting.status) == (S.STARTING, S.RUNNABLE)


def test_equal_priority_goes_by_age_of_the_queue(world):
    world.definition()
    shared = world.environment("ce", max_vcpus=1)
    older, younger = world.queue("z-older", shared), world.queue("a-younger", shared)
    holder = world.submit(younger)
    of_younger, of_older = world.submit(younger), world.submit(older)
    finish(world, holder)
    assert (of_older.status, of_younger.status) == (S.STARTING, S.RUNNABLE)


def test_a_policy_is_given_at_creation_or_never(world, ce):
    create(world, ce)
    with pytest.raises(ClientError, match="cannot be added"):
        world.call("UpdateJobQueue", jobQueue="q", schedulingPolicyArn=fair(world, "p"))


def test_a_policy_can_be_swapped_and_not_dropped(world, ce):
    first, second = fair(world, "first"), fair(world, "second")
    create(world, ce, schedulingPolicyArn=first)
    world.call("UpdateJobQueue", jobQueue="q", schedulingPolicyArn=second)
    assert shown(world)["schedulingPolicyArn"] == second
    world.call("UpdateJobQueue", jobQueue="q", priority=2)
    assert shown(world)["schedulingPolicyArn"] == second, "no request takes it away"


def test_a_policy_in_use_stays(world, ce):
    first, second = fair(world, "first"), fair(world, "second")
    create(world, ce, schedulingPolicyArn=first)
    with pytest.raises(ClientError, match="is used by JobQueue q"):
        world.call("DeleteSchedulingPolicy", arn=first)
    world.call("UpdateJobQueue", jobQueue="q", schedulingPolicyArn=second)
    world.call("DeleteSchedulingPolicy", arn=first)
    found = world.call("DescribeSchedulingPolicies", arns=[first, second])["schedulingPolicies"]
    assert [policy["arn"] for policy in found] == [second]


def test_a_policy_has_one_kind_for_good(world):
    quota = {"idleResourceAssignmentStrategy": "FIFO"}
    with pytest.raises(ClientError, match="Only one of"):
        world.call("CreateSchedulingPolicy", name="p", fairsharePolicy={}, quotaSharePolicy=quota)
    arn = fair(world, "p", shareDecaySeconds=60)
    with pytest.raises(ClientError, match="the kind of a scheduling policy is fixed"):
        world.call("UpdateSchedulingPolicy", arn=arn, quotaSharePolicy=quota)
    (policy,) = world.call("DescribeSchedulingPolicies", arns=[arn])["schedulingPolicies"]
    assert policy["fairsharePolicy"] == {"shareDecaySeconds": 60}


def test_policies_that_a_queue_cannot_have(world, ce):
    quota = world.call(
        "CreateSchedulingPolicy", name="p", quotaSharePolicy={"idleResourceAssignmentStrategy": "FIFO"}
    )["arn"]
    with pytest.raises(ClientError, match="only supported for SageMaker Training job queues"):
        create(world, ce, schedulingPolicyArn=quota)
    with pytest.raises(ClientError, match=r"SchedulingPolicy .*gone not found"):
        create(world, ce, schedulingPolicyArn=quota.replace("/p", "/gone"))
