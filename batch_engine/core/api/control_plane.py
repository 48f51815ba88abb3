"""The operations of the API by name, for HTTP, CloudFormation and the simulator.

Every operation raises ClientError for a request that AWS Batch would refuse.
"""

from batch_engine.core.api import (
    compute_environments,
    consumable_resources,
    job_definitions,
    job_queues,
    jobs,
    listing,
    queue_snapshot,
    quota_shares,
    scheduling_policies,
    service_environments,
    service_jobs,
    tags,
)
from batch_engine.core.api.context import CallContext, Operation
from batch_engine.core.api.errors import ServerError
from batch_engine.core.api.templates import Templates
from batch_engine.core.model.actions import Action
from batch_engine.core.model.errors import ClientError
from batch_engine.core.model.events import Event
from batch_engine.core.model.ids import Arns, IdFactory
from batch_engine.core.model.wire import Wire
from batch_engine.core.scheduling.scheduler import Scheduler
from batch_engine.core.state.registry import Registry

OPERATIONS: dict[str, Operation] = {
    **compute_environments.OPERATIONS,
    **job_queues.OPERATIONS,
    **job_definitions.OPERATIONS,
    **jobs.OPERATIONS,
    **scheduling_policies.OPERATIONS,
    **tags.OPERATIONS,
    **listing.OPERATIONS,
    **queue_snapshot.OPERATIONS,
    **service_environments.OPERATIONS,
    **service_jobs.OPERATIONS,
    **quota_shares.OPERATIONS,
    **consumable_resources.OPERATIONS,
}


class ControlPlane:
    """Answers requests, and hands their events to the scheduler."""

    def __init__(self, registry: Registry, scheduler: Scheduler, arns: Arns, ids: IdFactory) -> None:
        self._registry = registry
        self._scheduler = scheduler
        self._arns = arns
        self._ids = ids
        self._templates = Templates()

    def call(self, operation: str, request: Wire, now_ms: int) -> tuple[Wire, list[Action]]:
        """Carries out one operation.

        Args:
            operation: the operation's name in the API.
            request: the request as on the wire, already checked by AWS's service model.
            now_ms: the time, in epoch milliseconds.

        Returns:
            The response as on the wire, and the actions to carry out.

        Raises:
            ClientError: AWS Batch would refuse the request, or this engine lacks the operation. Nothing has
                changed then.
            ServerError: an internal error; the request was undone. The caller carries out its ``actions``.
        """
        handler = OPERATIONS.get(operation)
        if handler is None:
            raise ClientError(f"{operation} is not supported by this engine")
        actions: list[Action] = []

        def emit(event: Event) -> None:
            actions.extend(self._scheduler.handle(event, now_ms))
            if self._scheduler.refusal is not None:
                raise ServerError(self._scheduler.refusal.reason)

        dispatcher = self._scheduler.dispatcher
        context = CallContext(
            self._registry,
            self._arns,
            self._ids,
            now_ms,
            emit,
            dispatcher.in_order,
            lambda queue: dispatcher.shares.active(queue, now_ms),
            self._templates,
        )
        try:
            return handler(context, request), actions
        except ServerError as error:
            error.actions = actions
            raise
