"""Internal errors: a request is refused, a job at hand has FAILED, and everything else goes on."""

import pytest

from batch_engine.core.api.errors import ServerError
from batch_engine.core.audit.invariants import violations
from batch_engine.core.capacity.usage import Capacity
from batch_engine.core.model.actions import JobMoved, StartAttempt, StopAttempt
from batch_engine.core.model.events import AttemptFinished, AttemptStarted, Woken
from batch_engine.core.model.jobs import JobStatus
from batch_engine.core.scheduling.dispatcher import Dispatcher
from batch_engine.core.scheduling.lifecycle import Lifecycle

S = JobStatus
REASON = "Internal error of the engine: RuntimeError: out of order"


@pytest.fixture
def world(make_world):
    return make_world(expects_faults=True)


@pytest.fixture
def queue(world):
    world.definition()
    return world.queue("q", world.environment("ce"))


def breaks(monkeypatch, owner, name, when=lambda *_: True):
    """Have a method raise whenever a condition holds for its arguments."""
    real = getattr(owner, name)

    def broken(self, *args, **more):
        if when(*args):
            raise RuntimeError("out of order")
        return real(self, *args, **more)

    monkeypatch.setattr(owner, name, broken)


def last_faults(world):
    return world.scheduler.log.last(1)[0].faults


def test_a_request_that_fails_is_refused_and_changes_nothing(world, queue, monkeypatch):
    job = world.submit(queue)
    world.tell(AttemptStarted(job.id, 1))
    breaks(monkeypatch, Lifecycle, "_stop")
    with pytest.raises(ServerError, match="RuntimeError: out of order"):
        world.call("TerminateJob", jobId=job.id, reason="no")
    assert (job.status, job.is_terminated, job.stop_cause) == (S.RUNNING, False, None)
    assert violations(world.scheduler) == []
    (fault,) = last_faults(world)
    assert fault.refused
    assert "in _stop" in fault.trace or "in broken" in fault.trace
    monkeypatch.undo()
    world.call("TerminateJob", jobId=job.id, reason="no")
    assert world.actions[-1] == StopAttempt(job.id, 1, job.stop_cause, 30)


def test_a_submission_that_fails_leaves_no_job(world, queue, monkeypatch):
    breaks(monkeypatch, Dispatcher, "enqueue")
    with pytest.raises(ServerError):
        world.submit(queue)
    assert world.registry.jobs == {}
    monkeypatch.undo()
    assert world.submit(queue).status is S.STARTING


def test_an_update_that_fails_leaves_the_resource(world, queue, monkeypatch):
    registry = type(world.registry)
    before = world.registry.compute_environments["ce"]
    breaks(monkeypatch, registry, "touch")
    with pytest.raises(RuntimeError):
        # Here recovery cannot save either: the caller is told, and the state is as it was.
        world.call("UpdateComputeEnvironment", computeEnvironment="ce", computeResources={"maxvCpus": 99})
    assert world.registry.compute_environments["ce"] is before


def test_the_job_at_hand_has_failed_and_the_others_go_on(world, queue, monkeypatch):
    job, other = world.submit(queue), world.submit(queue)
    dependent = world.submit(queue, dependsOn=[{"jobId": job.id}])
    for each in (job, other):
        world.tell(AttemptStarted(each.id, 1))
    breaks(monkeypatch, Dispatcher, "release", lambda held: held.id == job.id)
    actions = world.tell(AttemptFinished(job.id, 1, 0))
    assert (job.status, job.status_reason) == (S.FAILED, REASON)
    assert (dependent.status, dependent.status_reason) == (S.FAILED, "Dependent Job failed")
    moved = [(action.job_id, action.after) for action in actions if isinstance(action, JobMoved)]
    assert moved == [(job.id, S.FAILED), (dependent.id, S.FAILED)]
    world.tell(AttemptFinished(other.id, 1, 0))
    assert other.status is S.SUCCEEDED


def test_a_job_that_cannot_be_placed_blocks_no_other_job(world, queue, monkeypatch):
    """The fault comes back whenever this job is looked at: the queue goes on without it."""
    bad_id = f"00000000-0000-4000-8000-{world.ids.count + 1:012d}"
    breaks(monkeypatch, Capacity, "offer", lambda job, *_: job.id == bad_id)
    bad = world.submit(queue)
    good = world.submit(queue)
    assert (bad.id, bad.status, bad.status_reason) == (bad_id, S.FAILED, REASON)
    assert good.status is S.STARTING


def test_the_attempt_of_a_job_that_failed_by_a_fault_is_stopped(world, queue, monkeypatch):
    job = world.submit(queue)
    assert StartAttempt(job.id, 1) in world.actions
    breaks(monkeypatch, type(world.registry.index), "moved", lambda moved, *_: moved.id == job.id)
    actions = world.tell(AttemptStarted(job.id, 1))
    assert (job.status, job.status_reason, job.attempt.status_reason) == (S.FAILED, REASON, REASON)
    assert [action.attempt for action in actions if isinstance(action, StopAttempt)] == [1]


def test_a_core_that_cannot_place_at_all_ends_each_event(world, queue, monkeypatch):
    waiting = [world.submit(queue) for _ in range(6)]
    breaks(monkeypatch, Dispatcher, "run_cycle")
    running = waiting[0]
    world.tell(AttemptStarted(running.id, 1))
    assert running.status is S.RUNNING
    assert 1 < len(last_faults(world)) < 10
    monkeypatch.undo()
    world.tell(AttemptFinished(running.id, 1, 0))
    assert running.status is S.SUCCEEDED
    assert not last_faults(world)
    assert [job.status for job in waiting[1:]].count(S.RUNNABLE) == 1


def test_each_action_names_its_event(world, queue):
    world.actions.clear()
    job = world.submit(queue)
    submitted = world.scheduler.log.count
    assert {action.event for action in world.actions} == {submitted}
    actions = world.tell(AttemptStarted(job.id, 1))
    assert {action.event for action in actions} == {submitted + 1}
    assert [record.seq for record in world.scheduler.log.last(2)] == [submitted, submitted + 1]
    assert world.scheduler.log.last(1)[0].actions == actions


def test_the_log_keeps_the_last_events(world, queue):
    log = type(world.scheduler.log)(keep=3)
    for now_ms in range(10):
        log.open(Woken(), now_ms)
    assert ([record.seq for record in log], log.count, len(log)) == ([8, 9, 10], 10, 3)
    assert [record.seq for record in log.last(2)] == [9, 10]
    assert log.last(0) == []
