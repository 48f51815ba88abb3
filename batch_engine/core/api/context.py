"""The context of a call, and checks that several operations share."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

from batch_engine.core.api.templates import Templates
from batch_engine.core.model.errors import ClientError
from batch_engine.core.model.events import Event, ResourcesChanged
from batch_engine.core.model.ids import NAME_PATTERN, Arns, IdFactory
from batch_engine.core.model.jobs import Job
from batch_engine.core.model.resources import ComputeEnvironment, JobQueue, Resource, ServiceEnvironment
from batch_engine.core.model.wire import Wire
from batch_engine.core.state.registry import Registry

MAX_TAGS = 50
MAX_NAMED = 100
MAX_TAG_KEY_LENGTH = 128
MAX_TAG_VALUE_LENGTH = 256
MAX_REASON_LENGTH = 1024


@dataclass(slots=True)
class CallContext:
    """The context of one call: the registry, the ARNs, the time, and the way to the scheduler.

    ``emit`` passes an event to the scheduler at once; the resulting actions are carried out after the call.
    ``waiting`` returns the RUNNABLE jobs of a queue in the order in which they are dispatched.
    ``active_shares`` returns the share identifiers of a queue with jobs or recent use. All calls share
    ``templates``.
    """

    registry: Registry
    arns: Arns
    ids: IdFactory
    now_ms: int
    emit: Callable[[Event], None]
    waiting: Callable[[str], Iterator[Job]]
    active_shares: Callable[[str], Collection[str]]
    templates: Templates

    def put(self, resource: Resource) -> None:
        """Stores a new or changed resource through the scheduler."""
        self.emit(ResourcesChanged(put=(resource,)))

    def remove(self, resource: Resource) -> None:
        """Removes a resource through the scheduler."""
        self.emit(ResourcesChanged(removed=(resource,)))

    def find_queue(self, reference: str) -> JobQueue | None:
        """Returns a queue by name or ARN."""
        return self.registry.job_queues.get(self.arns.name_of(reference, "job-queue"))

    def find_environment(self, reference: str) -> ComputeEnvironment | None:
        """Returns a compute environment by name or ARN."""
        return self.registry.compute_environments.get(self.arns.name_of(reference, "compute-environment"))

    def find_service_environment(self, reference: str) -> ServiceEnvironment | None:
        """Returns a service environment by name or ARN."""
        return self.registry.service_environments.get(self.arns.name_of(reference, "service-environment"))


Operation = Callable[[CallContext, Wire], Wire]


def check_name(name: str, what: str) -> str:
    """Returns a name of 1 to 128 letters, digits, ``-`` and ``_`` that starts with a letter or a digit.

    Raises:
        ClientError: the name is not of this form.
    """
    if not NAME_PATTERN.fullmatch(name):
        raise ClientError(f"{what} should match valid pattern")
    return name


def check_tags(tags: dict[str, str] | None, present: dict[str, str] | None = None) -> dict[str, str]:
    """Returns the tags of a new resource, or those to add to the tags that are ``present``.

    Raises:
        ClientError: more than 50 tags in total, a reserved key, or a key or a value that is too long.
    """
    given = tags or {}
    if len({**(present or {}), **given}) > MAX_TAGS:
        count = len({**(present or {}), **given})
        raise ClientError(f"A resource has at most {MAX_TAGS} tags, this would make {count}")
    for key, value in given.items():
        if key.lower().startswith("aws:"):
            raise ClientError(f"Tag keys cannot start with aws:, got {key[:128]}")
        if not 1 <= len(key) <= MAX_TAG_KEY_LENGTH:
            raise ClientError(f"Tag keys must have 1 to {MAX_TAG_KEY_LENGTH} characters, got {len(key)}")
        if len(value) > MAX_TAG_VALUE_LENGTH:
            raise ClientError(f"Tag values have at most {MAX_TAG_VALUE_LENGTH} characters, got {len(value)}")
    return given


def check_reason(reason: str) -> None:
    """Checks the reason for which a job is cancelled or terminated.

    Raises:
        ClientError: it has more than 1024 characters.
    """
    if len(reason) > MAX_REASON_LENGTH:
        raise ClientError(f"reason must not exceed {MAX_REASON_LENGTH} characters, got {len(reason)}")


def named(request: Wire, member: str) -> list[str] | None:
    """Returns the names in a request of a Describe operation, or None if it asks for all.

    Raises:
        ClientError: there are more than 100 names, or names together with a page size.
    """
    references: list[str] | None = request.get(member)
    if not references:
        return None
    if "maxResults" in request:
        raise ClientError(f"{member[0].upper()}{member[1:]} and MaxResults cannot both be set")
    if len(references) > MAX_NAMED:
        raise ClientError(
            f"No more than {MAX_NAMED} {member} may be described at once, got {len(references)}"
        )
    return references
