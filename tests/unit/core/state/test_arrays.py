"""Array jobs, one test a rule."""

import json
from collections import Counter

import pytest

from batch_engine.catalogue.instances import instance_types
from batch_engine.core.audit.invariants import violations
from batch_engine.core.model.actions import PublishJobState, StartAttempt
from batch_engine.core.model.errors import ClientError
from batch_engine.core.model.events import AttemptFinished, AttemptStarted
from batch_engine.core.model.ids import Arns
from batch_engine.core.model.instance_types import Catalogue
from batch_engine.core.model.jobs import Job, JobStatus
from batch_engine.core.scheduling.scheduler import Scheduler
from batch_engine.core.state import arrays
from batch_engine.core.state.registry import Registry
from batch_engine.local.store.store import Store

S = JobStatus


@pytest.fixture
def queue(world):
    world.definition()
    return world.queue("q", world.environment("ce", max_vcpus=2))


def submit(world, queue, size=3, **request):
    return world.submit(queue, arrayProperties={"size": size}, **request)


def child(world, parent, index):
    return arrays.find(world.registry, f"{parent.id}:{index}")


def finish(world, job, exit_code=0):
    world.tell(AttemptStarted(job.id, job.attempt.number))
    world.tell(AttemptFinished(job.id, job.attempt.number, exit_code))


def run_all(world, parent, fails=()):
    """Let every child that is placed run to its end until none is left."""
    while placed := [job for job in world.registry.jobs.values() if job.status.is_placed]:
        for job in placed:
            finish(world, job, 1 if job.array_index in fails else 0)


def states(world, parent):
    return [child(world, parent, index).status for index in range(parent.array_size)]


def detail(world, job_id):
    (found,) = world.call("DescribeJobs", jobs=[job_id])["jobs"]
    return found


@pytest.mark.parametrize("size", [-1, 0, 1, 10_001])
def test_size_is_2_to_10000(world, queue, size):
    with pytest.raises(ClientError, match=f"between 2 and 10000, got {size}"):
        submit(world, queue, size)
    assert not world.registry.jobs


@pytest.mark.parametrize("size", [2, 10_000])
def test_smallest_and_largest_array(world, queue, size):
    assert submit(world, queue, size).status is S.PENDING


def test_untouched_children_are_no_objects(world, queue):
    submit(world, queue, 10_000)
    assert len(world.registry.jobs) < 10, "the parent, the placed children and the one at the head"


def test_child_ids_and_arns(world, queue):
    parent = submit(world, queue)
    for index in range(3):
        found = detail(world, f"{parent.id}:{index}")
        assert found["jobArn"] == f"{parent.arn}:{index}"
        assert found["arrayProperties"] == {"index": index}
        assert detail(world, found["jobArn"])["jobId"] == f"{parent.id}:{index}"


@pytest.mark.parametrize("suffix", [":3", ":-1", ":", ":x", ":00", ":1:1", "#0", ":٣"])
def test_ids_of_children_that_do_not_exist(world, queue, suffix):
    parent = submit(world, queue)
    assert world.call("DescribeJobs", jobs=[parent.id + suffix])["jobs"] == []


def test_parent_is_pending_while_children_run_and_succeeds_last(world, queue):
    parent = submit(world, queue)
    assert parent.status is S.PENDING
    run_all(world, parent)
    assert [status for _, status in parent.history] == [S.SUBMITTED, S.PENDING, S.SUCCEEDED]
    assert states(world, parent) == [S.SUCCEEDED] * 3


def test_children_start_in_order_and_share_the_queue(world, queue):
    parent = submit(world, queue, 4)
    later = world.submit(queue)
    started = [action.job_id for action in world.actions if isinstance(action, StartAttempt)]
    assert started == [f"{parent.id}:0", f"{parent.id}:1"]
    assert states(world, parent) == [S.STARTING, S.STARTING, S.RUNNABLE, S.RUNNABLE]
    run_all(world, parent)
    started = [action.job_id for action in world.actions if isinstance(action, StartAttempt)]
    assert started == [*(f"{parent.id}:{index}" for index in range(4)), later.id]


def test_children_start_life_in_pending_at_the_parents_creation(world, queue):
    parent = submit(world, queue)
    made = child(world, parent, 0)
    assert made.history[0] == (parent.created_at_ms, S.PENDING)
    assert made.created_at_ms == parent.created_at_ms


