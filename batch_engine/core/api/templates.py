"""Templates of jobs, made from a job definition and the overrides of a SubmitJob request."""

from collections.abc import Callable
from dataclasses import dataclass, field

from batch_engine.core.model.jobs import RetryStrategy
from batch_engine.core.model.resources import JobDefinition, Platform
from batch_engine.core.model.wire import Wire
from batch_engine.core.rules.requirements import Needs

MAX_TEMPLATES = 1000
NO_NEEDS = Needs(0, 0)
OVERRIDES = (
    "containerOverrides",
    "ecsPropertiesOverride",
    "parameters",
    "retryStrategy",
    "timeout",
    "propagateTags",
    "consumableResourcePropertiesOverride",
)
"""The members of a request that change what its definition says."""
_OVERRIDES = frozenset(OVERRIDES)


@dataclass(frozen=True, slots=True)
class Template:
    """The part of a job that its definition and overrides determine. Jobs share it, so it never changes."""

    body: Wire
    platform: Platform
    retry: RetryStrategy
    parameters: dict[str, str]
    timeout_s: int | None
    propagate_tags: bool
    consumables: dict[str, int] = field(default_factory=dict)
    container: Wire = field(default_factory=dict)
    needs: Needs = NO_NEEDS
    ecs_container: str | None = None
    start_refusal: str | None = None


class Templates:
    """Remembers templates, so that a request like an earlier one is neither checked nor rendered again.

    A definition is recognised by its body: a name that is registered again 180 days after its last revision
    was deregistered starts at revision 1, with the same ARN.
    """

    def __init__(self) -> None:
        self._known: dict[str, Template] = {}

    def of(
        self, request: Wire, definition: JobDefinition, make: Callable[[Wire, Wire], Template]
    ) -> Template:
        """Returns the template of a request.

        Args:
            request: a SubmitJob request.
            definition: the revision that it names.
            make: makes a template that is not remembered from a request and a definition's body; its
                exceptions pass through.
        """
        key = definition.arn
        if not _OVERRIDES.isdisjoint(request):
            key = repr((key, [request.get(member) for member in OVERRIDES]))
        template = self._known.get(key)
        if template is None or template.body is not definition.body:
            template = make(request, definition.body)
            if len(self._known) >= MAX_TEMPLATES:
                self._known.clear()
            self._known[key] = template
        return template
