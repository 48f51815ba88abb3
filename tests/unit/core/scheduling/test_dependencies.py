"""Dependencies between jobs, one test a rule."""

import pytest

from batch_engine.core.model.errors import ClientError
from batch_engine.core.model.events import AttemptFinished, AttemptStarted
from batch_engine.core.model.jobs import JobStatus
from batch_engine.core.state import arrays

S = JobStatus


@pytest.fixture
def queue(world):
    world.definition()
    return world.queue("q", world.environment("ce", max_vcpus=16))


def finish(world, job, exit_code=0):
    world.tell(AttemptStarted(job.id, job.attempt.number))
    world.tell(AttemptFinished(job.id, job.attempt.number, exit_code))


def after(*jobs, kind=None):
    return [{"jobId": job.id, **({"type": kind} if kind else {})} for job in jobs]


def array(world, queue, size=3, **request):
    return world.submit(queue, arrayProperties={"size": size}, **request)


def child(world, parent, index):
    return arrays.find(world.registry, f"{parent.id}:{index}")


def states(world, parent):
    return [child(world, parent, index).status for index in range(parent.array_size)]


def test_waits_in_pending_until_all_have_succeeded(world, queue):
    first, second = world.submit(queue), world.submit(queue)
    waiting = world.submit(queue, dependsOn=after(first, second))
    assert waiting.status is S.PENDING
    finish(world, first)
    assert waiting.status is S.PENDING
    finish(world, second)
    path = [S.SUBMITTED, S.PENDING, S.RUNNABLE, S.STARTING]
    assert [status for _, status in waiting.history] == path
    shown = world.call("DescribeJobs", jobs=[waiting.id])["jobs"][0]["dependsOn"]
    assert shown == [{"jobId": first.id}, {"jobId": second.id}]


def test_same_job_named_twice_counts_once(world, queue):
    first = world.submit(queue)
    waiting = world.submit(queue, dependsOn=after(first, first))
    finish(world, first)
    assert waiting.status is S.STARTING


def test_failed_dependency_fails_the_waiting_at_once(world, queue):
    first, second = world.submit(queue), world.submit(queue)
    waiting = world.submit(queue, dependsOn=after(first, second))
    last = world.submit(queue, dependsOn=after(waiting))
    finish(world, first, 1)
    for job in (waiting, last):
        assert (job.status, job.status_reason) == (S.FAILED, "Dependent Job failed")
    finish(world, second)
    assert waiting.attempts == []


def test_a_retry_is_no_failure(world, queue):
    first = world.submit(queue, retryStrategy={"attempts": 2})
    waiting = world.submit(queue, dependsOn=after(first))
    finish(world, first, 1)
    assert waiting.status is S.PENDING
    finish(world, first)
    assert waiting.status is S.STARTING


def test_already_succeeded_is_satisfied(world, queue):
    first = world.submit(queue)
    finish(world, first)
    assert world.submit(queue, dependsOn=after(first)).status is S.STARTING


def test_already_failed_fails_the_new_job(world, queue):
    first = world.submit(queue)
    finish(world, first, 1)
    waiting = world.submit(queue, dependsOn=after(first))
    assert (waiting.status, waiting.status_reason) == (S.FAILED, "Dependent Job failed")
    parent = array(world, queue, dependsOn=after(first))
    assert (parent.status, parent.status_reason) == (S.FAILED, "Dependent Job failed")
    assert states(world, parent) == [S.FAILED] * 3


def test_dependencies_cross_queues(world, queue):
    other = world.queue("other", world.environment("other", 4))
    first = world.submit(queue)
    waiting = world.submit(other, dependsOn=after(first))
    assert waiting.status is S.PENDING
    finish(world, first)
    assert waiting.status is S.STARTING


def test_dependent_takes_its_turn_out_of_the_line(world):
    world.definition()
    queue = world.queue("narrow", world.environment("one", max_vcpus=1))
    first = world.submit(queue)
    waiting, behind = world.submit(queue, dependsOn=after(first)), world.submit(queue)
    assert (waiting.status, behind.status) == (S.PENDING, S.RUNNABLE)


def test_array_counts_as_a_whole(world, queue):
    parent = array(world, queue, 2)
    waiting = world.submit(queue, dependsOn=after(parent))
    finish(world, child(world, parent, 0))
    assert waiting.status is S.PENDING
    finish(world, child(world, parent, 1))
    assert waiting.status is S.STARTING


