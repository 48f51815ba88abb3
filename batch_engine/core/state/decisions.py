"""The one way in which a decision changes a job and is told to the world."""

from collections import deque

from batch_engine.core.api.wire import job_detail
from batch_engine.core.model.actions import Action, PublishJobState
from batch_engine.core.model.jobs import Job, JobStatus
from batch_engine.core.model.transitions import move
from batch_engine.core.state.registry import Registry


def nodes_of(registry: Registry, job: Job) -> list[Job]:
    """The nodes of a multi-node parallel job, by index."""
    return [registry.jobs[f"{job.id}#{index}"] for index in range(job.num_nodes or 0)]


class Journal:
    """What one call of ``Scheduler.handle`` decides, in order.

    Args:
        registry: the resources and jobs.
        publishes: whether anybody is to be told where jobs stand.
    """

    def __init__(self, registry: Registry, *, publishes: bool = True) -> None:
        self.registry = registry
        self._publishes = publishes
        self.now_ms = 0
        self._actions: list[Action] = []
        self.ended: deque[Job] = deque()
        """Jobs that have ended and whose dependents and parents are still to be told."""

    def open(self, now_ms: int) -> None:
        """Begin with an event that happened at ``now_ms``."""
        self.now_ms = now_ms
        self._actions = []

    def close(self) -> list[Action]:
        """What is to be done, in order."""
        return self._actions

    def act(self, action: Action) -> None:
        """Have something done."""
        self._actions.append(action)

    def move(self, job: Job, status: JobStatus, reason: str | None = None) -> None:
        """Take a job to another state, have it saved and publish the event.

        Raises:
            IllegalTransitionError: AWS Batch knows no such move.
        """
        before = job.status
        move(job, status, self.now_ms, reason)
        job.wait_reason = None
        self.registry.index.moved(job, before, self.now_ms)
        if job.array_index is not None and job.parent_id is not None:
            run = self.registry.arrays[job.parent_id]
            run.moved(job.array_index, before, status, self.now_ms)
        if status.is_terminal:
            self.ended.append(job)
        self.publish(job)
        self.registry.touch(job)
        if job.is_gang and not status.is_placed:
            self._take_nodes_along(job, reason)

    def _take_nodes_along(self, job: Job, reason: str | None) -> None:
        """Nodes wait with their job, and end with it where they have not run."""
        for node in nodes_of(self.registry, job):
            waits = job.status in (JobStatus.PENDING, JobStatus.RUNNABLE) and node.status is not job.status
            if waits or not (node.status.is_placed or node.status.is_terminal):
                self.move(node, job.status, reason)

    def publish(self, job: Job) -> None:
        """Tell the world where a job stands now."""
        if self._publishes:
            self._actions.append(PublishJobState(job.id, job_detail(job, self.registry)))
