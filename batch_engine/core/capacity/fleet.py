"""The container instances of one compute environment: their jobs and their free room.

https://docs.aws.amazon.com/batch/latest/userguide/managed_compute_environments.html
"""

from bisect import bisect_left, insort
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple

from batch_engine.core.model.jobs import Job

AGENT_MEMORY_MIB = 32
"""What AWS Batch keeps back on each instance for the ECS agent."""


class Need(NamedTuple):
    """The vCPUs, memory and GPUs of a job or of an instance."""

    milli_vcpus: int
    memory_mib: int
    gpus: int

    def fits(self, room: "Need") -> bool:
        """Returns whether the room has enough vCPUs, memory and GPUs."""
        return (
            self.milli_vcpus <= room.milli_vcpus
            and self.memory_mib <= room.memory_mib
            and self.gpus <= room.gpus
        )

    def minus(self, other: "Need") -> "Need":
        """Returns what is left."""
        vcpus, memory, gpus = self
        less_vcpus, less_memory, less_gpus = other
        return Need(vcpus - less_vcpus, memory - less_memory, gpus - less_gpus)

    def plus(self, other: "Need") -> "Need":
        """Returns the sum."""
        vcpus, memory, gpus = self
        more_vcpus, more_memory, more_gpus = other
        return Need(vcpus + more_vcpus, memory + more_memory, gpus + more_gpus)


# Jobs of a definition need the same: they share one tuple.
_need = lru_cache(maxsize=4096)(Need)


def need_of(job: Job) -> Need:
    """Returns the vCPUs, memory and GPUs that a job takes of an instance."""
    return _need(job.milli_vcpus, job.memory_mib, job.gpus)


class InstanceState(StrEnum):
    """The states of an instance: it takes jobs only when it is READY."""

    LAUNCHING = "LAUNCHING"
    READY = "READY"
    DRAINING = "DRAINING"

    __hash__ = str.__hash__  # the hash of an enumeration costs many times as much


@dataclass(slots=True)
class Instance:
    """One container instance."""

    id: str
    arn: str
    type: str
    compute_environment: str
    total: Need
    state: InstanceState
    jobs: dict[str, Need] = field(default_factory=dict)
    free: Need = field(init=False)
    idle_since_ms: int | None = None
    has_run: bool = False
    is_replaced: bool = False
    is_pool: bool = False
    """Whether it was launched for minvCpus or desiredvCpus: nodes of multi-node jobs are placed on others."""
    watched: bool = False
    """Whether a moment is set already at which this instance is looked at again."""

    def __post_init__(self) -> None:
        self.free = self.total


class Rooms:
    """Instances by their free room. Instances with the same room are interchangeable.

    The rooms with vCPUs are sorted, first by vCPUs and then by memory. ``smallest`` searches the sizes of
    memory with one bisection for each number of free vCPUs that is enough, and usually the first one holds
    the answer: the number of instances does not matter.
    """

    def __init__(self) -> None:
        self._instances: dict[Need, dict[str, Instance]] = {}
        self._vcpus: list[int] = []
        self._sizes: dict[int, list[tuple[int, int]]] = {}

    def __iter__(self) -> Iterator[Instance]:
        for alike in self._instances.values():
            yield from alike.values()

    def add(self, instance: Instance) -> None:
        """Adds an instance with the room that it has now."""
        room = instance.free
        alike = self._instances.get(room)
        if alike is not None:
            alike[instance.id] = instance
            return
        self._instances[room] = {instance.id: instance}
        vcpus, memory, gpus = room
        if not vcpus:
            return
        sizes = self._sizes.get(vcpus)
        if sizes is None:
            sizes = self._sizes[vcpus] = []
            insort(self._vcpus, vcpus)
        insort(sizes, (memory, gpus))

    def remove(self, instance: Instance) -> None:
        """Removes an instance whose room is still the one that it was added with."""
        room = instance.free
        alike = self._instances[room]
        del alike[instance.id]
        if alike:
            return
        del self._instances[room]
        vcpus, memory, gpus = room
        if not vcpus:
            return
        sizes = self._sizes[vcpus]
        del sizes[bisect_left(sizes, (memory, gpus))]
        if not sizes:
            del self._sizes[vcpus]
            del self._vcpus[bisect_left(self._vcpus, vcpus)]

    def smallest(self, need: Need) -> Instance | None:
        """Returns the instance with the least room that is enough: least vCPUs, then least memory."""
        levels = self._vcpus
        if not levels:
            return None
        vcpus, memory, gpus = need
        for level in range(bisect_left(levels, vcpus), len(levels)):
            sizes = self._sizes[levels[level]]
            for place in range(bisect_left(sizes, (memory, 0)), len(sizes)):
                if sizes[place][1] >= gpus:
                    room = Need(levels[level], *sizes[place])
                    return next(iter(self._instances[room].values()))
        return None


