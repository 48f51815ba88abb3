"""Checks requests to AWS Batch against the policies of their signer or role before they reach the engine."""

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Any
from uuid import uuid4

from batch_engine.core.model.ids import Arns
from batch_engine.local.api import api
from batch_engine.local.api.api import Response
from batch_engine.local.api.endpoint import BatchEndpoint, Query
from batch_engine.local.aws.batch_permissions import Check, checks
from batch_engine.local.base.ports import BatchService, ClientError
from batch_engine.local.delivery.requests import TargetError

# They answer 200, with an error for each job that failed.
_BULK = ("CancelJobs", "TerminateJobs", "TerminateServiceJobs")


Denial = Callable[[Mapping[str, str], Query, Check], str | None]


class Permissions:
    """Lists the permissions that requests need.

    Args:
        service: the AWS Batch API, for the tags of resources.
        arns: makes ARNs from names.
        instance_roles: returns the ARNs of the roles in an instance profile.
    """

    def __init__(self, service: BatchService, arns: Arns, instance_roles: Callable[[str], list[str]]) -> None:
        self._service = service
        self._arns = arns
        self._instance_roles = instance_roles

    def needed(self, operation: str, request: Mapping[str, Any]) -> list[Check]:
        """Returns the permissions that a request needs; not on the event loop, since it asks the engine."""
        return [*checks(operation, request, self._arns, self._tags, self._instance_roles)]

    def _tags(self, arn: str) -> Mapping[str, str]:
        try:
            if arn.startswith(self._arns.batch("job-definition", "")) and ":" not in arn.rpartition("/")[2]:
                name = arn.rpartition("/")[2]
                request = {"jobDefinitionName": name, "status": "ACTIVE", "maxResults": 1}
                found = self._service.call("DescribeJobDefinitions", request)["jobDefinitions"]
                tags: Mapping[str, str] = found[0].get("tags", {}) if found else {}
                return tags
            return dict(self._service.call("ListTagsForResource", {"resourceArn": arn})["tags"])
        except ClientError:
            # The resource does not exist, or not yet, so it has no tags.
            return {}


class BatchGuard:
    """Answers those requests to AWS Batch, and those parts of bulk requests, that policies allow.

    Args:
        endpoint: carries out the allowed requests.
        permissions: lists the permissions that requests need.
        denial: returns why the signer of the current request lacks a permission; it runs on the event loop.
    """

    def __init__(self, endpoint: BatchEndpoint, permissions: Permissions, denial: Denial) -> None:
        self._endpoint = endpoint
        self._permissions = permissions
        self._denial = denial

    async def handle(
        self, method: str, path: str, headers: dict[str, str], body: bytes, query: Query
    ) -> Response:
        """Answers a request."""
        try:
            operation, request = self._endpoint.api.read(method, path, body, query)
        except ClientError as error:
            return api.refused(error)
        # On a thread: instance profiles are looked up in IAM, which the loop serves.
        needed = await asyncio.to_thread(self._permissions.needed, operation, request)
        texts = [(check, self._denial(headers, query, check)) for check in needed]
        denied = [(check, text) for check, text in texts if text is not None]
        if not denied:
            return await self._endpoint.answer(operation, request)
        if operation not in _BULK:
            return refused(denied[0][1])
        return await self._answer_in_part(operation, request, denied)

    async def _answer_in_part(
        self, operation: str, request: dict[str, Any], denied: list[tuple[Check, str]]
    ) -> Response:
        """Carries out a bulk request for the jobs that are not denied."""
        by_job = {check.resource.rpartition("/")[2]: text for check, text in denied}
        errors = [
            {"job": job, "code": "AccessDenied", "message": by_job[job.rpartition("/")[2]]}
            for job in dict.fromkeys(request["jobs"])
            if job.rpartition("/")[2] in by_job
        ]
        left = [job for job in request["jobs"] if job.rpartition("/")[2] not in by_job]
        if not left:
            return 200, {"Content-Type": "application/json"}, _json({"successful": [], "errors": errors})
        status, headers, answer = await self._endpoint.answer(operation, {**request, "jobs": left})
        if status == 200:
            document = json.loads(answer)
            answer = _json({**document, "errors": [*document["errors"], *errors]})
        return status, headers, answer


class RoleGuard:
    """Checks that the role of a target or a state machine allows a request; it implements ``Authorize``.

    Args:
        permissions: lists the permissions that requests need.
        denial: returns why a role that a service assumes for a resource lacks a permission, or None.
    """

    def __init__(
        self, permissions: Permissions, denial: Callable[[str, list[Check], str, str], str | None]
    ) -> None:
        self._permissions = permissions
        self._denial = denial

    def __call__(
        self, role_arn: str, service: str, source_arn: str, operation: str, request: dict[str, Any]
    ) -> None:
        """Checks one request; see ``Authorize``."""
        needed = self._permissions.needed(operation, request)
        try:
            denial = self._denial(role_arn, needed, service, source_arn)
        except ClientError as error:
            raise TargetError(error.message, "FAILED_TO_ASSUME_ROLE") from error
        if denial is not None:
            raise TargetError(denial, "NO_PERMISSIONS")


def allow(role_arn: str, service: str, source_arn: str, operation: str, request: dict[str, Any]) -> None:
    """Allows every request; it implements ``Authorize`` for a cloud without enforced policies."""


def refused(text: str) -> Response:
    """Returns the response to a denied request as AWS writes it."""
    headers = {
        "Content-Type": "application/json",
        "x-amzn-RequestId": str(uuid4()),
        "x-amzn-ErrorType": "AccessDeniedException",
    }
    return 403, headers, _json({"message": text})


def _json(document: dict[str, Any]) -> bytes:
    return json.dumps(document).encode()
