"""The statuses of compute environments and queues that end by themselves.

https://docs.aws.amazon.com/batch/latest/userguide/updating-compute-environments.html
"""

from batch_engine.core.capacity.autoscaler import Scaling
from batch_engine.core.capacity.usage import Capacity
from batch_engine.core.model.resources import PASSING, ComputeEnvironment, JobQueue
from batch_engine.core.state.decisions import Journal
from batch_engine.core.state.wakeups import StatusDue, Wakeups

_HEALTHY = {ComputeEnvironment: "ComputeEnvironment Healthy", JobQueue: "JobQueue Healthy"}


class Settling:
    """Ends CREATING, UPDATING and DELETING when their time is over and nothing is left to wait for.

    Args:
        journal: takes the decisions.
        wakeups: holds the times at which statuses may end.
        scaling: the instances that an update still replaces, and the roles that cannot be assumed.
        capacity: the compute environments in which jobs still run.
        settle_s: the least time that such a status lasts, in seconds.
    """

    def __init__(
        self, journal: Journal, wakeups: Wakeups, scaling: Scaling, capacity: Capacity, *, settle_s: float
    ) -> None:
        self._journal = journal
        self._registry = journal.registry
        self._wakeups = wakeups
        self._scaling = scaling
        self._capacity = capacity
        self._settle_s = settle_s
        self._due: dict[tuple[type, str], int] = {}

    def note(self) -> None:
        """Notes the compute environments and queues whose status will end."""
        delay_ms = round(self._settle_s * 1000)
        registry = self._registry
        known: list[ComputeEnvironment | JobQueue] = [*registry.compute_environments.values()]
        known += registry.job_queues.values()
        for entity in known:
            # A queue that is being deleted is removed with the last of its jobs.
            ends = isinstance(entity, JobQueue) and entity.status == "DELETING"
            key = type(entity), entity.name
            if entity.status in PASSING and not ends and key not in self._due:
                due_ms = self._due[key] = self._journal.now_ms + delay_ms
                if delay_ms:
                    self._wakeups.at(due_ms, StatusDue(entity.arn))

    def run(self) -> bool:
        """Ends the statuses that are due.

        Returns:
            Whether any status has ended.
        """
        if not self._due:
            return False
        now_ms, settled = self._journal.now_ms, False
        for key in [key for key, due_ms in self._due.items() if due_ms <= now_ms]:
            entity = self._find(*key)
            if entity is None or self._is_done(entity):
                del self._due[key]
            if entity is not None and key not in self._due:
                self._settle(entity)
                settled = True
        return settled

    def _find(self, kind: type, name: str) -> ComputeEnvironment | JobQueue | None:
        if kind is JobQueue:
            return self._registry.job_queues.get(name)
        return self._registry.compute_environments.get(name)

    def _is_done(self, entity: ComputeEnvironment | JobQueue) -> bool:
        if isinstance(entity, JobQueue):
            return True
        if entity.status == "DELETING":
            return not self._capacity.in_use_milli_vcpus.get(entity.name)
        return entity.status != "UPDATING" or not self._scaling.fleet(entity.name).replaced

    def _settle(self, entity: ComputeEnvironment | JobQueue) -> None:
        if isinstance(entity, JobQueue):
            self._become(entity, "VALID", _HEALTHY[JobQueue])
            return
        problem = self.role_problem(entity)
        if problem is not None:
            self._become(entity, "INVALID", problem)
        elif entity.status == "DELETING":
            self._registry.forget(entity)
        else:
            self._become(entity, "VALID", _HEALTHY[ComputeEnvironment])

    def _become(self, entity: ComputeEnvironment | JobQueue, status: str, reason: str) -> None:
        entity.status, entity.status_reason = status, reason
        self._registry.touch(entity)

    def role_problem(self, environment: ComputeEnvironment) -> str | None:
        """Returns the status reason of an environment whose roles cannot be used, or None."""
        unusable, resources = self._scaling.restrictions.unusable_roles, environment.resources
        if environment.service_role in unusable:
            return f"CLIENT_ERROR - Not authorized to perform sts:AssumeRole on {environment.service_role}"
        if resources.get("spotIamFleetRole") in unusable:
            return "CLIENT_ERROR - Parameter: SpotFleetRequestConfig.IamFleetRole is invalid."
        if resources.get("instanceRole") in unusable:
            return f"CLIENT_ERROR - Invalid IamInstanceProfile: {resources['instanceRole']}"
        return None

    def roles_changed(self) -> None:
        """Makes an environment INVALID, until its next update, if it needs a role that cannot be assumed."""
        for environment in self._registry.compute_environments.values():
            problem = self.role_problem(environment)
            if problem is not None and environment.status == "VALID":
                self._become(environment, "INVALID", problem)
