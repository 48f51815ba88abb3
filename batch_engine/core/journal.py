"""The one way in which a decision changes a job and is told to the world."""

from batch_engine.core.actions import Action, PublishJobState
from batch_engine.core.describe import job_detail
from batch_engine.core.model import Job, JobStatus
from batch_engine.core.registry import Registry
from batch_engine.core.transitions import move


class Journal:
    """What one call of ``Scheduler.handle`` decides, in order.

    Args:
        registry: the resources and jobs.
    """

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self.now_ms = 0
        self._actions: list[Action] = []

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
        move(job, status, self.now_ms, reason)
        job.wait_reason = None
        self._actions.append(PublishJobState(job.id, job_detail(job, self.registry)))
        self.registry.touch(job)
