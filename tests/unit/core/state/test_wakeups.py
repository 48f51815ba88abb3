"""The wake-ups of the core: typed, one moment each, and gone with their reason."""

import pytest

from batch_engine.core.model.actions import WakeAt
from batch_engine.core.model.events import AttemptFinished, AttemptStarted, HostLost, Woken
from batch_engine.core.state.decisions import Journal
from batch_engine.core.state.log import EventLog
from batch_engine.core.state.registry import Registry
from batch_engine.core.state.wakeups import AttemptTimeout, InstanceIdle, TimeLimit, Wakeups


class Clock:
    """A journal whose present is set by hand."""

    def __init__(self):
        self.journal, self.log = Journal(Registry()), EventLog()
        self.wakeups = Wakeups(self.journal)

    def at(self, now_ms):
        self.journal.open(self.log.open(Woken(), now_ms))
        return list(self.wakeups.due())

    def asked(self):
        return [
            action.at_ms for record in self.log for action in record.actions if isinstance(action, WakeAt)
        ]


@pytest.fixture
def clock():
    return Clock()


def test_earliest_first_and_each_once(clock):
    clock.at(0)
    clock.wakeups.at(30, TimeLimit("q"))
    clock.wakeups.at(10, InstanceIdle("i-1"))
    assert clock.asked() == [30, 10]
    assert clock.at(9) == []
    assert clock.at(30) == [InstanceIdle("i-1"), TimeLimit("q")]
    assert clock.at(40) == []


def test_a_later_moment_takes_the_place_of_an_earlier_one(clock):
    clock.at(0)
    clock.wakeups.at(10, TimeLimit("q"))
    clock.wakeups.at(20, TimeLimit("q"))
    assert clock.at(10) == []
    assert clock.asked() == [10, 20]
    assert clock.at(20) == [TimeLimit("q")]


def test_no_later_keeps_the_earlier_moment(clock):
    clock.at(0)
    for at_ms in (20, 30, 10):
        clock.wakeups.no_later(at_ms, InstanceIdle("i-1"))
    assert clock.at(10) == [InstanceIdle("i-1")]
    assert clock.at(30) == []


def test_kinds_with_the_same_members_are_different_wakeups(clock):
    clock.at(0)
    clock.wakeups.at(10, TimeLimit("x"))
    clock.wakeups.at(10, InstanceIdle("x"))
    assert clock.at(10) == [TimeLimit("x"), InstanceIdle("x")]


def test_dropped_and_replaced_ones_do_not_add_up(clock):
    clock.at(0)
    for number in range(10_000):
        clock.wakeups.at(1000 + number, AttemptTimeout("j", number))
        clock.wakeups.drop(AttemptTimeout("j", number))
        clock.wakeups.at(20_000 + number, TimeLimit("q"))
    assert len(clock.wakeups) == 1
    assert len(clock.wakeups._heap) < 200
    assert clock.at(30_000) == [TimeLimit("q")]


def test_a_timeout_goes_with_its_attempt(world):
    world.definition()
    queue = world.queue("q", world.environment("ce"))
    job = world.submit(queue, timeout={"attemptDurationSeconds": 3600}, retryStrategy={"attempts": 2})

    def timeouts():
        return [wakeup for wakeup in world.scheduler._wakeups._at if isinstance(wakeup, AttemptTimeout)]

    world.tell(AttemptStarted(job.id, 1))
    assert timeouts() == [AttemptTimeout(job.id, 1)]
    world.tell(HostLost(job.id, 1))
    assert timeouts() == []
    world.tell(AttemptStarted(job.id, 2))
    assert timeouts() == [AttemptTimeout(job.id, 2)]
    world.tell(AttemptFinished(job.id, 2, 0))
    assert timeouts() == []
