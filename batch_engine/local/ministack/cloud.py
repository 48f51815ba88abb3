"""MiniStack in this process: its start and end, and the services that the engine uses."""

import asyncio
import json
import logging
import os
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

from batch_engine.local.api.asgi import AsgiApp
from batch_engine.local.aws.batch_permissions import Check
from batch_engine.local.aws.client import InProcessClient
from batch_engine.local.base.ports import ClientError, Credentials, Publication
from batch_engine.local.ministack import environment
from batch_engine.local.ministack.function_reaper import FunctionReaper
from batch_engine.local.ministack.iam import Iam
from batch_engine.local.ministack.internals import MiniStack
from batch_engine.local.ministack.snapshots import Snapshots

_TASKS = "ecs-tasks.amazonaws.com"
_CALL_TIMEOUT_S = 10.0
# The status of a stack whose operation the server's end has interrupted; a new deployment can go on from it.
_INTERRUPTED = {"CREATE": "ROLLBACK_FAILED", "ROLLBACK": "ROLLBACK_FAILED", "DELETE": "DELETE_FAILED"}

_log = logging.getLogger(__name__)
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class CloudOptions:
    """The settings of the local cloud.

    Args:
        data_dir: the folder of all data.
        port: the endpoint's port on 127.0.0.1.
        account: the 12-digit AWS account of all resources.
        region: the AWS Region.
        log_level: a level of Python's `logging`, for MiniStack's messages.
        enforce_iam: whether the policies of its signer decide about each request.
    """

    data_dir: Path
    port: int
    account: str = "000000000000"
    region: str = "us-east-1"
    log_level: str = "WARNING"
    enforce_iam: bool = False


