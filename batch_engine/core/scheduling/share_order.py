"""Which job of a queue is next: first come first served, or by fair share."""

from collections import defaultdict, deque
from collections.abc import Iterator

from batch_engine.core.capacity.usage import Capacity
from batch_engine.core.capacity.wait_reasons import Refusal, vcpus
from batch_engine.core.model.jobs import Job, WaitReason
from batch_engine.core.model.resources import ComputeEnvironment, JobQueue
from batch_engine.core.rules import fair_share
from batch_engine.core.rules.fair_share import Candidate, FairShare
from batch_engine.core.scheduling.ready_queues import WaitingLines
from batch_engine.core.state.decisions import Journal
from batch_engine.core.state.share_use import ShareUse


class Shares:
    """Asks ``fair_share`` on behalf of the dispatcher.

    Args:
        journal: knows the resources and the time.
        lines: hold the RUNNABLE jobs.
    """

    def __init__(self, journal: Journal, lines: WaitingLines) -> None:
        self.use = ShareUse()
        self._journal = journal
        self._registry = journal.registry
        self._lines = lines
        self._policies: dict[str, FairShare | None] = {}

    def policy(self, queue: str) -> FairShare | None:
        """The fair-share policy of a queue; None for one that is first come first served."""
        if queue not in self._policies:
            found = self._registry.job_queues.get(queue)
            policy = (
                self._registry.scheduling_policies.get(found.scheduling_policy_arn or "") if found else None
            )
            fair = policy is not None and "fairsharePolicy" in policy.body
            self._policies[queue] = (
                fair_share.parse(policy.body["fairsharePolicy"]) if policy and fair else None
            )
        return self._policies[queue]

    def policies_changed(self) -> None:
        """A queue or a policy came, went or changed."""
        self._policies.clear()

    def _decay_s(self, queue: str) -> int:
        policy = self.policy(queue)
        return fair_share.DEFAULT_DECAY_S if policy is None else policy.decay_s

    def known(self, job: Job) -> None:
        """A job is new, or was read back from the store."""
        self.use.joined(job)
        if job.share_identifier is not None and job.attempts:
            self.use.restore(job, self._decay_s(job.queue))

    def placed(self, job: Job) -> None:
        """A job has got its vCPUs."""
        if job.share_identifier is not None:
            self.use.placed(job, self._journal.now_ms, self._decay_s(job.queue))

    def released(self, job: Job) -> None:
        """A job has given them back."""
        if job.share_identifier is not None:
            self.use.placed(job, self._journal.now_ms, self._decay_s(job.queue), -1)

    def drop(self, queue: str) -> None:
        """Forget a queue that is gone."""
        self.use.drop(queue)
        self._policies.pop(queue, None)

    def active(self, queue: str, now_ms: int | None = None) -> set[str]:
        """The active shares of a queue."""
        return self.use.active(queue, now_ms or self._journal.now_ms, self._decay_s(queue))

    def head(self, queue: JobQueue) -> Job | None:
        """The job of a queue that is next."""
        policy = self.policy(queue.name)
        if policy is None:
            return self._lines.head(queue.name)
        heads = {share: self._lines.head(queue.name, share) for share in self._lines.shares(queue.name)}
        waiting = [
            Candidate(share, self._vcpus(queue.name, share, policy), job.order)
            for share, job in heads.items()
            if job is not None
        ]
        if not waiting:
            return None
        # A retried job goes to the front of the queue, whatever its share has used: it still holds its
        # consumable resources, for which whoever went before it would wait in vain.
        if retried := [job for job in heads.values() if job is not None and job.order < 0]:
            return min(retried, key=lambda job: job.order)
        if len(waiting) == 1:
            return heads[waiting[0].share]
        return heads[fair_share.choose(policy, waiting, self.active(queue.name)).share]

    def _vcpus(self, queue: str, share: str, policy: FairShare) -> float:
        return self.use.vcpus(queue, share, self._journal.now_ms, policy.decay_s)

    def in_order(self, queue: str) -> Iterator[Job]:
        """The RUNNABLE jobs of a queue in the order in which they would be placed if all went at once."""
        policy = self.policy(queue)
        if policy is None:
            yield from self._lines.waiting(queue)
            return
        lines: defaultdict[str, deque[Job]] = defaultdict(deque)
        standing = list(self._lines.waiting(queue))
        yield from sorted((job for job in standing if job.order < 0), key=lambda job: job.order)
        for job in standing:
            if job.order >= 0:
                lines[job.share_identifier or ""].append(job)
        use = {share: self._vcpus(queue, share, policy) for share in lines}
        active = self.active(queue)
        while lines:
            waiting = [Candidate(share, use[share], line[0].order) for share, line in lines.items()]
            share = fair_share.choose(policy, waiting, active).share
            job = lines[share].popleft()
            use[share] += job.milli_vcpus / 1000
            if not lines[share]:
                del lines[share]
            yield job

    def reservation(
        self, job: Job, queue: JobQueue, environment: ComputeEnvironment, capacity: Capacity, count: int = 1
    ) -> Refusal | None:
        """Why a job may not use what is kept free for shares that are not active yet."""
        policy = self.policy(queue.name)
        if policy is None or not policy.compute_reservation:
            return None
        if environment.type == "UNMANAGED":
            limit = (environment.unmanaged_vcpus or 0) * 1000
        else:
            limit = environment.max_milli_vcpus or 0
        if not limit:
            return None
        active = len(self.active(queue.name))
        kept = round(fair_share.reserved_vcpus(policy, active, limit))
        used = capacity.in_use_milli_vcpus.get(environment.name, 0)
        if used + job.milli_vcpus * count <= limit - kept:
            return None
        # Where nothing runs, no end of a job will make room.
        reason, sentence = (
            (WaitReason.SHARE_RESERVATION, "")
            if used
            else (WaitReason.UNDETERMINED, "Batch job is blocked, root cause is undetermined. ")
        )
        return Refusal(
            reason,
            f"{sentence}{vcpus(kept)} of {vcpus(limit)} vCPUs of compute environment {environment.name} are "
            f"kept for shares that are not active yet ({active} active), {vcpus(used)} are in use",
        )
