"""What the scheduler decides, event by event."""

import pytest

from batch_engine.core.capacity.usage import HostLimits
from batch_engine.core.model.actions import (
    JobMoved,
    LaunchInstance,
    PublishJobState,
    StartAttempt,
    StopAttempt,
    WakeAt,
)
from batch_engine.core.model.errors import IllegalTransitionError
from batch_engine.core.model.events import AttemptFinished, AttemptStarted, HostLost, Woken
from batch_engine.core.model.jobs import JobStatus, StopCause, WaitReason
from batch_engine.core.model.tasks import task_arn
from batch_engine.core.model.transitions import LEGAL, move

S = JobStatus


@pytest.fixture
def queue(world):
    world.definition()
    return world.queue("q", world.environment("ce"))


def run(world, job):
    world.tell(AttemptStarted(job.id, job.attempt.number))


def finish(world, job, exit_code=0, reason=None):
    world.tell(AttemptFinished(job.id, job.attempt.number, exit_code, reason))


def test_straight_path(world, queue):
    job = world.submit(queue)
    assert job.status is S.STARTING
    run(world, job)
    finish(world, job)
    path = [S.SUBMITTED, S.RUNNABLE, S.STARTING, S.RUNNING, S.SUCCEEDED]
    assert [status for _, status in job.history] == path
    told = [action.detail["status"] for action in world.actions if isinstance(action, PublishJobState)]
    assert told == path[1:], "one event a move, each with the state of its moment, none for the submission"


def test_timeout_counts_from_running_and_is_never_retried(world, queue):
    job = world.submit(queue, timeout={"attemptDurationSeconds": 60}, retryStrategy={"attempts": 5})
    before = [action.at_ms for action in world.actions if isinstance(action, WakeAt)]
    assert min(before, default=world.now_ms + 300_000) > world.now_ms + 60_000
    now_ms = world.now_ms
    run(world, job)
    wake = [action for action in world.actions if isinstance(action, WakeAt)][-1]
    assert wake.at_ms == now_ms + 60_000
    world.now_ms = wake.at_ms - 1
    assert world.tell(Woken()) == []
    world.now_ms = wake.at_ms
    assert world.tell(Woken()) == [StopAttempt(job.id, 1, StopCause.TIMED_OUT, 30)]
    finish(world, job, 0)
    assert (job.status, job.status_reason) == (S.FAILED, "Job attempt duration exceeded timeout")


def test_timer_of_an_earlier_attempt_is_ignored(world, queue):
    job = world.submit(queue, timeout={"attemptDurationSeconds": 60}, retryStrategy={"attempts": 2})
    run(world, job)
    world.now_ms += 30_000
    finish(world, job, 1)
    run(world, job)
    world.now_ms += 30_001
    assert not [action for action in world.tell(Woken()) if isinstance(action, StopAttempt)]
    assert job.status is S.RUNNING


def test_terminate_while_starting(world, queue):
    job = world.submit(queue)
    world.call("TerminateJob", jobId=job.id, reason="no")
    assert world.actions[-1] == StopAttempt(job.id, 1, StopCause.TERMINATED, 30)
    world.tell(AttemptFinished(job.id, 1, None, "x", "Task failed to start"))
    assert (job.status, job.status_reason) == (S.FAILED, "no")


def test_lost_host_is_named_and_retried_by_the_rules(world, queue):
    rules = [{"onStatusReason": "Host EC2*", "action": "RETRY"}, {"onReason": "*", "action": "EXIT"}]
    job = world.submit(queue, retryStrategy={"attempts": 2, "evaluateOnExit": rules})
    run(world, job)
    world.tell(HostLost(job.id, 1))
    assert job.attempts[0].status_reason == f"Host EC2 (instance {job.attempts[0].instance_id}) terminated."
    assert job.attempts[0].exit_code is None
    assert (job.status, job.attempt.number) == (S.STARTING, 2)


def test_retried_job_goes_to_the_front(world):
    world.definition()
    queue = world.queue("q", world.environment("one", max_vcpus=1))
    first, second, third = (world.submit(queue, retryStrategy={"attempts": 2}) for _ in range(3))
    run(world, first)
    finish(world, first, 1)
    assert (first.status, second.status) == (S.STARTING, S.RUNNABLE)
    run(world, first)
    finish(world, first, 0)
    assert (second.status, third.status) == (S.STARTING, S.RUNNABLE)


def test_head_of_the_line_blocks_smaller_jobs(world):
    world.definition("big", vcpus=4)
    world.definition("small")
    queue = world.queue("q", world.environment("ce"))
    holder = world.submit(queue, "small")
    big, small = world.submit(queue, "big"), world.submit(queue, "small")
    assert (big.status, small.status) == (S.RUNNABLE, S.RUNNABLE)
    assert big.wait_reason is WaitReason.COMPUTE_ENVIRONMENT_FULL
    assert small.wait_reason is None, "only the head of a line has a reason of its own"
    run(world, holder)
    finish(world, holder)
    assert (big.status, small.status) == (S.STARTING, S.RUNNABLE)


