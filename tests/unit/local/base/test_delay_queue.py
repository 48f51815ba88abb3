"""Work that is due later is done when it is due, in order, by one thread."""

import logging
import threading

import pytest

from batch_engine.local.base.delay_queue import DelayQueue, Worker
from tests.support import wait_for


class Clock:
    def __init__(self):
        self.now_ms = 1000

    def __call__(self):
        return self.now_ms


@pytest.fixture
def clock():
    return Clock()


def test_items_are_taken_in_the_order_of_their_times(clock):
    queue = DelayQueue(clock)
    for item, due_ms in (("late", 3000), ("early", 2000), ("early too", 2000), ("never", 10_000_000)):
        queue.put(item, due_ms)
    clock.now_ms = 5000
    assert queue.take(limit=1) == ["early"]
    assert queue.take() == ["early too", "late"]


def test_only_an_earlier_item_wakes_the_thread(clock, monkeypatch):
    queue, woken = DelayQueue(clock), []
    monkeypatch.setattr(queue._changed, "notify", lambda: woken.append(1))
    for due_ms in (5000, 6000, 5000, 4000, 7000):
        queue.put("item", due_ms)
    assert len(woken) == 2


@pytest.mark.parametrize(("drain_ms", "taken"), [(None, []), (0, ["due"]), (100, ["due", "soon"])])
def test_a_closed_queue_gives_what_is_due_within_a_time(clock, drain_ms, taken):
    queue = DelayQueue(clock)
    for item, due_ms in (("later", 1101), ("soon", 1100), ("due", 1000)):
        queue.put(item, due_ms)
    queue.close(drain_ms)
    assert queue.take() == taken
    assert queue.take() == []


def test_work_that_fails_does_not_end_the_thread(clock, caplog):
    done = threading.Event()

    def work(items):
        if items == ["bad"]:
            raise ValueError("no")
        done.set()

    worker = Worker("test", work, limit=1, clock=clock)
    worker.queue.put("bad", 0)
    worker.queue.put("good", 0)
    with caplog.at_level(logging.ERROR):
        worker.start()
        assert done.wait(20)
        worker.stop()
    assert "test: work that was due has failed" in caplog.text


def test_a_stopped_worker_has_done_what_was_due(clock):
    done = []
    worker = Worker("test", done.extend, clock=clock)
    worker.start()
    for number in range(100):
        worker.queue.put(number, 1000)
    worker.queue.put("later", 9000)
    worker.stop(drain_ms=0)
    assert done == list(range(100))
    worker.stop()


def test_an_item_that_is_put_while_the_thread_waits_wakes_it():
    done = []
    worker = Worker("test", done.extend)
    worker.start()
    worker.queue.put("item", 0)
    wait_for(lambda: done == ["item"], "the work")
    worker.stop()