class Fleet:
    """The instances of one compute environment, indexed by their free room."""

    def __init__(self) -> None:
        self.instances: dict[str, Instance] = {}
        self.milli_vcpus = 0
        self.idle: dict[str, Instance] = {}
        self.idle_milli_vcpus = 0
        self.replaced = 0
        # The settings of the instances at their launch that cannot change afterwards.
        self.infrastructure: tuple[str, ...] | None = None
        self._rooms = {state: Rooms() for state in InstanceState}

    def room(self, need: Need, state: InstanceState) -> Instance | None:
        """Returns the instance with the least room that is enough."""
        return self._rooms[state].smallest(need)

    def empty(self) -> Iterator[Instance]:
        """Yields the instances, ready or launching, that no job is on or waits for."""
        yield from self.idle.values()
        yield from (instance for instance in self._rooms[InstanceState.LAUNCHING] if not instance.jobs)

    def add(self, instance: Instance) -> None:
        """Adds an instance."""
        self.instances[instance.id] = instance
        self.milli_vcpus += instance.total.milli_vcpus
        self._shelve(instance)

    def replace(self, instance: Instance) -> None:
        """Counts an instance as one that an update of the environment replaces."""
        self.replaced += not instance.is_replaced
        instance.is_replaced = True

    def remove(self, instance: Instance) -> None:
        """Removes an instance."""
        self._unshelve(instance)
        del self.instances[instance.id]
        self.milli_vcpus -= instance.total.milli_vcpus
        self.replaced -= instance.is_replaced

    def put(self, instance: Instance, job_id: str, need: Need) -> None:
        """Gives a job its room on an instance."""
        rooms = self._rooms[instance.state]
        rooms.remove(instance)
        if not instance.jobs and self.idle.pop(instance.id, None) is not None:
            self.idle_milli_vcpus -= instance.total.milli_vcpus
        instance.jobs[job_id] = need
        instance.free = instance.free.minus(need)
        instance.idle_since_ms = None
        rooms.add(instance)

    def take_out(self, instance: Instance, job_id: str, now_ms: int) -> None:
        """Frees the room of a job."""
        self._rooms[instance.state].remove(instance)
        need = instance.jobs.pop(job_id)
        if instance.jobs:
            instance.free = instance.free.plus(need)
        else:
            instance.free, instance.idle_since_ms = instance.total, now_ms
        self._shelve(instance)

    def turn(self, instance: Instance, state: InstanceState) -> None:
        """Moves an instance to another state."""
        self._unshelve(instance)
        instance.state = state
        self._shelve(instance)

    def _shelve(self, instance: Instance) -> None:
        self._rooms[instance.state].add(instance)
        if not instance.jobs and instance.state is InstanceState.READY:
            self.idle[instance.id] = instance
            self.idle_milli_vcpus += instance.total.milli_vcpus

    def _unshelve(self, instance: Instance) -> None:
        self._rooms[instance.state].remove(instance)
        if self.idle.pop(instance.id, None) is not None:
            self.idle_milli_vcpus -= instance.total.milli_vcpus

    def miscounted(self) -> Iterator[str]:
        """Yields the counts that are wrong, in words; for checks."""
        if self.milli_vcpus != sum(item.total.milli_vcpus for item in self.instances.values()):
            yield f"counts {self.milli_vcpus} milli-vCPUs of instances"
        for item in self.instances.values():
            used = Need(*map(sum, zip(Need(0, 0, 0), *item.jobs.values(), strict=False)))
            if item.free != item.total.minus(used) or min(item.free) < 0:
                yield f"instance {item.id} has {item.free} free of {item.total} under {item.jobs}"
            if (item.id in self.idle) != (not item.jobs and item.state is InstanceState.READY):
                idle = item.id in self.idle
                yield f"instance {item.id} is {item.state} with {len(item.jobs)} jobs, idle: {idle}"
