"""The next share of a fair-share queue: the ranking agrees with a scan of all shares, and is not one."""

import random

import pytest

from batch_engine.core.model.events import AttemptFinished, AttemptStarted
from batch_engine.core.rules.fair_share import Candidate, choose, parse, weight
from batch_engine.core.scheduling.share_ranking import Ranking, Standing
from batch_engine.core.state.share_use import Use

DECAY_S = 600
# A scan rounds to nine decimals before it compares; the ranking compares logarithms.
ROUNDING = 2e-9
POLICY = {
    "shareDecaySeconds": DECAY_S,
    "shareDistribution": [
        {"shareIdentifier": "a0", "weightFactor": 0.5},
        {"shareIdentifier": "a1", "weightFactor": 3.0},
        {"shareIdentifier": "g*", "weightFactor": 0.25},
    ],
}
SHARES = ["a0", "a1", *(f"g{number}" for number in range(4)), *(f"x{number}" for number in range(8))]


class Shares:
    """Shares that use, wait and stop waiting; the ranking follows, and a scan is the oracle."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.now_ms = 1_700_000_000_000
        self.policy = parse(POLICY)
        self.use = {share: Use(at_ms=self.now_ms) for share in SHARES}
        self.order = {}
        self.ranking = Ranking(DECAY_S, self.standing)

    def standing(self, share):
        if share not in self.order:
            return None
        return Standing(self.use[share], weight(self.policy, share, SHARES), self.order[share])

    def scan(self):
        return [
            Candidate(share, self.use[share].milli_vcpus(self.now_ms, DECAY_S) / 1000, order)
            for share, order in self.order.items()
        ]

    def step(self):
        share, use = self.random.choice(SHARES), None
        match self.random.randrange(5):
            case 0:
                self.now_ms += self.random.choice((0, 1, 1000, 60_000, 600_000, 20_000_000))
            case 1:
                self.order.pop(share, None)
            case 2:
                self.order[share] = self.random.randrange(1000) * len(SHARES) + SHARES.index(share)
            case 3:
                use = self.use[share]
                use.settle(self.now_ms, DECAY_S)
                use.running_milli += self.random.choice((1000, 1000, 2000, 250))
            case _:
                use = self.use[share]
                use.settle(self.now_ms, DECAY_S)
                use.running_milli = max(0, use.running_milli - self.random.choice((1000, 2000, 8000)))
        self.ranking.changed(share)

    def weighted(self, candidate):
        return candidate.use_vcpus * weight(self.policy, candidate.share, SHARES)


@pytest.mark.parametrize("seed", range(60))
def test_the_ranking_finds_the_share_that_a_scan_finds(seed):
    shares = Shares(seed)
    for number in range(400):
        shares.step()
        found, candidates = shares.ranking.first(shares.now_ms), shares.scan()
        if not candidates:
            assert found is None
            continue
        chosen = choose(shares.policy, candidates, SHARES).share
        if found != chosen:
            uses = {candidate.share: shares.weighted(candidate) for candidate in candidates}
            assert abs(uses[found] - uses[chosen]) < ROUNDING, f"step {number}: {found} instead of {chosen}"


def test_equal_shares_are_ordered_by_arrival():
    shares = Shares(0)
    shares.order = {"x0": 5, "x1": 3, "x2": 4}
    for share in shares.order:
        shares.ranking.changed(share)
    assert shares.ranking.first(shares.now_ms) == "x1"
    for share, milli_vcpus in (("x0", 1e-3), ("x2", 1e-4)):
        shares.use[share].average_milli = milli_vcpus
        shares.ranking.changed(share)
    shares.order["x1"] = 6
    shares.ranking.changed("x1")
    assert shares.ranking.first(shares.now_ms) == "x1", "it has used nothing"
    assert shares.ranking.first(shares.now_ms + 86_400_000) == "x2", "what the others used counts no more"


def placements(make_world, shares):
    """How many shares are looked at for a placement, where one job of each of so many shares waits."""
    world = make_world()
    entries = [
        {"shareIdentifier": f"s{number}", "weightFactor": 1 + number / 1000} for number in range(shares)
    ]
    policy = world.call("CreateSchedulingPolicy", name="p", fairsharePolicy={"shareDistribution": entries})
    world.definition()
    order = [{"order": 1, "computeEnvironment": world.environment("ce", 4)}]
    request = {"priority": 1, "computeEnvironmentOrder": order, "schedulingPolicyArn": policy["arn"]}
    world.call("CreateJobQueue", jobQueueName="q", **request)
    jobs = [
        world.scheduler.registry.jobs[
            world.plane.call(
                "SubmitJob",
                {"jobName": "j", "jobQueue": "q", "jobDefinition": "d", "shareIdentifier": f"s{at % shares}"},
                world.now_ms,
            )[0]["jobId"]
        ]
        for at in range(504)
    ]
    ranking = world.scheduler.dispatcher.shares._ranking("q")
    before, ended = ranking.looked_at, 0
    while running := [job for job in jobs if job.status.is_placed]:
        for job in running:
            world.now_ms += 7
            world.scheduler.handle(AttemptStarted(job.id, 1), world.now_ms)
            world.scheduler.handle(AttemptFinished(job.id, 1, 0), world.now_ms)
            ended += 1
        if ended >= 400:
            break
    return (ranking.looked_at - before) / ended


def test_a_placement_looks_at_as_few_of_500_shares_as_of_4(make_world):
    few, many = placements(make_world, 4), placements(make_world, 500)
    assert many < 2 * few < 60, (few, many)