def test_status_summary_covers_all_seven_states(world, queue):
    parent = submit(world, queue, 5)
    properties = detail(world, parent.id)["arrayProperties"]
    assert properties["size"] == 5
    assert properties["statusSummary"] == {**dict.fromkeys(S, 0), "STARTING": 2, "RUNNABLE": 3}
    before = properties["statusSummaryLastUpdatedAt"]
    finish(world, child(world, parent, 0), 1)
    properties = detail(world, parent.id)["arrayProperties"]
    assert properties["statusSummary"] == {**dict.fromkeys(S, 0), "FAILED": 1, "STARTING": 2, "RUNNABLE": 2}
    assert properties["statusSummaryLastUpdatedAt"] > before


def test_parent_fails_only_after_every_child_has_ended(world, queue):
    parent = submit(world, queue)
    finish(world, child(world, parent, 0), 1)
    assert parent.status is S.PENDING, "siblings go on"
    run_all(world, parent)
    assert states(world, parent) == [S.FAILED, S.SUCCEEDED, S.SUCCEEDED]
    assert (parent.status, parent.status_reason) == (S.FAILED, "Array Child Job failed")


def test_retries_are_each_childs_own(world, queue):
    parent = submit(world, queue, retryStrategy={"attempts": 2})
    finish(world, child(world, parent, 0), 1)
    assert child(world, parent, 0).attempt.number == 2, "at the front of the queue again"
    run_all(world, parent)
    assert [len(child(world, parent, index).attempts) for index in range(3)] == [2, 1, 1]
    assert parent.status is S.SUCCEEDED, "a child that succeeds in the end does not fail its parent"


def test_timeout_is_each_childs_own(world, queue):
    parent = submit(world, queue, timeout={"attemptDurationSeconds": 60})
    assert [child(world, parent, index).timeout_s for index in range(3)] == [60, 60, 60]


def test_cancelling_the_parent_cancels_every_waiting_child(world, queue):
    parent = submit(world, queue, 5)
    world.call("CancelJob", jobId=parent.id, reason="enough")
    assert states(world, parent) == [S.STARTING, S.STARTING, S.FAILED, S.FAILED, S.FAILED]
    assert child(world, parent, 4).status_reason == "enough"
    assert (parent.status, parent.is_cancelled) == (S.PENDING, True)
    run_all(world, parent)
    assert (parent.status, parent.status_reason) == (S.FAILED, "enough")
    assert states(world, parent)[:2] == [S.SUCCEEDED, S.SUCCEEDED]


def test_terminating_the_parent_stops_every_child(world, queue):
    parent = submit(world, queue, 5)
    world.call("TerminateJob", jobId=parent.id, reason="stop")
    assert states(world, parent) == [S.STARTING, S.STARTING, S.FAILED, S.FAILED, S.FAILED]
    run_all(world, parent)
    assert states(world, parent) == [S.FAILED] * 5
    assert (parent.status, parent.status_reason, parent.is_terminated) == (S.FAILED, "stop", True)


@pytest.mark.parametrize("operation", ["CancelJob", "TerminateJob"])
def test_ending_one_child_spares_its_siblings(world, queue, operation):
    parent = submit(world, queue, 5)
    world.call(operation, jobId=f"{parent.id}:3", reason="this one")
    assert states(world, parent) == [S.STARTING, S.STARTING, S.RUNNABLE, S.FAILED, S.RUNNABLE]
    run_all(world, parent)
    assert Counter(states(world, parent)) == {S.SUCCEEDED: 4, S.FAILED: 1}
    assert child(world, parent, 3).attempts == []
    assert (parent.status, parent.status_reason) == (S.FAILED, "Array Child Job failed")


def test_tags_do_not_reach_the_children(world, queue):
    parent = submit(world, queue, tags={"team": "blue"})
    assert detail(world, parent.id)["tags"]["team"] == "blue"
    assert "team" not in detail(world, f"{parent.id}:0")["tags"]


def test_children_share_their_parents_container(world, queue):
    parent = submit(world, queue)
    assert child(world, parent, 0).container is parent.container
    assert child(world, parent, 2).container is parent.container


