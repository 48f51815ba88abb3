"""The capacity in use, of each compute environment and of the machine underneath."""

from dataclasses import dataclass

from batch_engine.core.capacity.autoscaler import Scaling
from batch_engine.core.capacity.fleet import InstanceState, Need, need_of
from batch_engine.core.capacity.placement_offers import ANYWHERE, Offer, has_fleet
from batch_engine.core.capacity.wait_reasons import (
    Refusal,
    host_memory_full,
    host_vcpus_full,
    invalid,
    too_large,
    vcpus_full,
)
from batch_engine.core.model.jobs import Job, WaitReason
from batch_engine.core.model.resources import ComputeEnvironment, State


@dataclass(frozen=True, slots=True)
class HostLimits:
    """The limits of the machine underneath; None is no limit, as in AWS itself."""

    milli_vcpus: int | None = None
    memory_mib: int | None = None


class Capacity:
    """The capacity that placed jobs hold. A job larger than the machine holds all of it and runs alone.

    Args:
        host: the limits of the machine underneath.
        scaling: the instances of managed compute environments on EC2.
    """

    def __init__(self, host: HostLimits, scaling: Scaling) -> None:
        self.host = host
        self.scaling = scaling
        self.in_use_milli_vcpus: dict[str, int] = {}
        self.host_milli_vcpus = 0
        self.host_memory_mib = 0
        self._host_shares: dict[str, tuple[int, int]] = {}

    @property
    def jobs_on_host(self) -> int:
        """Returns how many placed jobs the machine underneath holds; for checks."""
        return len(self._host_shares)

    def offer(self, job: Job, environment: ComputeEnvironment) -> Offer | Refusal:
        """Returns where a compute environment would put a job now, or why it does not take it."""
        if environment.state is State.DISABLED or not environment.is_usable:
            return self._closed(environment)
        need = need_of(job)
        if not has_fleet(environment):
            offer = self._by_vcpus(need, environment)
        else:
            offer = self.scaling.offer(need, environment, job.queue)
            if isinstance(offer, Offer) and _launching(offer):
                return offer
        return offer if isinstance(offer, Refusal) else self._host_refusal(need) or offer

    def offer_gang(self, jobs: list[Job], environment: ComputeEnvironment) -> list[Offer] | Refusal:
        """Returns one instance for each node of a job, or why there is no room for all of them."""
        if environment.state is State.DISABLED or not environment.is_usable:
            return self._closed(environment)
        needs = [need_of(job) for job in jobs]
        offers = self.scaling.offer_gang(needs, environment)
        if isinstance(offers, Refusal):
            return offers
        together = Need(*map(sum, zip(*needs, strict=True)))
        return self._host_refusal(together) or offers

    def refusal(self, job: Job, environment: ComputeEnvironment) -> Refusal | None:
        """Returns why a compute environment does not take a job now, or None if it does."""
        offer = self.offer(job, environment)
        return offer if isinstance(offer, Refusal) else None

    @staticmethod
    def _closed(environment: ComputeEnvironment) -> Refusal:
        if not environment.is_usable:
            return invalid()
        return Refusal(
            WaitReason.COMPUTE_ENVIRONMENT_DISABLED, f"compute environment {environment.name} is DISABLED"
        )

    def _by_vcpus(self, need: Need, environment: ComputeEnvironment) -> Offer | Refusal:
        """Returns the offer of an environment that counts vCPUs of jobs; an unmanaged one has no limit."""
        limit = environment.max_milli_vcpus
        if limit is None:
            return ANYWHERE
        if need.milli_vcpus > limit:
            return too_large()
        used = self.in_use_milli_vcpus.get(environment.name, 0)
        if used + need.milli_vcpus > limit:
            return vcpus_full(environment.name, used, limit, need.milli_vcpus)
        return ANYWHERE

    def _host_refusal(self, need: Need) -> Refusal | None:
        limit_milli_vcpus, limit_mib = self.host.milli_vcpus, self.host.memory_mib
        if limit_milli_vcpus is not None:
            used = self.host_milli_vcpus
            if used + min(need.milli_vcpus, limit_milli_vcpus) > limit_milli_vcpus:
                return host_vcpus_full(used, limit_milli_vcpus, need.milli_vcpus)
        if limit_mib is not None:
            used = self.host_memory_mib
            if used + min(need.memory_mib, limit_mib) > limit_mib:
                return host_memory_full(used, limit_mib, need.memory_mib)
        return None

    def take(self, job: Job, environment: str) -> None:
        """Counts a job as placed: by its vCPUs, and on this machine. Its instance counts it, too."""
        milli_vcpus, memory_mib, limits = job.milli_vcpus, job.memory_mib, self.host
        # A job that is larger than the machine holds all of it, and its nodes share all of it.
        if limits.milli_vcpus is not None:
            milli_vcpus = min(milli_vcpus, limits.milli_vcpus - self.host_milli_vcpus)
        if limits.memory_mib is not None:
            memory_mib = min(memory_mib, limits.memory_mib - self.host_memory_mib)
        self._host_shares[job.id] = milli_vcpus, memory_mib
        self.host_milli_vcpus += milli_vcpus
        self.host_memory_mib += memory_mib
        self.in_use_milli_vcpus[environment] = self.in_use_milli_vcpus.get(environment, 0) + job.milli_vcpus

    def release(self, job: Job, environment: str, instance_id: str) -> None:
        """Counts a job as no longer placed."""
        milli_vcpus, memory_mib = self._host_shares.pop(job.id)
        self.host_milli_vcpus -= milli_vcpus
        self.host_memory_mib -= memory_mib
        self.in_use_milli_vcpus[environment] -= job.milli_vcpus
        self.scaling.take_out(instance_id, job.id)


def _launching(offer: Offer) -> bool:
    return offer.instance is not None and offer.instance.state is InstanceState.LAUNCHING
