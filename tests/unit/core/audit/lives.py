"""The world outside the core, in virtual time: it does what actions ask, late, badly or not at all."""

import heapq
import random
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from batch_engine.core.capacity.fleet import Instance, InstanceState
from batch_engine.core.capacity.wait_reasons import Refusal
from batch_engine.core.model.actions import (
    Action,
    LaunchInstance,
    StartAttempt,
    StopAttempt,
    WakeAt,
)
from batch_engine.core.model.events import (
    AttemptFinished,
    AttemptStarted,
    Event,
    HostLost,
    InstanceLost,
    InstanceReady,
    ResourcesChanged,
    Woken,
)
from batch_engine.core.model.jobs import Job, JobStatus, StopCause
from batch_engine.core.model.resources import State
from batch_engine.core.rules.fair_share import Candidate, choose, weight
from batch_engine.core.state.decisions import nodes_of
from batch_engine.local.store.store import Store

EXIT_CODES = (1, 65, 75, 137, None)
SLACK_MS = 5_000
"""Every call takes a millisecond of the virtual time, so that nothing happens at the same moment."""

Key = tuple[str, int]


@dataclass(frozen=True)
class Faults:
    """How likely it is that something goes wrong, from 0 to 1."""

    never_starts: float = 0.0
    exits_badly: float = 0.0
    loses_host: float = 0.0
    never_joins: float = 0.0
    told_twice: float = 0.0
    slow_s: float = 400.0