def test_one_child_can_be_waited_for(world, queue):
    parent = array(world, queue, 2)
    waiting = world.submit(queue, dependsOn=[{"jobId": f"{parent.id}:1"}])
    finish(world, child(world, parent, 0))
    assert waiting.status is S.PENDING
    finish(world, child(world, parent, 1))
    assert waiting.status is S.STARTING


def test_array_waits_as_a_whole(world, queue):
    first = world.submit(queue)
    parent = array(world, queue, 3, dependsOn=after(first))
    assert states(world, parent) == [S.PENDING] * 3
    assert len(world.registry.jobs) == 2
    finish(world, first)
    assert states(world, parent) == [S.STARTING] * 3


def test_sequential_children_follow_each_other(world, queue):
    parent = array(world, queue, 3, dependsOn=[{"type": "SEQUENTIAL"}])
    for index in range(3):
        expected = [S.SUCCEEDED] * index + [S.STARTING] + [S.PENDING] * (2 - index)
        assert states(world, parent) == expected
        finish(world, child(world, parent, index))
    assert parent.status is S.SUCCEEDED


def test_sequential_child_that_fails_takes_the_later_ones_with_it(world, queue):
    parent = array(world, queue, 10_000, dependsOn=[{"type": "SEQUENTIAL"}])
    finish(world, child(world, parent, 0))
    finish(world, child(world, parent, 1), 1)
    assert (parent.status, parent.status_reason) == (S.FAILED, "Array Child Job failed")
    assert world.registry.arrays[parent.id].counts[S.FAILED] == 9_999
    assert child(world, parent, 9_999).status_reason == "Dependent Job failed"


def test_n_to_n_pairs_the_children(world, queue):
    first = array(world, queue, 3)
    second = array(world, queue, 3, dependsOn=after(first, kind="N_TO_N"))
    assert states(world, second) == [S.PENDING] * 3
    finish(world, child(world, first, 2))
    assert states(world, second) == [S.PENDING, S.PENDING, S.STARTING]
    finish(world, child(world, first, 0), 1)
    assert states(world, second) == [S.FAILED, S.PENDING, S.STARTING]
    assert child(world, second, 0).status_reason == "Dependent Job failed"
    finish(world, child(world, first, 1))
    for index in (1, 2):
        finish(world, child(world, second, index))
    assert (second.status, second.status_reason) == (S.FAILED, "Array Child Job failed")


def test_n_to_n_with_children_that_have_ended_already(world, queue):
    first = array(world, queue, 3)
    finish(world, child(world, first, 0))
    finish(world, child(world, first, 1), 1)
    second = array(world, queue, 3, dependsOn=after(first, kind="N_TO_N"))
    assert states(world, second) == [S.STARTING, S.FAILED, S.PENDING]


def test_whole_job_and_sequential_combined(world, queue):
    first = world.submit(queue)
    parent = array(world, queue, 2, dependsOn=[*after(first), {"type": "SEQUENTIAL"}])
    assert states(world, parent) == [S.PENDING, S.PENDING]
    finish(world, first)
    assert states(world, parent) == [S.STARTING, S.PENDING]


def test_n_to_n_and_sequential_combined(world, queue):
    first = array(world, queue, 2)
    second = array(world, queue, 2, dependsOn=[*after(first, kind="N_TO_N"), {"type": "SEQUENTIAL"}])
    finish(world, child(world, first, 1))
    assert states(world, second) == [S.PENDING, S.PENDING]
    finish(world, child(world, first, 0))
    assert states(world, second) == [S.STARTING, S.PENDING]
    finish(world, child(world, second, 0))
    assert states(world, second) == [S.SUCCEEDED, S.STARTING]


@pytest.mark.parametrize("ends", [0, 1])
def test_cancelling_a_pending_job_waits_for_its_dependencies(world, queue, ends):
    first = world.submit(queue)
    waiting = world.submit(queue, dependsOn=after(first))
    world.call("CancelJob", jobId=waiting.id, reason="not needed")
    assert (waiting.status, waiting.is_cancelled) == (S.PENDING, True)
    finish(world, first, ends)
    assert (waiting.status, waiting.status_reason) == (S.FAILED, "not needed")
    assert waiting.attempts == []