class Cloud:
    """MiniStack and its services. A process can have only one, because MiniStack keeps its state in modules.

    It replaces the process's environment variables. It is the engine's `EventSink`, `LogSink`,
    `CredentialSource` and `SecretSource`; the event loop's thread must not call their methods.

    Raises:
        MiniStackMovedError: the installed MiniStack lacks a name that the adapter declares.
    """

    def __init__(self, options: CloudOptions) -> None:
        self.options = options
        self.endpoint_url = f"http://127.0.0.1:{options.port}"
        environment.take_over_the_process(
            port=options.port,
            data_dir=options.data_dir.resolve(),
            account=options.account,
            region=options.region,
            log_level=options.log_level,
            enforce_iam=options.enforce_iam,
        )
        # MiniStack warns on import that its KMS cannot sign; the local cloud does not need that.
        logging.getLogger("kms").setLevel(logging.ERROR)
        self.ministack = MiniStack()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._loop_thread = 0
        self._snapshots = Snapshots(self.ministack.save)
        self._saving: asyncio.Task[None] | None = None
        self._reaper: FunctionReaper | None = None
        self._client = InProcessClient(self.ministack.service_handlers)
        self.iam = Iam(self.ministack, self._client, options.account, options.region)

    @property
    def app(self) -> AsgiApp:
        """Returns MiniStack's ASGI application."""
        return self.ministack.app

    @property
    def changed(self) -> Callable[[], None]:
        """Returns the function to call after a request that may have changed MiniStack's state."""
        return self._snapshots.changed

    def open(self) -> None:
        """Starts on the event loop that serves MiniStack, after MiniStack has loaded its state."""
        self._loop = asyncio.get_running_loop()
        self._loop_thread = threading.get_ident()
        self._settle_interrupted_stacks()
        self._reaper = FunctionReaper(Path(os.environ["TMPDIR"]))
        self._saving = asyncio.create_task(self._snapshots.keep())

    async def close(self) -> None:
        """Ends the functions that still run, and stops saving."""
        # The reaper comes first: MiniStack ends the process of a function, but not that process's children.
        if self._reaper is not None:
            await asyncio.to_thread(self._reaper.close)
        await asyncio.to_thread(self.ministack.reset_functions)
        if self._saving is not None:
            self._saving.cancel()

    def call(self, service: str, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        """Carries out an operation of another AWS service; takes and returns boto3's members.

        Raises:
            CallError: the service refused.
        """
        return self.wait_for(lambda: self._client.call(service, operation, **request))

    def instance_roles(self, profile: str) -> list[str]:
        """Returns the ARNs of the roles in an instance profile, given its name or ARN."""
        return self.wait_for(lambda: self.iam.instance_roles(profile))

    def role_denial(self, role_arn: str, needed: list[Check], service: str, source_arn: str) -> str | None:
        """Returns why a role that a service assumes lacks a permission, or None; see ``Iam.role_denial``."""
        return self.wait_for(
            lambda: self.iam.role_denial(role_arn, needed, service=service, source_arn=source_arn)
        )

    def send_dead_letter(self, queue_arn: str, body: str, attributes: dict[str, str]) -> None:
        """Sends a message with string attributes to the SQS queue of an ARN."""
        account, name = queue_arn.split(":")[4:6]
        url = f"{self.endpoint_url}/{account}/{name}"
        self.wait_for(lambda: self._client.send_message(url, body, attributes))

    def is_heard(self) -> bool:
        """Returns whether an enabled rule or an archive may take an event; from any thread."""
        with self.scope():
            return self.ministack.has_listeners()

    def publish(self, events: list[Publication]) -> tuple[int, Exception | None]:
        """Publishes events on the default event bus; see ``EventSink``. It returns when they were matched."""
        return self.wait_for(lambda: self._dispatch(events))

    def _event(self, publication: Publication) -> dict[str, Any]:
        return {
            "EventId": str(uuid4()),
            "Source": "aws.batch",
            "DetailType": publication.detail_type,
            "Detail": json.dumps(publication.detail),
            "EventBusName": "default",
            "Time": datetime.fromtimestamp(publication.time_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "Resources": publication.resources,
            "Account": self.options.account,
            "Region": self.options.region,
        }

    async def _dispatch(self, events: list[Publication]) -> tuple[int, Exception | None]:
        for count, event in enumerate(events):
            try:
                self.ministack.publish(self._event(event))
            except Exception as error:
                return count, error
            # Requests and reports of jobs come in between many events.
            await asyncio.sleep(0)
        return len(events), None

    def put(self, group: str, stream: str, lines: list[tuple[int, str]]) -> None:
        """Appends lines to a log stream; creates the group and the stream if they do not exist."""
        self.wait_for(lambda: self._client.put_log_lines(group, stream, lines))

    def assume_role(self, role_arn: str, session_name: str) -> Credentials:
        """Assumes a role as ECS does for a task.

        Raises:
            ClientError: the role does not exist, or does not trust ``ecs-tasks.amazonaws.com``.
        """
        task = self._task_arn(session_name)
        return self.wait_for(lambda: self.iam.assume(role_arn, session_name, service=_TASKS, source_arn=task))

    def resolve(self, value_from: str, execution_role: str | None) -> str:
        """Reads the secret or the parameter that a container's ``valueFrom`` names.

        Raises:
            ClientError: there is no such secret, parameter or key, or the role may not read it.
        """
        return self.wait_for(lambda: self._secret(value_from, execution_role or ""))

    async def _secret(self, value_from: str, execution_role: str) -> str:
        value, permission = await self._client.secret_value(value_from)
        if self.options.enforce_iam:
            denial = await self.iam.role_denial(
                execution_role, [permission], service=_TASKS, source_arn=self._task_arn("execution")
            )
            if denial is not None:
                raise ClientError(f"AccessDeniedException: {denial}")
        return value

    def _task_arn(self, name: str) -> str:
        return f"arn:aws:ecs:{self.options.region}:{self.options.account}:task/{name}"

    def wait_for(self, work: Callable[[], Coroutine[Any, Any, _T]]) -> _T:
        """Runs work on the event loop and waits for it: MiniStack's state belongs to the loop's thread."""
        if self._loop is None or self._loop.is_closed():
            raise RuntimeError("the local cloud is not running")
        if threading.get_ident() == self._loop_thread:
            raise RuntimeError("the event loop cannot wait for itself: call this from another thread")

        async def scoped() -> _T:
            with self.scope():
                return await work()

        future = asyncio.run_coroutine_threadsafe(scoped(), self._loop)
        try:
            result = future.result(_CALL_TIMEOUT_S)
        except TimeoutError:
            future.cancel()  # the caller tries again: two of them must not do the work at once
            raise
        self._snapshots.changed()
        return result

    @contextmanager
    def scope(self) -> Iterator[None]:
        """Sets the account and the Region for MiniStack's stores inside the block."""
        with self.ministack.request_scope(self.options.account, self.options.region):
            yield

    def _settle_interrupted_stacks(self) -> None:
        with self.scope():
            for name, stack in self.ministack.stacks.items():
                operation, _, progress = str(stack.get("StackStatus")).partition("_")
                if progress.endswith("IN_PROGRESS") and operation != "REVIEW":
                    stack["StackStatus"] = _INTERRUPTED.get(operation, "UPDATE_FAILED")
                    stack["StackStatusReason"] = "The local cloud was stopped during this operation"
                    _log.warning("stack %s: an operation was cut short, now %s", name, stack["StackStatus"])
