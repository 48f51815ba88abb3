"""The rest of AWS on this machine: MiniStack in this process, with our Batch in place of its stub.

This is the only file that knows MiniStack's internals. All that it touches is in `INTERNALS`;
``tests/conformance/cloud/test_ministack_contract.py`` fails when an upgrade moves any of it.
"""

import asyncio
import importlib
import json
import logging
import os
import threading
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

from hypercorn.asyncio import serve as hypercorn_serve
from hypercorn.config import Config as HypercornConfig

from batch_engine import cloudformation as cfn
from batch_engine.local import cloud_environment
from batch_engine.local.cloud_batch import Api, BatchModule
from batch_engine.local.cloud_client import InProcessClient
from batch_engine.local.cloud_http import Answer, Front, listening_socket
from batch_engine.local.function_reaper import FunctionReaper
from batch_engine.local.ports import BatchService, Credentials
from batch_engine.local.stack_resources import Resource, StackResources

INTERNALS: Mapping[str, tuple[str, ...]] = {
    # The ASGI application; the table of services; modules by name, ours for "batch" put in first; what is
    # persisted; whether Docker is looked for (never: nothing here may touch the user's containers).
    "ministack.app": (
        "app",
        "SERVICE_HANDLERS",
        "_loaded_modules",
        "_build_persistence_save_dict",
        "_docker_socket_present",
    ),
    "ministack.core.lambda_runtime": ("reset",),
    "ministack.core.persistence": ("save_all",),
    "ministack.core.responses": ("request_scope",),
    # Resource types; which of them may block, and so run on a thread of their own; the stacks.
    "ministack.services.cloudformation": ("_stacks",),
    "ministack.services.cloudformation.provisioners": ("_RESOURCE_HANDLERS",),
    "ministack.services.cloudformation.stacks": ("_runs_on_worker_thread",),
    # The way in for events of AWS's own services: PutEvents refuses every source that starts with "aws.".
    "ministack.services.eventbridge": ("_dispatch_event", "_archive_event"),
}

_SNAPSHOT_EVERY_S = 2.0
# Snapshots hold up requests: at most this share of the time goes into them.
_SNAPSHOT_SHARE_MAX = 0.05
_CALL_TIMEOUT_S = 10.0
_READY_TIMEOUT_S = 60.0
# What an operation that the server's end cut short becomes, so that the next deployment can take over.
_INTERRUPTED = {"CREATE": "ROLLBACK_FAILED", "ROLLBACK": "ROLLBACK_FAILED", "DELETE": "DELETE_FAILED"}

_log = logging.getLogger(__name__)
_T = TypeVar("_T")


class MiniStackMovedError(RuntimeError):
    """An internal of MiniStack that this file uses is not where it was."""


@dataclass(frozen=True, slots=True)
class CloudOptions:
    """How to run the local cloud.

    Args:
        data_dir: everything is stored below it.
        port: where to listen on 127.0.0.1; 0 takes a free one.
        account: the 12-digit AWS account that everything belongs to.
        region: the AWS Region.
        log_level: a level of Python's `logging`, for MiniStack's own messages.
    """

    data_dir: Path
    port: int = 4566
    account: str = "000000000000"
    region: str = "us-east-1"
    log_level: str = "WARNING"


