"""The rooms of a fleet: the smallest that is enough, found without a look at all of them."""

import random

import pytest

from batch_engine.core.capacity import fleet as module
from batch_engine.core.capacity.fleet import Instance, InstanceState, Need, Rooms


def instance(name, need):
    return Instance(name, f"arn/{name}", "t", "ce", need, InstanceState.READY)


def scan(instances, need):
    """The oracle: the least of all rooms that are enough."""
    return min((one.free for one in instances if need.fits(one.free)), default=None)


@pytest.mark.parametrize("seed", range(20))
def test_the_smallest_room_is_the_one_that_a_scan_finds(seed):
    dice = random.Random(seed)
    rooms, known = Rooms(), []
    for number in range(300):
        if known and dice.random() < 0.4:
            rooms.remove(known.pop(dice.randrange(len(known))))
        else:
            room = Need(dice.randrange(5) * 1000, dice.randrange(6) * 512, dice.randrange(3))
            known.append(instance(f"i{number}", room))
            rooms.add(known[-1])
        assert sorted(one.id for one in rooms) == sorted(one.id for one in known)
        need = Need(dice.randrange(1, 5) * 1000, dice.randrange(6) * 512, dice.randrange(3))
        found = rooms.smallest(need)
        assert (None if found is None else found.free) == scan(known, need)


def test_a_search_looks_at_one_size_however_many_there_are(monkeypatch):
    looked_at = []

    def bisect(sizes, size):
        looked_at.append(len(sizes))
        return module_bisect(sizes, size)

    module_bisect = module.bisect_left
    rooms = Rooms()
    for number in range(2000):
        rooms.add(instance(f"i{number}", Need(1000 * (1 + number % 8), 512 + number, 0)))
    monkeypatch.setattr(module, "bisect_left", bisect)
    found = rooms.smallest(Need(3000, 1000, 0))
    assert found is not None
    assert found.free == Need(3000, 1002, 0)
    assert len(looked_at) == 2, "one bisection among the vCPUs, one among the sizes of memory"
