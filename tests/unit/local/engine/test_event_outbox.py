"""Events of a job are delivered in order; one that cannot be delivered is parked and holds up no other."""

import sqlite3
import threading
from dataclasses import replace

import pytest

from batch_engine.local.engine import event_outbox
from batch_engine.local.engine.event_outbox import BATCH_MAX, TRIES_MAX, Outbox, answer
from batch_engine.local.store.outbox_table import Announcement
from batch_engine.local.store.store import Store
from tests.api_world import ApiWorld
from tests.support import wait_for


class Sink:
    """EventBridge that refuses what a test says."""

    def __init__(self):
        self.refused = {}
        """By ``n`` of an event's detail: how often it is refused."""
        self.is_down = False
        self.has_rules = True
        self.seen = []
        self.tries = 0
        self.calls = []
        """How many events each call had."""

    def is_heard(self):
        return self.has_rules

    def publish(self, events):
        self.calls.append(len(events))
        if self.is_down:
            raise ConnectionError("down")
        for count, event in enumerate(events):
            number = event.detail["n"]
            if self.refused.get(number, 0):
                self.refused[number] -= 1
                self.tries += 1
                return count, ValueError(f"not {number}")
            self.seen.append(number)
        return len(events), None


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(event_outbox, "RETRY_MS", 1)
    monkeypatch.setattr(event_outbox, "RETRY_MAX_MS", 4)


@pytest.fixture
def store(tmp_path):
    made = Store(tmp_path / "s")
    yield made
    made.close()


@pytest.fixture
def sink():
    return Sink()


@pytest.fixture
def outbox(store, sink):
    made = Outbox(store, sink)
    made.start()
    yield made
    made.stop()


def announced(*resources, first=0):
    return [
        Announcement("Batch Job State Change", resource, {"n": number})
        for number, resource in enumerate(resources, first)
    ]


def test_events_arrive_in_order(store, sink, outbox):
    outbox.put(store.save({}, announced(*[f"arn:{number}" for number in range(20)]), 5))
    wait_for(lambda: len(sink.seen) == 20, "the delivery")
    outbox.stop()
    assert sink.seen == list(range(20))
    assert store.outbox.pending() == []


def test_an_event_that_fails_holds_up_those_of_its_own_job_only(store, sink, outbox):
    sink.refused = {0: 3}
    outbox.put(store.save({}, announced("a", "b", "a", "b"), 5))
    wait_for(lambda: len(sink.seen) == 4, "the delivery")
    assert [number for number in sink.seen if number in (0, 2)] == [0, 2]
    assert [number for number in sink.seen if number in (1, 3)] == [1, 3]
    assert sink.seen[:2] == [1, 3]
    outbox.put(store.save({}, announced("a", first=4), 5))
    wait_for(lambda: sink.seen[-1] == 4, "the next event of the job")


def test_an_event_that_never_gets_through_is_parked_and_the_others_go_on(store, sink, outbox):
    sink.refused = {1: 1000}
    outbox.put(store.save({}, announced("a", "a", "a", "b"), 5))
    wait_for(lambda: sorted(sink.seen) == [0, 2, 3], "the delivery of the others")
    assert sink.tries == TRIES_MAX
    (parked,) = outbox.parked()
    assert (parked.event.what.detail, parked.error) == ({"n": 1}, "ValueError: not 1")
    status, document = answer(outbox)
    assert status == 200
    assert document["events"] == [
        {
            "detailType": "Batch Job State Change",
            "resource": "a",
            "tries": TRIES_MAX,
            "error": "ValueError: not 1",
            "parkedAt": parked.parked_at_ms,
        }
    ]


def test_a_parked_event_stays_parked_in_the_next_run(store, sink, outbox, tmp_path):
    sink.refused = {0: 1000}
    outbox.put(store.save({}, announced("a"), 5))
    wait_for(outbox.parked, "the event being parked")
    outbox.stop()
    again = Store(tmp_path / "s")
    following, seen = Outbox(again, sink), len(sink.seen)
    following.start()
    following.put(again.save({}, announced("b", first=7), 6))
    wait_for(lambda: len(sink.seen) > seen, "the delivery of another")
    following.stop()
    assert sink.seen == [7]
    assert [one.event.what.detail for one in following.parked()] == [{"n": 0}]
    again.close()


