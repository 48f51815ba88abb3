"""The ``AWS::Batch::*`` resource types of CloudFormation, carried out through the AWS Batch API.

The rules of update and replacement come from the resource schemas. CloudFormation itself orders the
resources, keeps the records of a stack, and deletes replaced resources when the rest of an update succeeded.
"""

import contextlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from batch_engine import translation as cfn
from batch_engine.local.base.ports import BatchService, ClientError
from batch_engine.local.cloudformation import batch_updates as updates
from batch_engine.local.cloudformation.batch_types import RESOURCE_TYPES
from batch_engine.local.cloudformation.kept_revisions import KeptRevisions
from batch_engine.local.cloudformation.resource import Resource, ResourceError, generated_name

# AWS Batch's error while an earlier change of the resource is under way: the request is tried again.
_BEING_MODIFIED = "resource is being modified"
# CloudFormation's time limit for a resource whose schema names no timeoutInMinutes; AWS Batch's schemas name
# none. An update that replaces instances takes as long as their jobs, by default up to 30 minutes.
_STABILISE_TIMEOUT_S = 7200.0
_POLL_S = 0.05
_POLL_MAX_S = 1.0


@dataclass(slots=True)
class BatchResources:
    """Creates, updates and deletes the ``AWS::Batch::*`` resources of stacks.

    Calls wait until the resource has settled.

    Args:
        service: the AWS Batch API.
        sleep: waits some seconds before the next look at a resource.
        clock: returns monotonic seconds.
        kept_revisions: remembers the revisions that ``SkipDeregisterOnUpdate`` keeps.
    """

    service: BatchService
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    kept_revisions: KeptRevisions = field(default_factory=KeptRevisions)

    def create(self, resource_type: str, logical_id: str, properties: Mapping[str, Any]) -> Resource:
        """Creates a resource and waits until it is ``VALID``; see ``ResourceHandler``."""
        return self._create(resource_type, properties, generated_name(logical_id))

    def update(
        self,
        resource_type: str,
        physical_id: str,
        logical_id: str,
        old: Mapping[str, Any],
        new: Mapping[str, Any],
    ) -> Resource:
        """Updates a resource in place, or creates its replacement; see ``ResourceHandler``.

        Raises:
            ResourceError: also if a resource with a custom name would have to be replaced.
        """
        if resource_type == cfn.JOB_DEFINITION:
            return self._revise(physical_id, logical_id, old, new)
        if updates.requires_replacement(resource_type, old, new):
            _refuse_replacing_a_custom_name(resource_type, physical_id, old, new)
            return self._create(resource_type, new, generated_name(logical_id))
        for operation, request in self._translated(updates.requests, resource_type, physical_id, old, new):
            self._modify(operation, request)
        self._wait_until_valid(resource_type, physical_id)
        return self._resource(resource_type, physical_id)

    def delete(self, resource_type: str, physical_id: str) -> None:
        """Deletes a resource and waits until it is gone; see ``ResourceHandler``."""
        kind = RESOURCE_TYPES[resource_type]
        if resource_type == cfn.JOB_DEFINITION:
            self._deregister(physical_id)
        elif kind.disabled_first:
            self._disable_and_delete(resource_type, physical_id)
        elif self._describe(resource_type, physical_id):
            self._modify(kind.delete, {kind.reference: physical_id})

    def _create(self, resource_type: str, properties: Mapping[str, Any], name: str) -> Resource:
        operation, request = self._translated(cfn.create_request, resource_type, properties, name=name)
        response = self._call(operation, request)
        arn = str(response[RESOURCE_TYPES[resource_type].arn_member])
        try:
            self._wait_until_valid(resource_type, arn)
        except ResourceError:
            # The stack has no record of a resource whose creation failed, so it must be removed here.
            with contextlib.suppress(ResourceError):
                self.delete(resource_type, arn)
            raise
        return self._resource(resource_type, arn)

    def _resource(self, resource_type: str, arn: str) -> Resource:
        kind = RESOURCE_TYPES[resource_type]
        attributes = {kind.arn: arn}
        if kind.counters:
            described = self._describe(resource_type, arn) or {}
            attributes |= {name: str(described[member]) for name, member in kind.counters.items()}
        return Resource(physical_id=arn, attributes=attributes)

    def _revise(
        self, physical_id: str, logical_id: str, old: Mapping[str, Any], new: Mapping[str, Any]
    ) -> Resource:
        name_property = cfn.NAME_PROPERTIES[cfn.JOB_DEFINITION]
        renamed = old.get(name_property) != new.get(name_property)
        name = generated_name(logical_id) if renamed else _name_of(physical_id)
        revision = self._create(cfn.JOB_DEFINITION, new, name)
        policy = new.get("ResourceRetentionPolicy") or {}
        if not renamed and cfn.is_true(policy.get("SkipDeregisterOnUpdate")):
            self.kept_revisions.keep(revision.physical_id, physical_id)
        return revision

    def _deregister(self, physical_id: str) -> None:
        # A rollback deletes the new revision: from then on the old one is the stack's again.
        self.kept_revisions.rolled_back(physical_id)
        if self.kept_revisions.cleaned_up(physical_id):
            return
        active = self._describe(cfn.JOB_DEFINITION, physical_id)
        if active and active.get("status") == "ACTIVE":
            self._call("DeregisterJobDefinition", {"jobDefinition": physical_id})

    def _disable_and_delete(self, resource_type: str, physical_id: str) -> None:
        kind = RESOURCE_TYPES[resource_type]
        described = self._describe(resource_type, physical_id)
        if described is None or described.get("status") == "DELETED":
            return
        if described.get("status") != "DELETING":
            if described.get("state") != "DISABLED":
                self._modify(kind.update, {kind.reference: physical_id, "state": "DISABLED"})
                self._wait(resource_type, physical_id, lambda now: now is None or now["status"] != "UPDATING")
            self._modify(kind.delete, {kind.reference: physical_id})
        left = self._wait(
            resource_type, physical_id, lambda now: now is None or now["status"] in {"DELETED", "INVALID"}
        )
        if left is not None and left["status"] == "INVALID":
            reason = left.get("statusReason", "no reason given")
            raise ResourceError(f"{resource_type} {_name_of(physical_id)} was not deleted: {reason}")

    def _describe(self, resource_type: str, physical_id: str) -> dict[str, Any] | None:
        kind = RESOURCE_TYPES[resource_type]
        if kind.described_in is not None:
            listed = self._call(kind.describe, {kind.describe_by: [physical_id]})[kind.described_in]
            return listed[0] if listed else None
        try:
            return self.service.call(kind.describe, {kind.describe_by: physical_id})
        except ClientError:
            # The ARN came from AWS Batch, so the only reason to refuse it is that the resource is gone.
            return None

    def _wait_until_valid(self, resource_type: str, physical_id: str) -> None:
        if not RESOURCE_TYPES[resource_type].settles:
            return
        settled = self._wait(
            resource_type, physical_id, lambda now: now is None or now["status"] in {"VALID", "INVALID"}
        )
        if settled is None or settled["status"] == "INVALID":
            reason = settled.get("statusReason", "no reason given") if settled else "it was deleted"
            raise ResourceError(f"{resource_type} {_name_of(physical_id)} did not become VALID: {reason}")

    def _wait(
        self, resource_type: str, physical_id: str, done: Callable[[dict[str, Any] | None], bool]
    ) -> dict[str, Any] | None:
        deadline = self.clock() + _STABILISE_TIMEOUT_S
        pause = _POLL_S
        while not done(now := self._describe(resource_type, physical_id)):
            if self.clock() > deadline:
                status = now["status"] if now else "gone"
                raise ResourceError(
                    f"{resource_type} {_name_of(physical_id)} did not settle within "
                    f"{_STABILISE_TIMEOUT_S:.0f} s, its status is {status}"
                )
            self.sleep(pause)
            pause = min(pause * 2, _POLL_MAX_S)
        return now

    def _modify(self, operation: str, request: dict[str, Any]) -> None:
        """Carries out a change, after an earlier one that is still under way."""
        deadline = self.clock() + _STABILISE_TIMEOUT_S
        pause = _POLL_S
        while True:
            try:
                self._call(operation, request)
                return
            except ResourceError as error:
                if _BEING_MODIFIED not in str(error) or self.clock() > deadline:
                    raise
            self.sleep(pause)
            pause = min(pause * 2, _POLL_MAX_S)

    def _call(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        try:
            return self.service.call(operation, request)
        except ClientError as error:
            raise ResourceError(
                f'Resource handler returned message: "{error.message}" '
                f"(Service: Batch, Operation: {operation}, Status Code: 400)"
            ) from error

    @staticmethod
    def _translated(translate: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        try:
            return translate(*args, **kwargs)
        except cfn.PropertyError as error:
            raise ResourceError(f"Properties validation failed: {error}") from error


def _name_of(arn: str) -> str:
    """Returns ``media`` for ``arn:aws:batch:...:job-definition/media:3``."""
    return arn.rsplit("/", 1)[-1].split(":", 1)[0]


def _refuse_replacing_a_custom_name(
    resource_type: str, physical_id: str, old: Mapping[str, Any], new: Mapping[str, Any]
) -> None:
    name = new.get(cfn.NAME_PROPERTIES[resource_type])
    if resource_type == cfn.QUOTA_SHARE and old.get("JobQueue") != new.get("JobQueue"):
        return  # the name of a share is unique within its queue, and the replacement is in another queue
    if name and name == old.get(cfn.NAME_PROPERTIES[resource_type]):
        raise ResourceError(
            "CloudFormation cannot update a stack when a custom-named resource requires replacing. "
            f"Rename {physical_id} and update the stack again."
        )