@dataclass
class Life:
    """Machines that run what the core starts. ``world`` checks the invariants after every event."""

    world: Any
    seed: int
    faults: Faults = field(default_factory=Faults)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.store = Store(Path(":memory:"))
        self.due: list[tuple[int, int, Event]] = []
        self.count = 0
        self.running: dict[Key, bool] = {}
        """The containers that are there, and whether somebody has asked to stop them."""
        self.begun: set[Key] = set()
        self.ended: dict[str, list[int | None]] = {}
        """The exit codes that were told of each job while it mattered."""

    def call(self, operation: str, /, **request: Any) -> dict[str, Any]:
        """One request of an operator, and what follows from it."""
        response = self.world.call(operation, **request)
        self.settle()
        return response

    def tell(self, event: Event) -> None:
        """One event, and what follows from it."""
        if isinstance(event, AttemptFinished | HostLost):
            self._note_end(event)
        self.world.tell(event)
        self.settle()

    def _note_end(self, event: AttemptFinished | HostLost) -> None:
        self.running.pop((event.job_id, event.attempt), None)
        job = self.world.registry.jobs.get(event.job_id)
        if job is not None and job.status.is_placed and job.attempt.number == event.attempt:
            code = event.exit_code if isinstance(event, AttemptFinished) else None
            self.ended.setdefault(event.job_id, []).append(code)

    def settle(self) -> None:
        """Save what changed, as the engine does, and only then act."""
        self.store.save(self.world.registry.changed, [], self.world.now_ms)
        self.world.registry.changed.clear()
        actions, self.world.actions = self.world.actions, []
        for action in actions:
            self._obey(action)

    def _later(self, seconds: float, event: Event) -> None:
        self._at(self.world.now_ms + round(seconds * 1000), event)

    def _at(self, at_ms: int, event: Event) -> None:
        self.count += 1
        heapq.heappush(self.due, (at_ms, self.count, event))

    def _obey(self, action: Action) -> None:
        match action:
            case StartAttempt(job_id, attempt):
                self._start(job_id, attempt)
            case StopAttempt(job_id, attempt, cause, grace_s) if (job_id, attempt) in self.running:
                self.running[job_id, attempt] = True
                if cause is not StopCause.HOST_LOST or self.random.random() < 0.5:
                    code = self.random.choice((0, 137, 143))
                    self._later(self.random.uniform(0, grace_s), AttemptFinished(job_id, attempt, code))
            case WakeAt(at_ms):
                self._at(at_ms, Woken())
            case LaunchInstance(instance_id) if self.world.scaling.launch_takes_time:
                lost = self.random.random() < self.faults.never_joins
                event = InstanceLost(instance_id) if lost else InstanceReady(instance_id)
                self._later(self.random.uniform(1, 300), event)

    def _start(self, job_id: str, attempt: int) -> None:
        assert (job_id, attempt) not in self.begun, f"attempt {attempt} of {job_id} is started twice"
        alive = [key for key, stopped in self.running.items() if key[0] == job_id and not stopped]
        assert alive == [], f"{job_id} is started while it runs"
        job = self.world.registry.jobs[job_id]
        environment = self.world.registry.compute_environments[job.attempt.compute_environment]
        if job.node_index is None:  # other nodes start when their main node runs, long after it was placed
            is_open = environment.state is State.ENABLED and environment.status in ("VALID", "UPDATING")
            assert is_open, f"{job_id} starts in {environment}"
        self.begun.add((job_id, attempt))
        self.running[job_id, attempt] = False
        at_s = self.random.uniform(0, 20)
        if self.random.random() < self.faults.never_starts:
            reason = "CannotPullContainerError: no such image"
            event = AttemptFinished(job_id, attempt, None, reason, "Task failed to start")
            self._later(at_s, event)
            return
        self._later(at_s, AttemptStarted(job_id, attempt))
        at_s += self.random.uniform(0, self.faults.slow_s)
        code = self.random.choice(EXIT_CODES) if self.random.random() < self.faults.exits_badly else 0
        self._later(at_s, AttemptFinished(job_id, attempt, code))
        if self.random.random() < self.faults.loses_host:
            self._later(self.random.uniform(0, at_s), HostLost(job_id, attempt))

    def pass_time(self, seconds: float) -> None:
        """Let everything happen that is due by then."""
        until_ms = self.world.now_ms + round(seconds * 1000)
        while self.due and self.due[0][0] <= until_ms:
            self._next()
        self.world.now_ms = max(self.world.now_ms, until_ms)

    def _next(self) -> None:
        at_ms, _, event = heapq.heappop(self.due)
        of_attempt = isinstance(event, AttemptStarted | AttemptFinished | HostLost)
        if of_attempt and (event.job_id, event.attempt) not in self.running:
            return
        self.world.now_ms = max(self.world.now_ms, at_ms)
        self.tell(event)
        if of_attempt and self.random.random() < self.faults.told_twice:
            self.tell(event)

    def run_out(self, steps: int = 100_000) -> None:
        """Let everything happen that will."""
        for _ in range(steps):
            if not self.due or self.over():
                return
            self._next()
        raise AssertionError(f"{steps} events later it still goes on")

    def over(self) -> bool:
        """Whether every job is over; what is due after that are idle instances."""
        return not any(True for _ in self.unfinished())

    def unfinished(self) -> Iterator[Job]:
        """The jobs that are not over."""
        for queue in self.world.registry.job_queues:
            for status in JobStatus:
                if not status.is_terminal:
                    yield from self.world.registry.index.oldest_first(queue, status)

    def restart(self) -> None:
        """Power cut: a new core reads the state back; what ran is lost, and so is what was due."""
        before = self.world.registry
        self.world.restart(self.store.load())
        assert_same(before, self.world.registry)
        self.running.clear()
        self.due.clear()
        for job in [job for job in self.world.registry.jobs.values() if job.status.is_placed]:
            self.tell(HostLost(job.id, job.attempt.number))
        self.tell(ResourcesChanged())


def assert_same(before: Any, after: Any) -> None:
    """What was read back is what was there, to the last field."""
    for kind in ("compute_environments", "job_queues", "scheduling_policies", "job_definitions"):
        assert getattr(after, kind) == getattr(before, kind)
    assert after.consumable_resources == before.consumable_resources
    assert set(after.jobs) == set(before.jobs)
    for job in before.jobs.values():
        again = after.jobs[job.id]
        lost = {
            item.name: (getattr(job, item.name), getattr(again, item.name))
            for item in fields(job)
            if getattr(job, item.name) != getattr(again, item.name)
        }
        assert lost == {}, f"{job.id} was saved and is read back with {lost}"
    for job_id, run in before.arrays.items():
        again = after.arrays[job_id]
        assert (again.counts, again.made) == (run.counts, run.made)
        assert list(again.untouched_released()) == list(run.untouched_released())