def test_parent_and_children_publish_their_own_changes(world, queue):
    parent = submit(world, queue, 2)
    run_all(world, parent)
    told = [
        (action.job_id, action.detail["status"])
        for action in world.actions
        if isinstance(action, PublishJobState)
    ]
    assert [status for job_id, status in told if job_id == parent.id] == ["PENDING", "SUCCEEDED"]
    for index in range(2):
        path = [status for job_id, status in told if job_id == f"{parent.id}:{index}"]
        assert path == ["RUNNABLE", "STARTING", "RUNNING", "SUCCEEDED"]


def test_list_by_array_job(world, queue):
    parent = submit(world, queue, 5)

    def listed(**request):
        found = world.call("ListJobs", arrayJobId=parent.id, **request)
        return [job["arrayProperties"]["index"] for job in found["jobSummaryList"]], found.get("nextToken")

    assert listed() == ([], None), "RUNNING where no status is named"
    assert listed(jobStatus="STARTING") == ([0, 1], None)
    first, token = listed(jobStatus="RUNNABLE", maxResults=2)
    assert (first, listed(jobStatus="RUNNABLE", maxResults=2, nextToken=token)) == ([2, 3], ([4], None))
    in_queue = world.call("ListJobs", jobQueue="q", jobStatus="PENDING")["jobSummaryList"]
    assert [job["jobId"] for job in in_queue] == [parent.id], "running arrays are found under PENDING"
    assert in_queue[0]["arrayProperties"]["size"] == 5
    assert world.call("ListJobs", jobQueue="q", jobStatus="STARTING")["jobSummaryList"] == []


def test_transition_of_a_child_saves_one_small_row(world, queue):
    parent = submit(world, queue, 10_000)
    world.registry.changed.clear()
    first = child(world, parent, 0)
    world.tell(AttemptStarted(first.id, 1))
    assert list(world.registry.changed) == [first.id], "neither the parent nor any sibling"


def test_deleting_the_queue_ends_the_array(world, queue):
    parent = submit(world, queue, 4)
    world.call("UpdateJobQueue", jobQueue="q", state="DISABLED")
    world.call("DeleteJobQueue", jobQueue="q")
    run_all(world, parent)
    assert (parent.status, parent.status_reason) == (S.FAILED, "Job queue deleted")
    assert "q" not in world.registry.job_queues


@pytest.mark.parametrize("done", range(6))
def test_half_run_array_goes_on_after_a_restart(world, queue, tmp_path, done):
    parent = submit(world, queue, 5, dependsOn=[{"type": "SEQUENTIAL"}] if done % 2 else [])
    world.call("CancelJob", jobId=f"{parent.id}:4", reason="not this one")
    for _ in range(done):
        if placed := [job for job in world.registry.jobs.values() if job.status.is_placed]:
            finish(world, placed[0])
    store = Store(tmp_path / "s.sqlite")
    store.save({entity.arn: entity for entity in entities(world.registry)}, [], 0)
    specs = store._connection.execute("SELECT body FROM job_spec").fetchall()
    assert [json.loads(body)["id"] for (body,) in specs] == [parent.id], "children have no text of their own"
    registry = Registry()
    for entity in store.load():
        registry.add(entity)
    store.close()
    scheduler = Scheduler(
        registry,
        Arns("123456789012", "eu-central-1"),
        world.plane._ids,
        world.host,
        Catalogue(instance_types()),
    )
    assert violations(scheduler) == []
    assert registry.arrays[parent.id].counts == world.registry.arrays[parent.id].counts
    world.registry, world.scheduler = registry, scheduler
    again = registry.jobs[parent.id]
    assert states(world, again) == states(world, parent)
    for job in [job for job in registry.jobs.values() if job.array_index is not None]:
        assert job.container is again.container
    run_all(world, again)
    assert again.status is S.FAILED
    assert Counter(states(world, again)) == {S.SUCCEEDED: 4, S.FAILED: 1}


def entities(registry):
    yield from registry.compute_environments.values()
    yield from registry.job_queues.values()
    yield from (item for revisions in registry.job_definitions.values() for item in revisions.values())
    yield from registry.jobs.values()


def test_memory_of_an_array_is_that_of_its_touched_children(world, queue):
    parent = submit(world, queue, 10_000)
    assert sum(isinstance(job, Job) for job in world.registry.jobs.values()) <= 4
    assert len(states(world, parent)) == 10_000
    assert len(world.registry.jobs) <= 4, "looking changes nothing"
