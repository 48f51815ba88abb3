"""Repairs the state after an internal error at any point of ``Scheduler.handle``.

The core's knowledge is the registry, the instances and the wake-ups; everything else follows from them and is
built again. So it is enough to repair the job or the instance that was at hand, and to make the instances
agree with the actions.
"""

from batch_engine.core.capacity.fleet import Instance
from batch_engine.core.model.actions import (
    JobMoved,
    LaunchInstance,
    StopAttempt,
    TerminateInstance,
    stop_grace_s,
)
from batch_engine.core.model.events import (
    AttemptFinished,
    AttemptInterrupted,
    AttemptStarted,
    Event,
    HostLost,
    InstanceInterrupted,
    InstanceLost,
    InstanceReady,
    JobSubmitted,
)
from batch_engine.core.model.jobs import Job, JobStatus, StopCause, move_of
from batch_engine.core.state.decisions import Journal, Moving, nodes_of
from batch_engine.core.state.registry import Registry

_OF_ATTEMPT = (AttemptStarted, AttemptFinished, HostLost, AttemptInterrupted)
_OF_INSTANCE = (InstanceReady, InstanceLost, InstanceInterrupted)

ABOUT_SOMETHING = (*_OF_ATTEMPT, *_OF_INSTANCE)
"""The events that name the job or the instance that a fault is about; others are taken in again."""


def withdraw(journal: Journal, event: JobSubmitted) -> None:
    """Removes the jobs of a submission that failed; they were never saved."""
    registry = journal.registry
    for job in (event.job, *event.nodes):
        registry.jobs.pop(job.id, None)
        registry.changed.pop(job.id, None)


def drop_decisions(journal: Journal) -> None:
    """Drops the decisions of a request that is undone."""
    journal.record.actions.clear()
    journal.at_hand = journal.moving = journal.instance_at_hand = None


def mend(journal: Journal, instances: dict[str, Instance], event: Event | None, reason: str) -> None:
    """Ends the job or the instance that was at hand, and completes a half-made move.

    Args:
        journal: names the job and the instance at hand.
        instances: all instances, by id.
        event: the event, if it was not taken in completely.
        reason: why the job at hand has FAILED.
    """
    moving, job, instance_id = journal.moving, journal.at_hand, journal.instance_at_hand
    journal.moving = journal.at_hand = journal.instance_at_hand = None
    journal.ended.clear()
    if isinstance(event, _OF_ATTEMPT):
        job = job or _current(journal.registry, event.job_id, event.attempt)
    elif isinstance(event, _OF_INSTANCE):
        instance_id = event.instance_id
    if moving is not None:
        _complete(journal, moving)
    _match_instances_to_actions(journal, instances)
    if instance_id is not None:
        _end_instance(journal, instances, instance_id, reason)
    if job is not None:
        fail(journal, job, reason)
    _forget_orphans(journal.registry)
    _save_all(journal.registry, journal.now_ms)


def _current(registry: Registry, job_id: str, attempt: int) -> Job | None:
    job = registry.jobs.get(job_id)
    is_current = job is not None and job.status.is_placed and job.attempt.number == attempt
    return job if is_current else None


def _complete(journal: Journal, moving: Moving) -> None:
    """Completes a move if the history has it already."""
    job, length, reason = moving
    if len(job.moves) > length:
        _complete_job(journal, job, reason)
    _take_nodes_along(journal, job)


def _complete_job(journal: Journal, job: Job, reason: str | None) -> None:
    at_ms, job.status = job.history[-1]
    job.status_reason, job.wait_reason = reason, None
    if job.status.is_terminal:
        job.stopped_at_ms = at_ms
    elif job.status is JobStatus.RUNNING:
        job.started_at_ms = at_ms
    moves = [action for action in journal.record.actions if isinstance(action, JobMoved)]
    if job.status not in [action.after for action in moves if action.job_id == job.id][-1:]:
        journal.announce(job, job.history[-2][1])


def _take_nodes_along(journal: Journal, job: Job) -> None:
    """Moves the nodes of a job with it, as ``Journal.move`` does."""
    if job.status.is_placed:
        return
    if job.node_index is not None:
        job = journal.registry.jobs[job.parent_id or ""]
    if job.status.is_placed:
        return
    for node in nodes_of(journal.registry, job):
        stays = job.status.is_terminal and (node.status.is_placed or node.status.is_terminal)
        if node.status is not job.status and not stays:
            before, node.status, node.status_reason = node.status, job.status, job.status_reason
            node.moves.append(move_of(journal.now_ms, node.status))
            if node.status.is_terminal:
                node.stopped_at_ms = journal.now_ms
            journal.announce(node, before)


def _match_instances_to_actions(journal: Journal, instances: dict[str, Instance]) -> None:
    actions = journal.record.actions
    ended = {action.instance_id for action in actions if isinstance(action, TerminateInstance)}
    for instance_id in ended & instances.keys():
        del instances[instance_id]
    for action in list(actions):
        if isinstance(action, LaunchInstance) and action.instance_id not in instances.keys() | ended:
            journal.act(TerminateInstance(action.instance_id, action.compute_environment))


def _end_instance(journal: Journal, instances: dict[str, Instance], instance_id: str, reason: str) -> None:
    for job in list(journal.registry.jobs.values()):
        if job.status.is_placed and not job.is_gang and job.attempt.instance_id == instance_id:
            fail(journal, job, reason)
    instance = instances.pop(instance_id, None)
    if instance is not None:
        journal.act(TerminateInstance(instance.id, instance.compute_environment))


def fail(journal: Journal, job: Job, reason: str) -> None:
    """Ends a job as FAILED, in any state; a node with its whole job."""
    registry = journal.registry
    if job.node_index is not None:
        job = registry.jobs[job.parent_id or ""]
    for each in (job, *nodes_of(registry, job)):
        # If the job itself is not STARTING yet, nothing was started.
        if job.status is JobStatus.RUNNABLE and each.attempts and each.attempt.stopped_at_ms is None:
            del each.attempts[-1]
    for member in (*nodes_of(registry, job), job):
        _close_attempts(journal, member, reason)
        if not member.status.is_terminal:
            _force(journal, member, reason)


def _close_attempts(journal: Journal, job: Job, reason: str) -> None:
    for attempt in job.attempts:
        if attempt.stopped_at_ms is None:
            attempt.stopped_at_ms, attempt.status_reason = journal.now_ms, reason
            if not job.is_gang:
                grace_s = stop_grace_s(job)
                journal.act(StopAttempt(job.id, attempt.number, StopCause.TERMINATED, grace_s))


def _force(journal: Journal, job: Job, reason: str) -> None:
    before = job.status
    job.status, job.status_reason, job.wait_reason = JobStatus.FAILED, reason, None
    job.stop_cause = job.stop_reason = None
    job.stopped_at_ms = journal.now_ms
    job.moves.append(move_of(journal.now_ms, JobStatus.FAILED))
    journal.announce(job, before)


def _forget_orphans(registry: Registry) -> None:
    """Forgets the children and nodes of a job that is forgotten."""
    for job in list(registry.jobs.values()):
        if job.parent_id is not None and job.parent_id not in registry.jobs:
            registry.forget_job(job.id)


def _save_all(registry: Registry, now_ms: int) -> None:
    """Marks everything that the event may have changed to be saved."""
    for job in registry.jobs.values():
        if not job.status.is_terminal or job.last_moved_ms == now_ms:
            registry.touch(job)
    for home in (registry.compute_environments, registry.job_queues, registry.consumable_resources):
        for resource in home.values():
            registry.touch(resource)