def assert_nobody_waits_without_need(world: Any) -> None:
    """Every head of a queue waits for a reason: no compute environment of the queue takes it now."""
    dispatcher = world.scheduler.dispatcher
    for queue in world.registry.job_queues.values():
        head = dispatcher.shares.head(queue) if queue.status == "VALID" else None
        if head is None or dispatcher._consumables.refusal(head) is not None:
            continue
        if any(held.order < head.order for held in dispatcher.held(queue.name)):
            continue
        nodes = nodes_of(world.registry, head) if head.is_gang else [head]
        for name in queue.compute_environments:
            environment = world.registry.compute_environments[name]
            if dispatcher.shares.reservation(nodes[0], queue, environment, dispatcher.capacity, len(nodes)):
                continue
            if head.is_gang:
                offer = dispatcher.capacity.offer_gang(nodes, environment)
                if not isinstance(offer, Refusal) and not all(_is_ready(item.instance) for item in offer):
                    continue
            else:
                offer = dispatcher.capacity.offer(head, environment)
            assert isinstance(offer, Refusal), f"{head.id} waits though {name} offers {offer}"


def assert_heads_are_fair(world: Any) -> None:
    """The head of every fair-share queue is the one that a scan of all its shares finds."""
    dispatcher = world.scheduler.dispatcher
    shares, lines, now_ms = dispatcher.shares, dispatcher.lines, dispatcher._journal.now_ms
    for name, queue in world.registry.job_queues.items():
        policy = shares.policy(name)
        head = shares.head(queue) if policy is not None else None
        if head is None or head.order < 0:
            continue
        active = set(shares.active(name, now_ms))
        uses = {share: shares.use.vcpus(name, share, now_ms, policy.decay_s) for share in active}
        orders = {share: lines.first_order(name, share) for share in lines.shares(name)}
        waiting = [
            Candidate(share, uses[share], order) for share, order in orders.items() if order is not None
        ]
        chosen = choose(policy, waiting, active).share
        weighted = [uses[share] * weight(policy, share, active) for share in (head.share_identifier, chosen)]
        assert abs(weighted[0] - weighted[1]) < 1e-6, f"{head.id} of {name} is first instead of {chosen}"


def assert_limits_are_kept(world: Any) -> None:
    """No head of a queue waits for longer than the queue's time limit for its reason allows."""
    for queue in world.registry.job_queues.values():
        head = world.scheduler.dispatcher.shares.head(queue) if queue.status == "VALID" else None
        for action in queue.time_limit_actions if head is not None else ():
            if head.wait_reason is not None and action["reason"] == head.wait_reason.limited_as:
                waited_ms = world.now_ms - head.waits_since_ms
                limit_ms = action["maxTimeSeconds"] * 1000 + SLACK_MS
                assert waited_ms <= limit_ms, f"{head.id} waits for {waited_ms} ms: {head.status_reason}"


def _is_ready(instance: Instance | None) -> bool:
    return instance is not None and instance.state is InstanceState.READY


def assert_fates(life: Life) -> None:
    """How each job ended follows from what its containers did, as this world remembers it."""
    for job in life.world.registry.jobs.values():
        if job.is_array or job.is_gang or not job.status.is_terminal:
            continue
        ends = life.ended.get(job.id, [])
        begun = sum(1 for attempt in job.attempts if (job.id, attempt.number) in life.begun)
        assert len(ends) <= begun or job.node_index is not None, f"{job.id} ended {ends}, began {begun}"
        if job.status is JobStatus.SUCCEEDED:
            assert ends[-1:] == [0], f"{job.id} SUCCEEDED after {ends}"
        if job.node_index is None:
            assert 0 not in ends[:-1] or job.attempts[ends.index(0)].started_at_ms is None, (
                f"{job.id}: {ends}"
            )
            _assert_given_up(job)
        if job.timeout_s is not None:
            for attempt in job.attempts:
                if attempt.started_at_ms is not None:
                    ran_ms = attempt.stopped_at_ms - attempt.started_at_ms
                    assert ran_ms <= (job.timeout_s + 30) * 1000 + SLACK_MS, f"{job.id} ran {ran_ms} ms"


def _assert_given_up(job: Job) -> None:
    """A job whose last container failed has used its attempts, unless somebody or a rule said otherwise."""
    if job.status is not JobStatus.FAILED or not job.attempts or job.retry.evaluate_on_exit:
        return
    ended_by_itself = job.attempt.stopped_at_ms == job.stopped_at_ms and job.stop_cause is None
    if ended_by_itself and not (job.is_terminated or job.is_cancelled):
        assert len(job.attempts) == job.retry.attempts, f"{job.id} was given up after {len(job.attempts)}"
