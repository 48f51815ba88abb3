"""Fair share: each decision and its reason."""

import pytest

from batch_engine.core.model.errors import ClientError
from batch_engine.core.model.events import AttemptFinished, AttemptStarted
from batch_engine.core.model.jobs import JobStatus, WaitReason
from batch_engine.core.rules import fair_share
from batch_engine.core.rules.fair_share import Candidate, choose, parse, reserved_vcpus, weight

S = JobStatus


def policy(*weights, **parameters):
    entries = [{"shareIdentifier": name, "weightFactor": factor} for name, factor in weights]
    return {"shareDistribution": entries, **parameters}


@pytest.mark.parametrize(
    ("weights", "waiting", "share", "why"),
    [
        (
            [],
            [("A", 2.0, 1), ("B", 1.0, 2)],
            "B",
            "B has least (1.000 vCPUs of use x weight 1; next A: 2.000 x 1)",
        ),
        (
            [],
            [("A", 1.0, 7), ("B", 1.0, 3)],
            "B",
            "B is level with A (1.000 vCPUs of use x weight 1) and came first",
        ),
        (
            [("A", 0.125)],
            [("A", 7.0, 2), ("B", 1.0, 1)],
            "A",
            "A has least (7.000 vCPUs of use x weight 0.125",
        ),
        ([("A", 0.125)], [("A", 9.0, 1), ("B", 1.0, 2)], "B", "next A: 9.000 x 0.125"),
        ([("U*", 1.0)], [("Ua", 2.0, 1), ("Ub", 2.0, 2), ("V", 3.0, 3)], "V", "next Ua: 2.000 x 2"),
        ([("U*", 1.0)], [("Ua", 1.0, 1), ("Ub", 2.0, 2), ("V", 3.0, 3)], "Ua", "weight 2"),
        ([], [("A", 5.0, 1)], "A", "A is the only share that waits"),
    ],
)
def test_least_weighted_use_goes_first(weights, waiting, share, why):
    candidates = [Candidate(*item) for item in waiting]
    choice = choose(parse(policy(*weights)), candidates, {item[0] for item in waiting})
    assert choice.share == share
    assert why in choice.why


@pytest.mark.parametrize(
    ("active", "expected"), [(["U1", "U2"], 2.0), ([f"U{n}" for n in range(5)], 5.0), ([], 1.0)]
)
def test_prefix_entry_is_the_weight_of_a_group(active, expected):
    assert weight(parse(policy(("U*", 1.0))), "U1", active) == expected


def test_share_without_entry_has_weight_one():
    assert weight(parse(policy(("A", 5.0))), "B", ["A", "B"]) == fair_share.DEFAULT_WEIGHT == 1.0


@pytest.mark.parametrize(
    ("reservation", "active", "percent"),
    [(50, 1, 50), (50, 2, 25), (50, 3, 12.5), (25, 1, 25), (25, 2, 6.25), (25, 3, 1.5625), (0, 1, 0)],
)
def test_compute_reservation(reservation, active, percent):
    assert reserved_vcpus(parse(policy(computeReservation=reservation)), active, 100) == pytest.approx(
        percent
    )


@pytest.mark.parametrize(("given", "window"), [(0, 600), (None, 600), (3600, 3600)])
def test_decay_of_zero_is_the_window_of_600_seconds(given, window):
    assert parse({} if given is None else {"shareDecaySeconds": given}).decay_s == window


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (policy(("A", 1000.0)), "weightFactor must be between 0.0001 and 999.9999"),
        (policy(("A", 0.0)), "weightFactor must be between 0.0001 and 999.9999"),
        (policy(("A", 1.0), ("A", 2.0)), "A is given more than once"),
        (policy(("UserA*", 1.0), ("UserA1", 1.0)), "UserA1 overlaps with UserA*"),
        (policy(("User*", 1.0), ("UserA*", 1.0)), "UserA* overlaps with User*"),
        (policy(("no-dash", 1.0)), "at most 255 letters and digits"),
        (policy(*((f"A{n}", 1.0) for n in range(501))), "at most 500 entries, got 501"),
        (policy(shareDecaySeconds=604_801), "shareDecaySeconds must be between 0 and 604800, got 604801"),
        (policy(computeReservation=100), "computeReservation must be between 0 and 99, got 100"),
    ],
)
def test_refused_policies(world, body, message):
    with pytest.raises(ClientError) as caught:
        world.call("CreateSchedulingPolicy", name="p", fairsharePolicy=body)
    assert message in caught.value.message


def fair_queue(world, max_vcpus=2, *weights, **parameters):
    world.definition()
    arn = world.call("CreateSchedulingPolicy", name="p", fairsharePolicy=policy(*weights, **parameters))[
        "arn"
    ]
    order = [{"order": 1, "computeEnvironment": world.environment("ce", max_vcpus)}]
    world.call(
        "CreateJobQueue", jobQueueName="q", priority=1, computeEnvironmentOrder=order, schedulingPolicyArn=arn
    )
    return arn


def submit(world, share, **request):
    return world.submit("q", shareIdentifier=share, **request)


def finish(world, job):
    world.tell(AttemptStarted(job.id, job.attempt.number))
    world.tell(AttemptFinished(job.id, job.attempt.number, 0))


