"""Lines of waiting jobs: their order, and that a call costs the same for any number of jobs."""

import random
import sys

import pytest

from batch_engine.core.model.events import AttemptFinished, AttemptStarted
from batch_engine.core.scheduling.ready_queues import _Line


@pytest.mark.parametrize("seed", range(20))
def test_a_line_gives_its_entries_in_order(seed):
    dice = random.Random(seed)
    line, known = _Line(), []
    for number in range(400):
        if known and dice.random() < 0.45:
            assert line.first() == min(known)
            known.remove(line.first())
            line.pop()
        else:
            rank = dice.choice((0, 0, 0, -5, -10_000))
            entry = (rank, dice.choice((number, -number)), -1, str(number), None)
            known.append(entry)
            line.put(entry)
        assert sorted(line) == sorted(known)
        assert bool(line) == bool(known)


def calls_of_a_cycle(make_world, waiting):
    """How many functions are called while one job ends, another starts and a third is submitted."""
    world = make_world()
    world.definition()
    world.queue("q", world.environment("ce", 4))
    request = {"jobName": "j", "jobQueue": "q", "jobDefinition": "d"}
    ids = [world.plane.call("SubmitJob", request, world.now_ms)[0]["jobId"] for _ in range(waiting)]
    handle, now_ms, count = world.scheduler.handle, world.now_ms, 0

    def cycle(job_id):
        handle(AttemptStarted(job_id, 1), now_ms)
        handle(AttemptFinished(job_id, 1, 0), now_ms)
        world.plane.call("SubmitJob", request, now_ms)

    def note(_frame, event, _argument):
        nonlocal count
        count += event in ("call", "c_call")

    for job_id in ids[:10]:
        cycle(job_id)
    sys.setprofile(note)
    try:
        for job_id in ids[10:20]:
            cycle(job_id)
    finally:
        sys.setprofile(None)
    return count / 10


def test_a_job_costs_as_many_calls_behind_3000_jobs_as_behind_30(make_world):
    few, many = calls_of_a_cycle(make_world, 30), calls_of_a_cycle(make_world, 3000)
    assert many == pytest.approx(few, rel=0.02)
