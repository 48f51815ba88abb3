"""Fair share: the share whose job is next, and the vCPUs reserved for other shares.

https://docs.aws.amazon.com/batch/latest/userguide/fair-share-scheduling.html

Pure functions over use that ``share_use`` counts. Each decision carries its reason.
"""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import cached_property

from batch_engine.core.model.errors import ClientError
from batch_engine.core.model.wire import Wire

MAX_ACTIVE_SHARES = 500
MAX_ENTRIES = 500
MAX_DECAY_S = 604_800
DEFAULT_DECAY_S = 600
DEFAULT_WEIGHT = 1.0
_IDENTIFIER = re.compile(r"[A-Za-z0-9]{1,255}|[A-Za-z0-9]{0,254}\*")


@dataclass(frozen=True)
class FairShare:
    """The parameters of a fair-share policy."""

    decay_s: int = DEFAULT_DECAY_S
    compute_reservation: int = 0
    weights: tuple[tuple[str, float], ...] = ()

    @cached_property
    def _factors(self) -> dict[str, float]:
        return dict(self.weights)

    @cached_property
    def _lengths(self) -> list[int]:
        return sorted({len(name) - 1 for name, _ in self.weights if name.endswith("*")})

    def entry_of(self, share: str) -> tuple[str, float]:
        """Returns the policy's entry for a share, and its weight factor; entries do not overlap.

        Returns:
            The share itself, or an identifier that ends in ``*`` for a share that is one of a group.
        """
        if (factor := self._factors.get(share)) is not None:
            return share, factor
        for length in self._lengths:
            name = f"{share[:length]}*"
            if length <= len(share) and (factor := self._factors.get(name)) is not None:
                return name, factor
        return share, DEFAULT_WEIGHT


@dataclass(frozen=True, slots=True)
class Candidate:
    """A share with waiting jobs: its use in vCPUs, and the order of its first job."""

    share: str
    use_vcpus: float
    order: int


@dataclass(frozen=True, slots=True)
class Choice:
    """The share whose job is next, and why."""

    share: str
    why: str


def parse(wire: Wire | None) -> FairShare:
    """Reads and checks a ``fairsharePolicy``.

    Raises:
        ClientError: a value is out of range, or entries overlap.
    """
    wire = wire or {}
    decay_s = _within("shareDecaySeconds", wire.get("shareDecaySeconds") or 0, 0, MAX_DECAY_S)
    reservation = _within("computeReservation", wire.get("computeReservation") or 0, 0, 99)
    entries = wire.get("shareDistribution") or []
    if len(entries) > MAX_ENTRIES:
        raise ClientError(f"shareDistribution must have at most {MAX_ENTRIES} entries, got {len(entries)}")
    weights: dict[str, float] = {}
    for entry in entries:
        identifier = entry.get("shareIdentifier") or ""
        if not _IDENTIFIER.fullmatch(identifier):
            raise ClientError(
                "shareIdentifier must be at most 255 letters and digits, optionally ending in *, "
                f"got {identifier}"
            )
        if identifier in weights:
            raise ClientError(f"shareIdentifier {identifier} is given more than once in shareDistribution")
        given = entry.get("weightFactor")
        weights[identifier] = float(
            _within("weightFactor", DEFAULT_WEIGHT if given is None else given, 0.0001, 999.9999)
        )
    _check_overlap(weights)
    # The API's own text: 0 means the default window of 600 seconds.
    return FairShare(int(decay_s) or DEFAULT_DECAY_S, int(reservation), tuple(weights.items()))


def _within(member: str, value: float, smallest: float, largest: float) -> float:
    if not smallest <= value <= largest:
        raise ClientError(f"{member} must be between {smallest:.10g} and {largest:.10g}, got {value:.10g}")
    return value


def _check_overlap(weights: Collection[str]) -> None:
    for prefix in (item for item in weights if item.endswith("*")):
        for other in weights:
            if other != prefix and other.startswith(prefix[:-1]):
                raise ClientError(f"shareIdentifier {other} overlaps with {prefix} in shareDistribution")


def weight(policy: FairShare, share: str, active: Collection[str]) -> float:
    """Returns the weight factor of a share: lower is more.

    An entry that ends in ``*`` is the weight of a group: with k active shares each counts k times as much.
    """
    name, factor = policy.entry_of(share)
    if name == share:
        return factor
    return factor * sum(1 for other in {*active, share} if other.startswith(name[:-1]))


def choose(policy: FairShare, waiting: Iterable[Candidate], active: Collection[str]) -> Choice:
    """Returns the share whose first job is next: the least use times weight, then the earliest job."""

    def key(candidate: Candidate) -> tuple[float, int, str]:
        value = candidate.use_vcpus * weight(policy, candidate.share, active)
        return round(value, 9), candidate.order, candidate.share

    ranked = sorted(waiting, key=key)
    first = ranked[0]
    value = f"{first.use_vcpus:.3f} vCPUs of use x weight {weight(policy, first.share, active):g}"
    if len(ranked) == 1:
        return Choice(first.share, f"{first.share} is the only share that waits ({value})")
    second = ranked[1]
    if key(first)[0] == key(second)[0]:
        return Choice(first.share, f"{first.share} is level with {second.share} ({value}) and came first")
    other = f"{second.use_vcpus:.3f} x {weight(policy, second.share, active):g}"
    return Choice(first.share, f"{first.share} has least ({value}; next {second.share}: {other})")


def reserved_vcpus(policy: FairShare, active: int, max_vcpus: float) -> float:
    """Returns the vCPUs reserved for shares that are not active: ``(computeReservation / 100) ** active``."""
    if not policy.compute_reservation:
        return 0.0
    return float(max_vcpus * (policy.compute_reservation / 100) ** max(1, active))