class Cloud:
    """The local cloud: one per process, because MiniStack keeps its state in its modules.

    Takes over the process's environment variables. It is the engine's `EventSink`, `LogSink` and
    `CredentialSource`; all three may be called from any thread but the event loop's own.

    Raises:
        PortInUseError: the port cannot be opened.
        MiniStackMovedError: this version of MiniStack is not the one this file was written for.
    """

    def __init__(self, options: CloudOptions) -> None:
        self._options = options
        self._socket = listening_socket(options.port)
        self.port: int = self._socket.getsockname()[1]
        self.endpoint_url = f"http://127.0.0.1:{self.port}"
        cloud_environment.take_over_the_process(
            port=self.port,
            data_dir=options.data_dir.resolve(),
            account=options.account,
            region=options.region,
            log_level=options.log_level,
        )
        # It says on import that it cannot sign; nothing here asks it to.
        logging.getLogger("kms").setLevel(logging.ERROR)
        self._internals = load_internals()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._loop_thread = 0
        self._snapshots_due = 0
        self._client = InProcessClient(self._internals["SERVICE_HANDLERS"].value)
        self._credentials: Callable[[str], Answer] = lambda _: (404, {"message": "unknown token"})

    def mount(self, *, api: Api, service: BatchService, credentials_route: Callable[[str], Answer]) -> None:
        """Put our Batch where MiniStack has its stub.

        Args:
            api: answers HTTP requests that are signed for ``batch``.
            service: what CloudFormation's ``AWS::Batch::*`` resources are created through.
            credentials_route: answers ``/_batch-stack/credentials/<token>``.
        """
        self._credentials = credentials_route
        self._internals["_docker_socket_present"].replace(lambda: False)
        self._internals["_loaded_modules"].value["batch"] = BatchModule(api)
        handlers = self._internals["_RESOURCE_HANDLERS"].value
        for resource_type in cfn.CREATE_OPERATIONS:
            handlers[resource_type] = _handlers(resource_type, StackResources(service))
        may_block = self._internals["_runs_on_worker_thread"]
        original = may_block.value
        may_block.replace(lambda kind: kind in cfn.CREATE_OPERATIONS or original(kind))

    async def serve(
        self,
        *,
        stop: asyncio.Event,
        on_start: Callable[[], None],
        on_ready: Callable[[], None],
        on_stop: Callable[[], None],
    ) -> None:
        """Serve until told to stop.

        Args:
            stop: set it to end the server.
            on_start: called on a thread when the stored state is loaded and before the first request.
            on_ready: called on a thread when the endpoint answers.
            on_stop: called on a thread after the last request, while events and logs still get through.
        """
        self._loop = asyncio.get_running_loop()
        self._loop_thread = threading.get_ident()
        background: list[asyncio.Task[None]] = []
        reapers: list[FunctionReaper] = []

        async def started() -> None:
            self._settle_interrupted_stacks()
            reapers.append(FunctionReaper(Path(os.environ["TMPDIR"])))
            background.append(asyncio.create_task(self._keep_snapshots()))
            await asyncio.to_thread(on_start)
            background.append(asyncio.create_task(self._announce(on_ready, stop)))

        async def stopping() -> None:
            try:
                await asyncio.to_thread(on_stop)
            finally:
                # First: MiniStack ends a function's process, but not what that one has started.
                for reaper in reapers:
                    await asyncio.to_thread(reaper.close)
                await asyncio.to_thread(self._internals["reset"].value)
                for task in background:
                    task.cancel()

        front = Front(
            app=self._internals["app"].value,
            health=self._health,
            credentials=self._credentials,
            changed=self._changed,
            started=started,
            stopping=stopping,
        )
        await hypercorn_serve(front, self._hypercorn_config(), shutdown_trigger=stop.wait)

    def publish(
        self, *, detail_type: str, resources: list[str], detail: dict[str, Any], time_ms: int
    ) -> None:
        """Publish one event of source ``aws.batch`` on the default event bus; returns when it was matched."""
        event = {
            "EventId": str(uuid4()),
            "Source": "aws.batch",
            "DetailType": detail_type,
            "Detail": json.dumps(detail),
            "EventBusName": "default",
            "Time": datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "Resources": resources,
            "Account": self._options.account,
            "Region": self._options.region,
        }
        self._wait_for(self._dispatch(event))

    def put(self, group: str, stream: str, lines: list[tuple[int, str]]) -> None:
        """Append lines to a log stream; makes the group and the stream where they are absent."""
        self._wait_for(self._put_log_lines(group, stream, lines))

    def assume_role(self, role_arn: str, session_name: str) -> Credentials:
        """Assume a role as ECS does for a task.

        Raises:
            ClientError: the role does not exist, or does not trust ``ecs-tasks.amazonaws.com``.
        """
        return self._wait_for(self._assume_role(role_arn, session_name))

    def _health(self) -> Answer:
        return 200, {
            "status": "running",
            "pid": os.getpid(),
            "data_dir": str(self._options.data_dir),
            "version": version("batch-stack"),
        }

    def _hypercorn_config(self) -> HypercornConfig:
        config = HypercornConfig()
        # The socket has been bound since the constructor: nobody can take the port in between.
        config.bind = [f"fd://{self._socket.detach()}"]
        config.keep_alive_timeout = 75
        config.graceful_timeout = 1
        config.loglevel = "WARNING"
        config.errorlog = logging.getLogger("hypercorn.error")
        return config

    async def _announce(self, on_ready: Callable[[], None], stop: asyncio.Event) -> None:
        deadline = time.monotonic() + _READY_TIMEOUT_S
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", self.port)
                writer.close()
                await asyncio.to_thread(on_ready)
                return
            except ConnectionRefusedError:
                if time.monotonic() < deadline:
                    await asyncio.sleep(0.01)
                    continue
                _log.error("the endpoint did not answer within %.0f s", _READY_TIMEOUT_S)
            except Exception:
                _log.exception("the server cannot tell where it listens")
            stop.set()
            return

    def _wait_for(self, work: Coroutine[Any, Any, _T]) -> _T:
        """Have the loop do some work, and wait for it; MiniStack's state belongs to the loop's thread."""
        if self._loop is None or self._loop.is_closed():
            work.close()
            raise RuntimeError("the local cloud is not running")
        if threading.get_ident() == self._loop_thread:
            work.close()
            raise RuntimeError("the event loop cannot wait for itself: call this from another thread")
        result = asyncio.run_coroutine_threadsafe(work, self._loop).result(_CALL_TIMEOUT_S)
        self._changed()
        return result

    async def _dispatch(self, event: dict[str, Any]) -> None:
        with self._scope():
            self._internals["_dispatch_event"].value(event)
            self._internals["_archive_event"].value(event)

    @contextmanager
    def _scope(self) -> Iterator[None]:
        with self._internals["request_scope"].value(self._options.account, self._options.region):
            yield

    async def _put_log_lines(self, group: str, stream: str, lines: list[tuple[int, str]]) -> None:
        with self._scope():
            await self._client.put_log_lines(group, stream, lines)

    async def _assume_role(self, role_arn: str, session_name: str) -> Credentials:
        with self._scope():
            return await self._client.assume_task_role(role_arn, session_name)

    def _changed(self) -> None:
        # Twice: what a request set going (a deployment, a function) may end after the first snapshot.
        self._snapshots_due = 2

    async def _keep_snapshots(self) -> None:
        pause_s = _SNAPSHOT_EVERY_S
        while True:
            await asyncio.sleep(pause_s)
            if self._snapshots_due == 0:
                continue
            self._snapshots_due -= 1
            began = time.perf_counter()
            try:
                # On the loop, so that nothing changes while the states are copied: they belong together.
                self._internals["save_all"].value(self._internals["_build_persistence_save_dict"].value())
            except Exception:
                _log.exception("the state of the cloud was not saved; trying again")
                self._snapshots_due = 2
            pause_s = max(_SNAPSHOT_EVERY_S, (time.perf_counter() - began) / _SNAPSHOT_SHARE_MAX)

    def _settle_interrupted_stacks(self) -> None:
        with self._scope():
            for name, stack in self._internals["_stacks"].value.items():
                operation, _, progress = str(stack.get("StackStatus")).partition("_")
                if progress.endswith("IN_PROGRESS") and operation != "REVIEW":
                    stack["StackStatus"] = _INTERRUPTED.get(operation, "UPDATE_FAILED")
                    stack["StackStatusReason"] = "The local cloud was stopped during this operation"
                    _log.warning("stack %s: an operation was cut short, now %s", name, stack["StackStatus"])


