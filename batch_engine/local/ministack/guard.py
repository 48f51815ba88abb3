"""Holds requests to AWS Batch to the policies of who signs them, before they reach the engine."""

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Any, Protocol
from uuid import uuid4

from batch_engine.core.model.ids import Arns
from batch_engine.local.aws.batch_permissions import Check, checks
from batch_engine.local.base.ports import BatchService, ClientError
from batch_engine.local.ministack.batch import Api

Query = dict[str, list[str]]
Response = tuple[int, dict[str, str], bytes]
# They answer 200, whatever comes of the single jobs.
_BULK = ("CancelJobs", "TerminateJobs", "TerminateServiceJobs")


class ReadableApi(Api, Protocol):
    """An API that can tell what a request asks for."""

    def read(self, method: str, path: str, body: bytes, query: Query) -> tuple[str, dict[str, Any]]:
        """Name the operation, and give its request.

        Raises:
            ClientError: there is no such operation, or the request is not one of it.
        """
        ...


Denial = Callable[[Mapping[str, str], Query, Check], str | None]


class Permissions:
    """Knows what requests need.

    Args:
        service: the AWS Batch API; asked for tags.
        arns: names things.
        instance_roles: the ARNs of the roles in an instance profile.
    """

    def __init__(self, service: BatchService, arns: Arns, instance_roles: Callable[[str], list[str]]) -> None:
        self._service = service
        self._arns = arns
        self._instance_roles = instance_roles

    def needed(self, operation: str, request: Mapping[str, Any]) -> list[Check]:
        """List what a request needs to be allowed; not on the event loop, for it asks the engine."""
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
            # There is no such thing, or not yet: so it has no tags.
            return {}


class BatchGuard:
    """What MiniStack takes for the API where policies count.

    Args:
        api: the AWS Batch HTTP API.
        permissions: knows what requests need.
        denial: why the signer of the current request may not do something; called on the event loop.
    """

    def __init__(self, api: ReadableApi, permissions: Permissions, denial: Denial) -> None:
        self._api = api
        self._permissions = permissions
        self._denial = denial

    async def handle(
        self, method: str, path: str, headers: dict[str, str], body: bytes, query: Query
    ) -> Response:
        """Answer one request."""
        try:
            operation, request = self._api.read(method, path, body, query)
        except ClientError:
            return await self._answer(method, path, headers, body, query)
        needed = await asyncio.to_thread(self._permissions.needed, operation, request)
        texts = [(check, self._denial(headers, query, check)) for check in needed]
        denied = [(check, text) for check, text in texts if text is not None]
        if not denied:
            return await self._answer(method, path, headers, body, query)
        if operation not in _BULK:
            return refused(denied[0][1])
        by_job = {check.resource.rpartition("/")[2]: text for check, text in denied}
        errors = [
            {"job": job, "code": "AccessDenied", "message": by_job[job.rpartition("/")[2]]}
            for job in dict.fromkeys(request["jobs"])
            if job.rpartition("/")[2] in by_job
        ]
        left = [job for job in request["jobs"] if job.rpartition("/")[2] not in by_job]
        if not left:
            return 200, {"Content-Type": "application/json"}, _json({"successful": [], "errors": errors})
        rest = _json({**request, "jobs": left})
        status, answer_headers, answer = await self._answer(method, path, headers, rest, query)
        if status == 200:
            document = json.loads(answer)
            answer = _json({**document, "errors": [*document["errors"], *errors]})
        return status, answer_headers, answer

    async def _answer(
        self, method: str, path: str, headers: dict[str, str], body: bytes, query: Query
    ) -> Response:
        return await asyncio.to_thread(self._api.handle, method, path, headers, body, query)


def refused(text: str) -> Response:
    """Answer a request that is denied, as AWS does."""
    headers = {
        "Content-Type": "application/json",
        "x-amzn-RequestId": str(uuid4()),
        "x-amzn-ErrorType": "AccessDeniedException",
    }
    return 403, headers, _json({"message": text})


def _json(document: dict[str, Any]) -> bytes:
    return json.dumps(document).encode()