def test_cancelling_a_pending_array_ends_it_with_its_dependencies(world, queue):
    first = world.submit(queue)
    parent = array(world, queue, dependsOn=after(first))
    world.call("CancelJob", jobId=parent.id, reason="not needed")
    assert states(world, parent) == [S.PENDING] * 3
    finish(world, first)
    assert states(world, parent) == [S.FAILED] * 3
    assert (parent.status, parent.status_reason) == (S.FAILED, "not needed")
    assert child(world, parent, 2).is_cancelled


def test_cancelling_one_pending_child(world, queue):
    first = world.submit(queue)
    parent = array(world, queue, 2, dependsOn=after(first))
    world.call("CancelJob", jobId=f"{parent.id}:1", reason="this one")
    assert states(world, parent) == [S.PENDING, S.PENDING]
    finish(world, first)
    assert states(world, parent) == [S.STARTING, S.FAILED]
    assert child(world, parent, 1).status_reason == "this one"


def test_terminating_a_pending_job_ends_it_at_once(world, queue):
    first = world.submit(queue)
    waiting, parent = (
        world.submit(queue, dependsOn=after(first)),
        array(world, queue, dependsOn=after(first)),
    )
    for job in (waiting, parent):
        world.call("TerminateJob", jobId=job.id, reason="now")
        assert (job.status, job.status_reason, job.is_terminated) == (S.FAILED, "now", True)
    finish(world, first)
    assert waiting.attempts == []


def test_a_long_chain_of_jobs_fails_in_one_event(world, queue):
    first = world.submit(queue)
    jobs, scheduler = [first], world.scheduler
    for _ in range(2_000):
        request = {"jobName": "j", "jobQueue": "q", "jobDefinition": "d", "dependsOn": after(jobs[-1])}
        response, _ = world.plane.call("SubmitJob", request, world.now_ms)
        jobs.append(world.registry.jobs[response["jobId"]])
    scheduler.handle(AttemptFinished(first.id, 1, 1), world.now_ms)
    assert {job.status for job in jobs} == {S.FAILED}


def test_the_cost_of_an_end_depends_only_on_its_dependents(world, queue):
    """Counts the work, not the time: jobs that wait for others are not looked at."""
    first, other = world.submit(queue), world.submit(queue)
    for _ in range(300):
        world.submit(queue, dependsOn=after(other))
    mine = world.submit(queue, dependsOn=after(first))
    world.registry.changed.clear()
    finish(world, first)
    assert set(world.registry.changed) == {first.id, mine.id}


@pytest.mark.parametrize(
    ("depends_on", "size", "message"),
    [
        ([{"jobId": "FIRST"}] * 21, None, "at most 20 entries, got 21"),
        ([{"jobId": "nobody"}], None, r"dependsOn\[0\].jobId: job nobody does not exist"),
        ([{"jobId": "FIRST"}, {}], None, r"dependsOn\[1\].jobId is required"),
        ([{"type": "SEQUENTIAL"}], None, "SEQUENTIAL is only for array jobs"),
        ([{"jobId": "ARRAY", "type": "N_TO_N"}], None, "N_TO_N is only for array jobs"),
        ([{"jobId": "FIRST", "type": "N_TO_N"}], 3, "needs an array job, and job .* is not one"),
        ([{"jobId": "ARRAY", "type": "N_TO_N"}], 4, "has 3 children and this job 4"),
        ([{"jobId": "ARRAY", "type": "SEQUENTIAL"}], 3, "cannot be given with type SEQUENTIAL"),
        ([{"jobId": "FIRST", "type": "AFTER_ANY"}], 3, "must be N_TO_N or SEQUENTIAL, got AFTER_ANY"),
        ([{"type": "N_TO_N"}], 3, "jobId is required"),
    ],
)
def test_refused_at_submission(world, queue, depends_on, size, message):
    names = {"FIRST": world.submit(queue).id, "ARRAY": array(world, queue, 3).id}
    wires = [{member: names.get(value, value) for member, value in wire.items()} for wire in depends_on]
    before = set(world.registry.jobs)
    request = {"arrayProperties": {"size": size}} if size else {}
    with pytest.raises(ClientError, match=message):
        world.submit(queue, dependsOn=wires, **request)
    assert set(world.registry.jobs) == before


def test_twenty_dependencies_are_allowed(world, queue):
    first = world.submit(queue)
    assert world.submit(queue, dependsOn=after(*[first] * 20)).status is S.PENDING
