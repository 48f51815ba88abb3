"""What each share of each fair-share queue has used, and which shares are active.

AWS publishes neither its curve nor its unit. Ours: the exponentially weighted average of the vCPUs in use,
with a half-life of a quarter of ``shareDecaySeconds``, plus the vCPUs in use now. What is older than the
window is forgotten with the share.
"""

from dataclasses import dataclass

from batch_engine.core.model.jobs import Job, JobStatus

HALF_LIVES_PER_WINDOW = 4


@dataclass(slots=True)
class _Use:
    live: int = 0
    running_milli: int = 0
    average_milli: float = 0.0
    at_ms: int = 0
    used_ms: int | None = None

    def settle(self, now_ms: int, decay_s: int) -> None:
        if now_ms > self.at_ms:
            kept = _kept(now_ms - self.at_ms, decay_s)
            self.average_milli = self.average_milli * kept + self.running_milli * (1 - kept)
            self.at_ms = now_ms
            if self.running_milli:
                self.used_ms = now_ms

    def is_active(self, now_ms: int, decay_s: int) -> bool:
        recent = self.used_ms is not None and now_ms - self.used_ms < decay_s * 1000
        return bool(self.live or self.running_milli or recent)


def _kept(span_ms: int, decay_s: int) -> float:
    return float(0.5 ** (span_ms / 1000 / (decay_s / HALF_LIVES_PER_WINDOW)))


class ShareUse:
    """The use of every share, by queue."""

    def __init__(self) -> None:
        self._queues: dict[str, dict[str, _Use]] = {}

    def _use(self, job: Job) -> _Use:
        return self._queues.setdefault(job.queue, {}).setdefault(job.share_identifier or "", _Use())

    def joined(self, job: Job) -> None:
        """A job is known; children and nodes count with their parent."""
        if job.share_identifier is not None and job.parent_id is None and not job.status.is_terminal:
            self._use(job).live += 1

    def ended(self, job: Job) -> None:
        """A job is over."""
        if job.share_identifier is not None and job.parent_id is None:
            self._use(job).live -= 1

    def placed(self, job: Job, now_ms: int, decay_s: int, sign: int = 1) -> None:
        """A job has got its vCPUs; ``sign`` -1: has given them back."""
        if job.share_identifier is None:
            return
        use = self._use(job)
        use.settle(now_ms, decay_s)
        use.running_milli += sign * job.milli_vcpus
        use.used_ms = now_ms

    def restore(self, job: Job, decay_s: int) -> None:
        """Count in what a job that was read back from the store has used before."""
        if job.share_identifier is None:
            return
        use = self._use(job)
        for (start_ms, status), (stop_ms, after) in zip(job.history, job.history[1:], strict=False):
            if status.is_placed or (status is JobStatus.STARTING and after is JobStatus.RUNNING):
                if stop_ms > use.at_ms:
                    use.average_milli *= _kept(stop_ms - use.at_ms, decay_s)
                    use.at_ms = stop_ms
                until, since = _kept(use.at_ms - stop_ms, decay_s), _kept(use.at_ms - start_ms, decay_s)
                use.average_milli += job.milli_vcpus * (until - since)
                use.used_ms = max(use.used_ms or 0, stop_ms)

    def vcpus(self, queue: str, share: str, now_ms: int, decay_s: int) -> float:
        """What a share has used of late and uses now, in vCPUs."""
        use = self._queues.get(queue, {}).get(share)
        if use is None or not use.is_active(now_ms, decay_s):
            return 0.0
        use.settle(now_ms, decay_s)
        return (use.average_milli + use.running_milli) / 1000

    def active(self, queue: str, now_ms: int, decay_s: int) -> set[str]:
        """The shares with jobs that are not over, or with use inside the window; the rest are forgotten."""
        shares = self._queues.get(queue, {})
        for share in [share for share, use in shares.items() if not use.is_active(now_ms, decay_s)]:
            del shares[share]
        return set(shares)

    def running_milli(self, queue: str, share: str) -> int:
        """What a share uses now; for checks."""
        use = self._queues.get(queue, {}).get(share)
        return 0 if use is None else use.running_milli

    def drop(self, queue: str) -> None:
        """Forget a queue that is gone."""
        self._queues.pop(queue, None)
