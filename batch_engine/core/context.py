"""What every operation is given besides its request."""

from collections.abc import Callable
from dataclasses import dataclass

from batch_engine.core.errors import ClientError
from batch_engine.core.events import Event
from batch_engine.core.ids import NAME_PATTERN, Arns, IdFactory
from batch_engine.core.model import ComputeEnvironment, JobQueue, Wire
from batch_engine.core.registry import Registry


@dataclass(frozen=True, slots=True)
class CallContext:
    """One call: what is known, how things are named, what time it is, and whom to tell.

    ``emit`` hands an event to the scheduler at once; the actions it answers are carried out after the call.
    """

    registry: Registry
    arns: Arns
    ids: IdFactory
    now_ms: int
    emit: Callable[[Event], None]

    def find_queue(self, reference: str) -> JobQueue | None:
        """A queue by name or ARN."""
        return self.registry.job_queues.get(self.arns.name_of(reference, "job-queue"))

    def find_environment(self, reference: str) -> ComputeEnvironment | None:
        """A compute environment by name or ARN."""
        return self.registry.compute_environments.get(self.arns.name_of(reference, "compute-environment"))


Operation = Callable[[CallContext, Wire], Wire]


def check_name(name: str, what: str) -> str:
    """A name of 1 to 128 letters, digits, hyphens and underscores that starts with a letter or a digit.

    Raises:
        ClientError: any other.
    """
    if not NAME_PATTERN.fullmatch(name):
        raise ClientError(f"{what} should match valid pattern")
    return name


def page(items: list[Wire], request: Wire, *, key: str, default: int = 100, largest: int = 100) -> Wire:
    """One page of a listing: ``maxResults`` and ``nextToken`` in, ``nextToken`` out but on the last page.

    Raises:
        ClientError: a page size outside the allowed range, or a token this engine did not hand out.
    """
    size = request.get("maxResults") or default
    if not 1 <= size <= largest:
        raise ClientError(f"maxResults must be between 1 and {largest}, got {size}")
    token = request.get("nextToken")
    if token is None:
        start = 0
    elif token.isdecimal() and token.isascii():
        start = int(token)
    else:
        raise ClientError(f"nextToken is not one that was returned: {token}")
    result: Wire = {key: items[start : start + size]}
    if start + size < len(items):
        result["nextToken"] = str(start + size)
    return result
