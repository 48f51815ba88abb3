"""The order of the jobs of a queue: first come first served, or by fair share."""

import heapq
from collections import defaultdict, deque
from collections.abc import Iterator, KeysView
from functools import partial

from batch_engine.core.capacity.usage import Capacity
from batch_engine.core.capacity.wait_reasons import Refusal, vcpus
from batch_engine.core.model.jobs import Job, WaitReason
from batch_engine.core.model.resources import ComputeEnvironment, JobQueue
from batch_engine.core.rules import fair_share
from batch_engine.core.rules.fair_share import Candidate, FairShare
from batch_engine.core.scheduling.ready_queues import WaitingLines
from batch_engine.core.scheduling.share_ranking import Ranking, Standing
from batch_engine.core.state.decisions import Journal
from batch_engine.core.state.share_use import ShareUse


class Shares:
    """The shares of fair-share queues, and their order.

    Args:
        journal: gives the resources and the time.
        lines: the RUNNABLE jobs.
    """

    def __init__(self, journal: Journal, lines: WaitingLines) -> None:
        self.use = ShareUse(self._decay_s, self._membership_changed)
        self._journal = journal
        self._registry = journal.registry
        self._lines = lines
        self._policies: dict[str, FairShare | None] = {}
        self._rankings: dict[str, Ranking] = {}
        self._groups: dict[str, dict[str, set[str]]] = {}
        self._retried: dict[str, list[tuple[int, str]]] = {}

    def policy(self, queue: str) -> FairShare | None:
        """Returns the fair-share policy of a queue; None for one that is first come first served."""
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
        """Follows a queue or a policy that was created, deleted or changed."""
        self._policies.clear()
        self._rankings.clear()
        self._groups.clear()
        self.use.window_changed()

    def _decay_s(self, queue: str) -> int:
        policy = self.policy(queue)
        return fair_share.DEFAULT_DECAY_S if policy is None else policy.decay_s

    def _ranking(self, queue: str) -> Ranking:
        ranking = self._rankings.get(queue)
        if ranking is None:
            ranking = Ranking(self._decay_s(queue), partial(self._standing, queue))
            self._rankings[queue] = ranking
            for share in self._lines.shares(queue):
                ranking.changed(share)
        return ranking

    def _standing(self, queue: str, share: str) -> Standing | None:
        order, use = self._lines.first_order(queue, share), self.use.of(queue, share)
        return None if order is None or use is None else Standing(use, self._weight(queue, share), order)

    def _weight(self, queue: str, share: str) -> float:
        policy = self.policy(queue) or fair_share.FairShare()
        name, factor = policy.entry_of(share)
        return factor if name == share else factor * max(1, len(self._group(queue, name)))

    def _group(self, queue: str, name: str) -> set[str]:
        """Returns the active shares of an entry that ends in ``*``."""
        groups = self._groups.setdefault(queue, {})
        group = groups.get(name)
        if group is None:
            active = self.use.active(queue, self._journal.now_ms)
            group = groups[name] = {share for share in active if share.startswith(name[:-1])}
        return group

    def _membership_changed(self, queue: str, share: str) -> None:
        """Ranks the shares of a group again, because a share has become active or is forgotten."""
        policy = self.policy(queue)
        name = share if policy is None else policy.entry_of(share)[0]
        if name == share:
            return
        group = self._group(queue, name)
        if self.use.of(queue, share) is None:
            group.discard(share)
        else:
            group.add(share)
        ranking = self._ranking(queue)
        for other in group:
            ranking.changed(other)

    def changed(self, job: Job) -> None:
        """Notes that a job of a share has joined or left its line, or that its vCPUs in use have changed."""
        if job.share_identifier is not None and self.policy(job.queue) is not None:
            self._ranking(job.queue).changed(job.share_identifier)

    def known(self, job: Job) -> None:
        """Counts a job that is new, or was read back from the store."""
        if job.share_identifier is None:
            return
        # A share that has expired begins again, whether or not a request has looked at it before: see replay.
        self.active(job.queue)
        self.use.joined(job)
        if job.attempts:
            self.use.restore(job)

    def joined(self, job: Job) -> None:
        """Follows a job that has joined its line."""
        if job.share_identifier is not None:
            if job.order < 0:
                heapq.heappush(self._retried.setdefault(job.queue, []), (job.order, job.share_identifier))
            self.changed(job)

    def placed(self, job: Job) -> None:
        """Counts the vCPUs of a placed job."""
        self.use.placed(job, self._journal.now_ms)
        self.changed(job)

    def released(self, job: Job) -> None:
        """Subtracts the vCPUs of a job that is no longer placed."""
        if job.share_identifier is None:
            return
        self.use.placed(job, self._journal.now_ms, -1)
        self.changed(job)

    def ended(self, job: Job) -> None:
        """Subtracts a job that is over."""
        if job.share_identifier is not None:
            self.use.ended(job)
            self.changed(job)

    def drop(self, queue: str) -> None:
        """Forgets a deleted queue."""
        self.use.drop(queue)
        for of_queues in (self._policies, self._rankings, self._groups, self._retried):
            of_queues.pop(queue, None)

    def active(self, queue: str, now_ms: int | None = None) -> KeysView[str]:
        """Returns the active shares of a queue."""
        return self.use.active(queue, now_ms or self._journal.now_ms)

    def head(self, queue: JobQueue) -> Job | None:
        """Returns the job of a queue that is next."""
        if queue.scheduling_policy_arn is None or self.policy(queue.name) is None:
            return self._lines.head(queue.name)
        if (retried := self._first_retried(queue.name)) is not None:
            return retried
        self.active(queue.name)
        ranking = self._ranking(queue.name)
        share = ranking.first(self._journal.now_ms)
        return None if share is None else self._lines.head(queue.name, share)

    def _first_retried(self, queue: str) -> Job | None:
        """Returns the retried job at the front of the queue, for any use of its share.

        It still holds its consumable resources, so jobs before it could not get them.
        """
        retried = self._retried.get(queue)
        while retried:
            order, share = retried[0]
            head = self._lines.head(queue, share)
            if head is not None and head.order == order:
                return head
            heapq.heappop(retried)
        return None

    def _vcpus(self, queue: str, share: str, policy: FairShare) -> float:
        return self.use.vcpus(queue, share, self._journal.now_ms, policy.decay_s)

    def in_order(self, queue: str) -> Iterator[Job]:
        """Yields the RUNNABLE jobs of a queue in the order in which they would be placed."""
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
        """Returns why a job may not use the vCPUs reserved for shares that are not active, or None."""
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
        # If nothing runs, no end of a job will make room.
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