class _Internal:
    """One name inside one of MiniStack's modules."""

    def __init__(self, module: Any, name: str) -> None:
        self._module = module
        self._name = name

    @property
    def value(self) -> Any:
        return getattr(self._module, self._name)

    def replace(self, value: object) -> None:
        setattr(self._module, self._name, value)


def load_internals() -> dict[str, _Internal]:
    """Import MiniStack and find everything in `INTERNALS`; the environment must have been set before.

    Raises:
        MiniStackMovedError: a name is not where it was.
    """
    found: dict[str, _Internal] = {}
    for module_name, names in INTERNALS.items():
        try:
            module = importlib.import_module(module_name)
        except ImportError as error:
            raise MiniStackMovedError(_moved(module_name)) from error
        for name in names:
            if not hasattr(module, name):
                raise MiniStackMovedError(_moved(f"{module_name}.{name}"))
            found[name] = _Internal(module, name)
    return found


def _moved(what: str) -> str:
    return (
        f"MiniStack {version('ministack')} has no {what}, which batch_engine/local/cloud.py uses: "
        "install the version pinned in requirements.txt, or adapt INTERNALS there"
    )


def _handlers(resource_type: str, resources: StackResources) -> dict[str, Any]:
    """Adapt our resource handlers to the signatures that MiniStack calls."""

    def create(logical_id: str, properties: dict[str, Any], _stack: str) -> tuple[str, dict[str, str]]:
        return _answer(resources.create(resource_type, logical_id, properties))

    def update(
        physical_id: str, old: dict[str, Any], new: dict[str, Any], _stack: str, logical_id: str
    ) -> tuple[str, dict[str, str]]:
        return _answer(resources.update(resource_type, physical_id, logical_id, old, new))

    def delete(physical_id: str, _properties: dict[str, Any]) -> None:
        resources.delete(resource_type, physical_id)

    return {"create": create, "update": update, "update_with_logical_id": True, "delete": delete}


def _answer(resource: Resource) -> tuple[str, dict[str, str]]:
    return resource.physical_id, resource.attributes