def placed(*jobs):
    return [job.status.is_placed for job in jobs]


def test_shares_take_turns(world):
    fair_queue(world)
    first = [submit(world, "A") for _ in range(4)]
    second = [submit(world, "B") for _ in range(4)]
    assert placed(*first, *second) == [True, True] + [False] * 6
    finish(world, first[0])
    assert placed(*second) == [True, False, False, False], "B has used nothing yet"
    finish(world, first[1])
    assert placed(*first[2:], *second[1:]) == [True, False, False, False, False], "B uses one, A none"


def test_lower_weight_gets_more(world):
    fair_queue(world, 9, ("A", 0.125))
    world.call("UpdateComputeEnvironment", computeEnvironment="ce", state="DISABLED")
    jobs = {share: [submit(world, share) for _ in range(9)] for share in "AB"}
    world.call("UpdateComputeEnvironment", computeEnvironment="ce", state="ENABLED")
    assert [sum(placed(*jobs[share])) for share in "AB"] == [8, 1]


def test_scheduling_priority_counts_inside_a_share_only(world):
    fair_queue(world, 1)
    running = submit(world, "A")
    low = submit(world, "B", schedulingPriorityOverride=1)
    high = submit(world, "B", schedulingPriorityOverride=9)
    other = submit(world, "C", schedulingPriorityOverride=9999)
    finish(world, running)
    assert placed(low, high, other) == [False, True, False], "B came first; within it, priority decides"


def test_retried_job_goes_before_every_share_and_priority(world):
    fair_queue(world, 1)
    job = submit(world, "A", retryStrategy={"attempts": 2})
    others = [submit(world, share, schedulingPriorityOverride=9) for share in "AB"]
    world.tell(AttemptStarted(job.id, 1))
    world.tell(AttemptFinished(job.id, 1, 1))
    assert placed(job, *others) == [True, False, False]


def test_use_decays(world):
    fair_queue(world, 1, shareDecaySeconds=1200)
    held = submit(world, "A")
    world.now_ms += 1_000_000
    finish(world, held)
    use = world.scheduler.dispatcher.shares.use
    now, later = (use.vcpus("q", "A", world.now_ms + after_ms, 1200) for after_ms in (0, 300_000))
    assert now > 0.8
    assert later == pytest.approx(now / 2, rel=0.01), "half of it is gone after a quarter of the window"
    assert use.vcpus("q", "A", world.now_ms + 1_300_000, 1200) == 0.0, "outside the window nothing counts"


def test_reservation_is_kept_for_shares_to_come(world):
    fair_queue(world, 4, computeReservation=50)
    mine = [submit(world, "A") for _ in range(4)]
    assert placed(*mine) == [True, True, False, False]
    assert mine[2].wait_reason is WaitReason.SHARE_RESERVATION
    assert "2 of 4 vCPUs" in mine[2].status_reason
    other = submit(world, "B")
    assert placed(other) == [True], "two are active now: 25 % is kept"


def test_update_of_a_policy_takes_effect(world):
    arn = fair_queue(world, 4, computeReservation=50)
    jobs = [submit(world, "A") for _ in range(4)]
    assert sum(placed(*jobs)) == 2
    world.call("UpdateSchedulingPolicy", arn=arn, fairsharePolicy=policy())
    assert sum(placed(*jobs)) == 4


def test_at_most_500_shares_are_active(world):
    fair_queue(world, 1)
    for number in range(500):
        submit(world, f"S{number}")
    submit(world, "S7")
    with pytest.raises(ClientError, match="500 active share identifiers"):
        submit(world, "Another")


def test_order_of_the_snapshot_is_the_order_of_placement(world):
    fair_queue(world, 1)
    running = submit(world, "A")
    jobs = [submit(world, share) for share in ("A", "A", "B", "B")]
    shown = [job.id for job in world.scheduler.dispatcher.in_order("q")]
    assert shown == [jobs[index].id for index in (2, 3, 0, 1)], "A has used a little more"
    finish(world, running)
    assert placed(jobs[2]) == [True]


def test_use_survives_a_restart(world):
    fair_queue(world, 1)
    job = submit(world, "A")
    world.now_ms += 300_000
    finish(world, job)
    before = world.scheduler.dispatcher.shares.use.vcpus("q", "A", world.now_ms, 600)
    entities = [
        *world.registry.compute_environments.values(),
        *world.registry.scheduling_policies.values(),
        *world.registry.job_queues.values(),
        *world.registry.jobs.values(),
    ]
    world.restart(entities)
    after = world.scheduler.dispatcher.shares.use.vcpus("q", "A", world.now_ms, 600)
    assert after == pytest.approx(before, rel=0.01)


@pytest.mark.parametrize(("create", "update"), [(False, True)])
def test_policy_can_be_swapped_and_never_added(world, create, update):
    world.queue("plain", world.environment("other"))
    arn = fair_queue(world)
    with pytest.raises(ClientError, match="cannot be added"):
        world.call("UpdateJobQueue", jobQueue="plain", schedulingPolicyArn=arn)
    second = world.call("CreateSchedulingPolicy", name="p2", fairsharePolicy={})["arn"]
    world.call("UpdateJobQueue", jobQueue="q", schedulingPolicyArn=second)
    assert world.registry.job_queues["q"].scheduling_policy_arn == second
