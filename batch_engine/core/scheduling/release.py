"""The way of a job from SUBMITTED to RUNNABLE, and the effects of its end on other jobs."""

from batch_engine.core.model.jobs import Job, JobStatus
from batch_engine.core.scheduling.dependencies import (
    DEPENDENT_FAILED_REASON,
    Dependencies,
    Verdict,
    is_child_by_child,
    is_sequential,
)
from batch_engine.core.scheduling.dispatcher import Dispatcher
from batch_engine.core.state import arrays
from batch_engine.core.state.decisions import Journal


class Pending:
    """Releases jobs whose dependencies are met, fails those whose dependencies failed, ends arrays.

    Args:
        journal: takes the decisions.
        dispatcher: takes the jobs that become RUNNABLE.
        dependencies: the index from a job to the jobs that depend on it.
    """

    def __init__(self, journal: Journal, dispatcher: Dispatcher, dependencies: Dependencies) -> None:
        self._journal = journal
        self._registry = journal.registry
        self._dispatcher = dispatcher
        self._dependencies = dependencies

    def take_over(self, job: Job) -> None:
        """Follows the dependencies of a job that was read back from the store."""
        if job.status is not JobStatus.PENDING or job.array_index is not None:
            return
        verdict = self._dependencies.watch(job)
        if not job.is_array or verdict is not Verdict.MET:
            return
        run, size = self._registry.arrays[job.id], job.array_size or 0
        if not is_child_by_child(job):
            self._count(job, run.release(0, size, run.updated_at_ms))
        else:
            for index in range(size):
                if self._dependencies.of_child(job, index) is Verdict.MET:
                    self._count(job, run.release(index, index + 1, run.updated_at_ms))
        self._dispatcher.enqueue(job)

    def _count(self, parent: Job, fresh: int) -> None:
        self._registry.index.count_waiting(parent, fresh)

    def submitted(self, job: Job) -> None:
        """Releases a new job, or makes it wait for its dependencies."""
        if not job.depends_on and job.array_size is None:
            self._release(job)
            return
        verdict = self._dependencies.watch(job)
        if job.is_array:
            arrays.open_run(self._registry, job, self._journal.now_ms)
            self._journal.move(job, JobStatus.PENDING)
        elif verdict is not Verdict.MET:
            self._journal.move(job, JobStatus.PENDING)
        self._follow(job, verdict)

    def ended(self, job: Job) -> None:
        """Informs the dependents, the siblings and the parent of a job that has ended."""
        for waiting, verdict in self._dependencies.ended(job):
            self._follow(waiting, verdict)
        if job.depends_on:
            self._dependencies.stop_waiting(job)
        if job.array_index is None or job.parent_id is None:
            return
        parent = self._registry.jobs[job.parent_id]
        for other in self._dependencies.pairs(parent.id):
            self._follow_child(other, job.array_index)
        if parent.depends_on and is_sequential(parent) and job.array_index + 1 < (parent.array_size or 0):
            self._follow_child(parent, job.array_index + 1)
        self._end_array(parent)

    def _end_array(self, parent: Job) -> None:
        run = self._registry.arrays[parent.id]
        if run.is_over and not parent.status.is_terminal:
            if run.counts[JobStatus.FAILED]:
                reason = parent.stop_reason or arrays.CHILD_FAILED_REASON
                self._journal.move(parent, JobStatus.FAILED, reason)
            else:
                self._journal.move(parent, JobStatus.SUCCEEDED)

    def _follow(self, job: Job, verdict: Verdict) -> None:
        if job.status.is_terminal or verdict is Verdict.WAIT:
            return
        if job.is_array:
            if verdict is Verdict.MET:
                self._release_array(job)
            else:
                self.end_children(job, DEPENDENT_FAILED_REASON)
        elif verdict is Verdict.MET:
            self._release(job)
        else:
            self._fail(job)

    def _release(self, job: Job) -> None:
        if job.is_cancelled:
            self._journal.move(job, JobStatus.FAILED, job.stop_reason)
            return
        self._journal.move(job, JobStatus.RUNNABLE)
        if job.start_refusal is not None:
            self._journal.move(job, JobStatus.FAILED, job.start_refusal)
        else:
            self._dispatcher.enqueue(job)

    def _fail(self, job: Job) -> None:
        """Fails a job whose dependency has failed; one that was cancelled keeps that reason."""
        reason = job.stop_reason if job.is_cancelled else DEPENDENT_FAILED_REASON
        self._journal.move(job, JobStatus.FAILED, reason)

    def _release_array(self, parent: Job) -> None:
        size = parent.array_size or 0
        if is_child_by_child(parent):
            for index in range(size):
                self._follow_child(parent, index)
        else:
            self._release_children(parent, 0, size)

    def _follow_child(self, parent: Job, index: int) -> None:
        run = self._registry.arrays[parent.id]
        if parent.status.is_terminal or run.released[index]:
            return
        verdict = self._dependencies.of_child(parent, index)
        if verdict is Verdict.MET:
            self._release_children(parent, index, index + 1)
        elif verdict is Verdict.FAILED:
            child = self._child(parent, index)
            if child.status is JobStatus.PENDING:
                self._fail(child)

    def _release_children(self, parent: Job, start: int, stop: int) -> None:
        """Releases children as a range, or one by one if each of them is about to end."""
        run = self._registry.arrays[parent.id]
        touched = {index for index in run.waiting if start <= index < stop}
        if parent.is_cancelled or parent.start_refusal is not None:
            for index in range(start, stop):
                if not run.made[index]:
                    self._child(parent, index)
                    touched.add(index)
        self._count(parent, run.release(start, stop, self._journal.now_ms))
        for index in sorted(touched):
            self._release(self._child(parent, index))
        self._dispatcher.enqueue(parent)

    def _child(self, parent: Job, index: int) -> Job:
        child_id = arrays.child_id(parent, index)
        return self._registry.jobs.get(child_id) or arrays.make(self._journal, parent, index)

    def end_children(self, parent: Job, reason: str) -> None:
        """Fails every child of an array that is not placed yet."""
        parent.stop_reason = parent.stop_reason or reason
        self._registry.touch(parent)
        for index in range(parent.array_size or 0):
            child = self._child(parent, index)
            if not (child.status.is_terminal or child.status.is_placed):
                self._journal.move(child, JobStatus.FAILED, parent.stop_reason)

    def cancelled(self, job: Job, reason: str) -> None:
        """Cancels a PENDING job, and an array's children: they end once their dependencies have ended."""
        job.is_cancelled = True
        job.stop_reason = job.stop_reason or reason
        self._registry.touch(job)
        if not job.is_array:
            return
        run = self._registry.arrays[job.id]
        for index in range(run.size):
            if not (run.made[index] or run.released[index]):
                continue
            child = self._child(job, index)
            if child.status is JobStatus.RUNNABLE:
                child.is_cancelled = True
                self._journal.move(child, JobStatus.FAILED, job.stop_reason)
            elif child.status is JobStatus.PENDING:
                self.cancelled(child, reason)

    def resume(self, job: Job) -> None:
        """Completes the work on a PENDING job that a fault may have left undone."""
        if job.node_index is not None:
            return  # a node follows its job
        if job.array_index is not None and job.parent_id is not None:
            if self._registry.arrays[job.parent_id].released[job.array_index]:
                self._release(job)
            return
        if job.is_array:
            self._end_array(job)
        if job.status is not JobStatus.PENDING:
            return
        verdict = self._dependencies.verdict(job)
        if not job.is_array:
            self._follow(job, verdict)
        elif verdict is Verdict.FAILED:
            self.end_children(job, job.stop_reason or DEPENDENT_FAILED_REASON)
        elif verdict is Verdict.MET:
            self._resume_children(job)

    def _resume_children(self, parent: Job) -> None:
        run = self._registry.arrays[parent.id]
        for index in range(run.size):
            if not run.released[index]:
                self._follow_child(parent, index)
            elif parent.is_cancelled or parent.start_refusal is not None:
                child = self._child(parent, index)
                if child.status is JobStatus.RUNNABLE:
                    self._journal.move(child, JobStatus.FAILED, parent.stop_reason or parent.start_refusal)
