"""Builds a state again from an event log."""

from collections import deque
from collections.abc import Callable, Iterable

from batch_engine.core.model.events import JobSubmitted
from batch_engine.core.model.ids import IdFactory
from batch_engine.core.scheduling.scheduler import Scheduler
from batch_engine.core.state.log import Record


class ReplayError(Exception):
    """The error of a log that cannot be replayed, or that leads to other decisions."""


class LoggedDraws:
    """An id factory that returns the ids of a log again."""

    def __init__(self) -> None:
        self.left: deque[str] = deque()
        """The ids of the present event that were not drawn yet."""

    def uuid(self) -> str:
        """Returns the next id."""
        return self.left.popleft()

    def hex(self, length: int) -> str:
        """Returns the next id, which has ``length`` digits."""
        del length
        return self.left.popleft()


def replay(records: Iterable[Record], build: Callable[[IdFactory], Scheduler]) -> Scheduler:
    """Takes in the events of a log again, and returns the scheduler that results.

    Args:
        records: a log without gaps.
        build: makes a scheduler in the state at the start of the log, with a given id factory.

    Raises:
        ReplayError: an event met an internal error, which cannot be repeated, or leads to other decisions.
    """
    ids = LoggedDraws()
    scheduler = build(ids)
    for record in records:
        if record.faults:
            raise ReplayError(f"event {record.seq} met an internal error: {record.faults[0].reason}")
        ids.left = deque(record.ids)
        event = record.event.as_submitted() if isinstance(record.event, JobSubmitted) else record.event
        actions = scheduler.handle(event, record.now_ms)
        if actions != record.actions or ids.left:
            raise ReplayError(
                f"event {record.seq} ({record.event}) leads to {actions}, not to {record.actions}"
            )
    return scheduler