def test_tries_of_an_earlier_run_count(store, sink, tmp_path):
    (event,) = store.save({}, announced("a"), 5)
    store.outbox.failed(replace(event, tries=TRIES_MAX - 1), "no", None)
    sink.refused = {0: 1000}
    outbox = Outbox(store, sink)
    outbox.start()
    wait_for(outbox.parked, "the event being parked")
    outbox.stop()
    assert sink.tries == 1


def test_nothing_is_lost_while_eventbridge_does_not_answer(store, sink, outbox):
    sink.is_down = True
    outbox.put(store.save({}, announced("a", "b", "a"), 5))
    wait_for(lambda: len(sink.calls) > 2 * TRIES_MAX, "more tries than an event has")
    sink.is_down = False
    wait_for(lambda: len(sink.seen) == 3, "the delivery")
    assert [number for number in sink.seen if number != 1] == [0, 2]
    wait_for(lambda: store.outbox.pending() == [], "the note of the delivery")
    assert outbox.parked() == []


def test_a_burst_is_published_in_batches(store, sink, outbox):
    outbox.put(store.save({}, announced(*["a"] * 1000), 5))
    wait_for(lambda: len(sink.seen) == 1000, "the delivery")
    assert sink.seen == list(range(1000))
    assert max(sink.calls) <= BATCH_MAX


def test_events_held_in_an_outage_are_published_in_batches_and_in_order(store, sink, outbox):
    sink.is_down = True
    outbox.put(store.save({}, announced(*["a"] * 1000), 5))
    wait_for(lambda: sum(sink.calls) >= 1000, "all events being held")
    sink.is_down = False
    wait_for(lambda: len(sink.seen) == 1000, "the delivery")
    assert sink.seen == list(range(1000))
    assert max(sink.calls) <= BATCH_MAX


@pytest.mark.parametrize("method", ["delivered", "failed"])
def test_a_state_file_that_cannot_be_written_stops_no_event(store, sink, outbox, monkeypatch, method):
    write, broken = getattr(store.outbox, method), [sqlite3.OperationalError("disk full")]

    def fails_once(*arguments):
        if broken:
            raise broken.pop()
        return write(*arguments)

    monkeypatch.setattr(type(store.outbox), method, lambda _, *arguments: fails_once(*arguments))
    sink.refused = {0: 1}
    outbox.put(store.save({}, announced("a", "b", "a"), 5))
    wait_for(lambda: sorted(sink.seen) == [0, 1, 2], "the delivery of all events")
    assert [number for number in sink.seen if number != 1] == [0, 2]


def test_undelivered_events_are_delivered_by_the_next_run(store, sink):
    store.save({}, announced("a", "a", "b"), 5)
    outbox = Outbox(store, sink)
    outbox.start()
    wait_for(lambda: sink.seen == [0, 1, 2], "the delivery")
    outbox.stop()


def test_no_event_is_made_while_no_rule_can_take_it(sink, outbox):
    world = ApiWorld()
    world.environment("ce")
    world.queue("q", "ce")
    world.definition("d")
    job = world.registry.jobs[world.submit("j")]
    detail = outbox.detail(job, world.registry)
    assert detail is not None
    assert detail["jobId"] == job.id
    sink.has_rules = False
    assert outbox.detail(job, world.registry) is None


def test_the_end_of_the_server_waits_for_the_first_try_and_no_longer(store, sink, outbox, monkeypatch):
    sink.refused = {0: 1000}
    monkeypatch.setattr(event_outbox, "RETRY_MS", 3_600_000)
    monkeypatch.setattr(event_outbox, "RETRY_MAX_MS", 3_600_000)
    outbox.put(store.save({}, announced("a", "a", "b"), 5))
    outbox.stop()
    assert sink.seen == [2]
    assert [event.what.detail["n"] for event in store.outbox.pending()] == [0, 1]
    assert not any(thread.name == "batch-outbox" for thread in threading.enumerate())