def test_job_that_no_environment_can_ever_hold(world):
    world.definition("huge", vcpus=8)
    job = world.submit(world.queue("q", world.environment("ce")), "huge")
    assert job.status_reason == (
        "MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE - CE(s) associated with the job queue cannot meet "
        "the CPU requirement of the job."
    )
    world.call("UpdateComputeEnvironment", computeEnvironment="ce", computeResources={"maxvCpus": 8})
    assert job.status is S.STARTING


def test_higher_priority_queue_goes_first(world):
    world.definition()
    shared = world.environment("ce", max_vcpus=1)
    low, high = world.queue("low", shared, priority=1), world.queue("high", shared, priority=10)
    running = world.submit(low)
    waiting_low, waiting_high = world.submit(low), world.submit(high)
    run(world, running)
    finish(world, running)
    assert (waiting_low.status, waiting_high.status) == (S.RUNNABLE, S.STARTING)


def test_next_environment_when_the_first_is_full_or_disabled(world):
    world.definition()
    first, second = world.environment("spot", 1, "SPOT"), world.environment("on-demand", 4)
    queue = world.queue("q", first, second)
    jobs = [world.submit(queue) for _ in range(2)]
    assert [job.attempt.compute_environment for job in jobs] == ["spot", "on-demand"]
    world.call("UpdateComputeEnvironment", computeEnvironment="spot", state="DISABLED")
    finish(world, jobs[0], None)
    assert world.submit(queue).attempt.compute_environment == "on-demand"


def test_jobs_wait_for_the_machine_and_say_so(make_world):
    world = make_world(host=HostLimits(milli_vcpus=2000, memory_mib=1024))
    world.definition("cpu", vcpus=2)
    world.definition("memory", memory_mib=1000)
    queue = world.queue("q", world.environment("ce", max_vcpus=100))
    running, waiting = world.submit(queue, "cpu"), world.submit(queue, "cpu")
    assert waiting.wait_reason is WaitReason.HOST_FULL
    assert "this machine has 2 of 2 vCPUs in use" in waiting.status_reason
    for job in (running, waiting):
        run(world, job)
        finish(world, job)
    hogs = [world.submit(queue, "memory") for _ in range(2)]
    assert "1000 of 1024 MiB in use" in hogs[1].status_reason


def test_job_larger_than_the_machine_runs_alone(make_world):
    world = make_world(host=HostLimits(milli_vcpus=2000, memory_mib=1024))
    world.definition("large", vcpus=16, memory_mib=65536)
    world.definition("small")
    queue = world.queue("q", world.environment("ce", max_vcpus=100))
    large, small = world.submit(queue, "large"), world.submit(queue, "small")
    assert (large.status, small.status) == (S.STARTING, S.RUNNABLE)
    run(world, large)
    finish(world, large)
    assert small.status is S.STARTING


def test_late_news_of_a_finished_attempt_is_ignored(world, queue):
    job = world.submit(queue)
    run(world, job)
    finish(world, job)
    assert world.tell(AttemptFinished(job.id, 1, 1)) == []
    assert world.tell(HostLost(job.id, 1)) == []
    assert world.tell(AttemptStarted(job.id, 1)) == []
    assert job.status is S.SUCCEEDED


@pytest.mark.parametrize("before", list(JobStatus))
@pytest.mark.parametrize("after", list(JobStatus))
def test_only_legal_moves(world, queue, before, after):
    job = world.submit(queue)
    job.status = before
    if after in LEGAL[before]:
        move(job, after, 0)
        assert job.status is after
    else:
        with pytest.raises(IllegalTransitionError, match=f"from {before} to {after}; history: SUBMITTED"):
            move(job, after, 0)
        assert job.status is before


def test_cost_of_an_event_does_not_grow_with_the_line(world):
    """Counts the work, not the time: the head of the line is all that is looked at."""
    world.definition()
    queue = world.queue("q", world.environment("one", max_vcpus=1))
    running, *_ = [world.submit(queue) for _ in range(200)]
    looked_at = []
    offer = type(world.scheduler.dispatcher.capacity).offer
    capacity = world.scheduler.dispatcher.capacity

    class Counting(type(capacity)):
        def offer(self, job, environment):
            looked_at.append(job.id)
            return offer(self, job, environment)

    capacity.__class__ = Counting
    world.submit(queue)
    world.tell(AttemptStarted(running.id, 1))
    assert looked_at == [], "nothing has made room for the head, which was refused before"
    world.tell(AttemptFinished(running.id, 1, 0))
    assert len(looked_at) == 2, "the one that is placed, and the next one"


def test_action_order_of_a_submission(world, queue):
    world.actions.clear()
    job = world.submit(queue)
    kinds = [type(action) for action in world.actions]
    assert kinds == [JobMoved, PublishJobState, LaunchInstance, JobMoved, PublishJobState, StartAttempt]
    assert task_arn(job, job.attempt).startswith("arn:aws:ecs:eu-central-1:123456789012:task/ce_Batch_")
