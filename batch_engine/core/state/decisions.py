"""The one way in which a decision changes a job and becomes an action."""

from collections import deque
from collections.abc import Callable

from batch_engine.core.model.actions import Action, JobMoved, PublishJobState, PublishQueueBlocked
from batch_engine.core.model.events import Woken
from batch_engine.core.model.jobs import Job, JobStatus
from batch_engine.core.model.resources import JobQueue
from batch_engine.core.model.transitions import move
from batch_engine.core.model.wire import Wire
from batch_engine.core.state.log import Record
from batch_engine.core.state.registry import Registry

Render = Callable[[Job, Registry], Wire | None]
"""Returns a job as DescribeJobs shows it; None if no event is to be published."""

Moving = tuple[Job, int, str | None]
"""A job, the number of its moves before this one, and the reason of the move."""


def nodes_of(registry: Registry, job: Job) -> list[Job]:
    """Returns the nodes of a multi-node parallel job, by index."""
    return [registry.jobs[f"{job.id}#{index}"] for index in range(job.num_nodes or 0)]


class Journal:
    """Takes the decisions of one call of ``Scheduler.handle``, in order.

    Args:
        registry: the resources and jobs.
        render: makes the details of the events that are published; None publishes none.
    """

    def __init__(self, registry: Registry, render: Render | None = None) -> None:
        self.registry = registry
        self._render = render
        self.record = Record(0, 0, Woken())
        self.now_ms = 0
        self._actions: list[Action] = self.record.actions
        self.ended: deque[Job] = deque()
        """The jobs that have ended and whose dependents and parents do not know it yet."""
        self.at_hand: Job | None = None
        """The job that an internal error would be about."""
        self.instance_at_hand: str | None = None
        """The id of the instance that an internal error would be about."""
        self.moving: Moving | None = None
        """The move that is not complete."""

    def open(self, record: Record) -> None:
        """Begins with the event of a record."""
        self.record = record
        self.now_ms = record.now_ms
        self._actions = record.actions

    def act(self, action: Action) -> None:
        """Adds an action, and names the event that led to it."""
        object.__setattr__(action, "event", self.record.seq)
        self._actions.append(action)

    def move(self, job: Job, status: JobStatus, reason: str | None = None) -> None:
        """Moves a job to another state, marks it to be saved and announces the move.

        Raises:
            IllegalTransitionError: AWS Batch has no such move.
        """
        outer, self.moving = self.moving, (job, len(job.moves), reason)
        before = job.status
        move(job, status, self.now_ms, reason)
        job.wait_reason = None
        self.registry.index.moved(job, before, self.now_ms)
        if job.array_index is not None and job.parent_id is not None:
            run = self.registry.arrays[job.parent_id]
            run.moved(job.array_index, before, status, self.now_ms)
        if status.is_terminal:
            self.ended.append(job)
        self._actions.append(JobMoved(job.id, before, status, reason, self.record.seq))
        if self._render is not None:
            self._publish(job, self._render)
        self.registry.changed[job.id] = job
        if job.num_nodes is not None and job.is_gang and not status.is_placed:
            self._take_nodes_along(job, reason)
        self.moving = outer

    def _take_nodes_along(self, job: Job, reason: str | None) -> None:
        """Moves nodes with their job: all if it waits, and those that have not run if it ends."""
        for node in nodes_of(self.registry, job):
            waits = job.status in (JobStatus.PENDING, JobStatus.RUNNABLE) and node.status is not job.status
            if waits or not (node.status.is_placed or node.status.is_terminal):
                self.move(node, job.status, reason)

    def announce(self, job: Job, before: JobStatus) -> None:
        """Announces that a job has moved from the state ``before`` to its present one."""
        self._actions.append(JobMoved(job.id, before, job.status, job.status_reason, self.record.seq))
        if self._render is not None:
            self._publish(job, self._render)

    def _publish(self, job: Job, render: Render) -> None:
        detail = render(job, self.registry)
        if detail is not None:
            self._actions.append(PublishJobState(job.id, detail, self.record.seq))

    def announce_blocked(self, job: Job, queue: JobQueue) -> None:
        """Announces that the head of a queue cannot run."""
        if self._render is not None:
            detail = self._render(job, self.registry)
            if detail is not None:
                self._actions.append(PublishQueueBlocked(job.id, queue.arn, detail, self.record.seq))
