"""The use of each share of each fair-share queue, and the active shares.

AWS publishes neither its curve nor its unit. This engine uses the exponentially weighted average of the
vCPUs in use, with a half-life of a quarter of ``shareDecaySeconds``, plus the vCPUs in use now. Use that is
older than the window is forgotten with the share.
"""

import heapq
from collections.abc import Callable, KeysView
from dataclasses import dataclass, field

from batch_engine.core.model.jobs import Job, JobStatus

HALF_LIVES_PER_WINDOW = 4


@dataclass(slots=True)
class Use:
    """The use of one share.

    ``average_milli`` is the average at the time ``at_ms``; ``running_milli`` has not changed since then.
    """

    live: int = 0
    running_milli: int = 0
    average_milli: float = 0.0
    at_ms: int = 0
    used_ms: int | None = None

    def settle(self, now_ms: int, decay_s: int) -> None:
        """Brings the average up to now, before the vCPUs in use change."""
        if now_ms > self.at_ms:
            kept = _kept(now_ms - self.at_ms, decay_s)
            self.average_milli = self.average_milli * kept + self.running_milli * (1 - kept)
            self.at_ms = now_ms

    def milli_vcpus(self, now_ms: int, decay_s: int) -> float:
        """Returns the average at ``now_ms`` and the vCPUs in use together, in thousandths."""
        running = self.running_milli
        return 2 * running + (self.average_milli - running) * _kept(max(0, now_ms - self.at_ms), decay_s)

    @property
    def is_idle(self) -> bool:
        """Returns whether the share has neither jobs that are not over nor vCPUs in use."""
        return not (self.live or self.running_milli)

    def expires_ms(self, decay_s: int) -> int:
        """Returns the time at which an idle share is forgotten: the end of the window after its last use."""
        return 0 if self.used_ms is None else self.used_ms + decay_s * 1000


def _kept(span_ms: int, decay_s: int) -> float:
    return float(0.5 ** (span_ms / 1000 / (decay_s / HALF_LIVES_PER_WINDOW)))


@dataclass(slots=True)
class _Queue:
    """The shares of one queue. ``idle`` is a heap of moments at which a share may have to be forgotten."""

    shares: dict[str, Use] = field(default_factory=dict)
    idle: list[tuple[int, str]] = field(default_factory=list)


class ShareUse:
    """The use of every share, by queue.

    Args:
        decay_s: returns the length of a queue's window in seconds.
        changed: called with a queue and a share that has become active or is forgotten.
    """

    def __init__(self, decay_s: Callable[[str], int], changed: Callable[[str, str], None]) -> None:
        self._decay_s = decay_s
        self._changed = changed
        self._queues: dict[str, _Queue] = {}

    def _use(self, job: Job) -> Use:
        queue, share = self._queue(job.queue), job.share_identifier or ""
        use = queue.shares.get(share)
        if use is None:
            use = queue.shares[share] = Use()
            self._changed(job.queue, share)
        return use

    def _queue(self, name: str) -> _Queue:
        queue = self._queues.get(name)
        if queue is None:
            queue = self._queues[name] = _Queue()
        return queue

    def _may_expire(self, job: Job, use: Use) -> None:
        if use.is_idle:
            entry = use.expires_ms(self._decay_s(job.queue)), job.share_identifier or ""
            heapq.heappush(self._queue(job.queue).idle, entry)

    def joined(self, job: Job) -> None:
        """Counts a job that is known now; children and nodes count with their parent."""
        if job.share_identifier is not None and job.parent_id is None and not job.status.is_terminal:
            self._use(job).live += 1

    def ended(self, job: Job) -> None:
        """Subtracts a job that is over."""
        if job.share_identifier is not None and job.parent_id is None:
            use = self._use(job)
            use.live -= 1
            self._may_expire(job, use)

    def placed(self, job: Job, now_ms: int, sign: int = 1) -> None:
        """Adds the vCPUs of a placed job; with a ``sign`` of -1, subtracts those of a job that has ended."""
        if job.share_identifier is None:
            return
        use = self._use(job)
        use.settle(now_ms, self._decay_s(job.queue))
        use.running_milli += sign * job.milli_vcpus
        use.used_ms = now_ms
        self._may_expire(job, use)

    def restore(self, job: Job) -> None:
        """Counts the earlier use of a job that was read back from the store."""
        if job.share_identifier is None:
            return
        use, decay_s = self._use(job), self._decay_s(job.queue)
        for (start_ms, status), (stop_ms, after) in zip(job.history, job.history[1:], strict=False):
            if status.is_placed or (status is JobStatus.STARTING and after is JobStatus.RUNNING):
                if stop_ms > use.at_ms:
                    use.average_milli *= _kept(stop_ms - use.at_ms, decay_s)
                    use.at_ms = stop_ms
                until, since = _kept(use.at_ms - stop_ms, decay_s), _kept(use.at_ms - start_ms, decay_s)
                use.average_milli += job.milli_vcpus * (until - since)
                use.used_ms = max(use.used_ms or 0, stop_ms)
        self._may_expire(job, use)

    def of(self, queue: str, share: str) -> Use | None:
        """Returns the use of a share; None for a share that is not active."""
        return self._queue(queue).shares.get(share)

    def vcpus(self, queue: str, share: str, now_ms: int, decay_s: int) -> float:
        """Returns the recent and present use of a share, in vCPUs."""
        use = self.of(queue, share)
        if use is None or (use.is_idle and use.expires_ms(decay_s) <= now_ms):
            return 0.0
        return use.milli_vcpus(now_ms, decay_s) / 1000

    def active(self, queue: str, now_ms: int) -> KeysView[str]:
        """Returns a live view of the shares with jobs that are not over, or with use inside the window.

        Other shares are forgotten here; the cost is that of the forgotten ones.
        """
        found, decay_s = self._queue(queue), self._decay_s(queue)
        while found.idle and found.idle[0][0] <= now_ms:
            _, share = heapq.heappop(found.idle)
            use = found.shares.get(share)
            if use is None or not use.is_idle:
                continue
            if (due_ms := use.expires_ms(decay_s)) > now_ms:
                heapq.heappush(found.idle, (due_ms, share))
            else:
                del found.shares[share]
                self._changed(queue, share)
        return found.shares.keys()

    def window_changed(self) -> None:
        """Checks again when idle shares are forgotten, after a change of policies."""
        for name, queue in self._queues.items():
            decay_s = self._decay_s(name)
            queue.idle = [
                (use.expires_ms(decay_s), share) for share, use in queue.shares.items() if use.is_idle
            ]
            heapq.heapify(queue.idle)

    def running_milli(self, queue: str, share: str) -> int:
        """Returns the milli-vCPUs that a share uses now; for checks."""
        use = self.of(queue, share)
        return 0 if use is None else use.running_milli

    def drop(self, queue: str) -> None:
        """Forgets a deleted queue."""
        self._queues.pop(queue, None)
