"""The rest of AWS on this machine: MiniStack in this process, with our Batch in place of its stub."""

import asyncio
import json
import logging
import os
import threading
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

from hypercorn.asyncio import serve as hypercorn_serve

from batch_engine import translation as cfn
from batch_engine.core.model.ids import Arns
from batch_engine.local.aws.client import InProcessClient
from batch_engine.local.base.ports import ClientError, Credentials
from batch_engine.local.cloudformation.batch_resources import BatchResources
from batch_engine.local.cloudformation.budgets import BUDGET, BudgetResources
from batch_engine.local.cloudformation.composite_alarms import COMPOSITE_ALARM, CompositeAlarmResources
from batch_engine.local.cloudformation.databases import ClusterSecrets
from batch_engine.local.cloudformation.kept_revisions import KeptRevisions
from batch_engine.local.cloudformation.network import NETWORK_TYPES, NetworkResources
from batch_engine.local.delivery.deliveries import Deliveries
from batch_engine.local.delivery.executions import Waits
from batch_engine.local.delivery.requests import TargetError
from batch_engine.local.delivery.step_functions import BatchTasks
from batch_engine.local.delivery.targets import BatchTargets
from batch_engine.local.ministack import environment, mounts, resource_types
from batch_engine.local.ministack.batch import ApiService, BatchModule, Unguarded
from batch_engine.local.ministack.front import Answer, Front, hypercorn_config, listening_socket
from batch_engine.local.ministack.function_reaper import FunctionReaper
from batch_engine.local.ministack.guard import BatchGuard, Permissions, ReadableApi
from batch_engine.local.ministack.iam import Iam
from batch_engine.local.ministack.internals import MiniStack
from batch_engine.local.ministack.snapshots import Snapshots

_TASKS = "ecs-tasks.amazonaws.com"
_CALL_TIMEOUT_S = 10.0
_READY_TIMEOUT_S = 60.0
# What an operation that the server's end cut short becomes, so that the next deployment can take over.
_INTERRUPTED = {"CREATE": "ROLLBACK_FAILED", "ROLLBACK": "ROLLBACK_FAILED", "DELETE": "DELETE_FAILED"}

_log = logging.getLogger(__name__)
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class CloudOptions:
    """How to run the local cloud.

    Args:
        data_dir: everything is stored below it.
        port: where to listen on 127.0.0.1; 0 takes a free one.
        account: the 12-digit AWS account that everything belongs to.
        region: the AWS Region.
        log_level: a level of Python's `logging`, for MiniStack's own messages.
        enforce_iam: whether requests are held to the policies of who signs them.
    """

    data_dir: Path
    port: int = 4566
    account: str = "000000000000"
    region: str = "us-east-1"
    log_level: str = "WARNING"
    enforce_iam: bool = False


class Cloud:
    """The local cloud: one per process, because MiniStack keeps its state in its modules.

    Takes over the process's environment variables. It is the engine's `EventSink`, `LogSink`,
    `CredentialSource` and `SecretSource`; all four may be called from any thread but the event loop's own.

    Raises:
        PortInUseError: the port cannot be opened.
        MiniStackMovedError: this version of MiniStack is not the one this file was written for.
    """

    def __init__(self, options: CloudOptions) -> None:
        self._options = options
        self._socket = listening_socket(options.port)
        self.port: int = self._socket.getsockname()[1]
        self.endpoint_url = f"http://127.0.0.1:{self.port}"
        environment.take_over_the_process(
            port=self.port,
            data_dir=options.data_dir.resolve(),
            account=options.account,
            region=options.region,
            log_level=options.log_level,
            enforce_iam=options.enforce_iam,
        )
        # It says on import that it cannot sign; nothing here asks it to.
        logging.getLogger("kms").setLevel(logging.ERROR)
        self._ministack = MiniStack()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._loop_thread = 0
        self._snapshots = Snapshots(self._save)
        self._client = InProcessClient(self._ministack.service_handlers)
        self._permissions: Permissions | None = None
        self._iam = Iam(self._ministack, self._client, options.account, options.region)
        self._credentials: Callable[[str], Answer] = lambda _: (404, {"message": "unknown token"})
        self._own_routes: Mapping[str, Callable[[bytes], Answer]] = {}
        # Begun, in this order, when the engine has started; ended, likewise, before it stops; closed after.
        self._openers: list[Callable[[], None]] = []
        self._enders: list[Callable[[], None]] = []
        self._closers: list[Callable[[], None]] = []

    def mount(
        self,
        *,
        api: ReadableApi,
        credentials_route: Callable[[str], Answer],
        own_routes: Mapping[str, Callable[[bytes], Answer]],
    ) -> None:
        """Put our Batch where MiniStack has its stub.

        Args:
            api: answers HTTP requests that are signed for ``batch``, and what stacks and targets ask for.
            credentials_route: answers ``/_batch-stack/credentials/<token>``.
            own_routes: answer the engine's own paths, such as ``/_batch-stack/interrupt``.
        """
        service = ApiService(api)
        arns = Arns(self._options.account, self._options.region)
        self._permissions = Permissions(service, arns, self._instance_roles)
        self._credentials = credentials_route
        self._own_routes = own_routes
        # Nothing here may touch the user's own containers.
        self._ministack.docker_socket_present = lambda: False
        self._ministack.loaded_modules["batch"] = BatchModule(self._guarded(api))
        kept_revisions = KeptRevisions(self._options.data_dir / "kept_revisions.json")
        batch_resources = BatchResources(service, kept_revisions=kept_revisions)
        network = NetworkResources(partial(self._service, "ec2"))
        budgets = BudgetResources(partial(self._service, "budgets"), self._options.account)
        resource_types.mount_resource_types(self._ministack, cfn.CREATE_OPERATIONS, batch_resources)
        resource_types.mount_resource_types(self._ministack, NETWORK_TYPES, network)
        resource_types.mount_resource_types(self._ministack, [BUDGET], budgets)
        composite_alarms = CompositeAlarmResources(partial(self._service, "cloudwatch"))
        resource_types.mount_resource_types(self._ministack, [COMPOSITE_ALARM], composite_alarms)
        secrets = ClusterSecrets(partial(self._service, "secretsmanager"))
        resource_types.mount_cluster_secrets(self._ministack, secrets)
        resource_types.mount_comparison(self._ministack)
        deliveries = Deliveries(self._options.data_dir / "deliveries.sqlite")
        targets = BatchTargets(service, deliveries, self._send_dead_letter, self._authorize_role)
        mounts.mount_targets(self._ministack, targets)
        self._openers.append(targets.start)
        mounts.refuse_pipes(self._ministack)
        waits = Waits(self._options.data_dir / "executions.sqlite")
        tasks = BatchTasks(service, self._authorize_role, waits)
        mounts.mount_tasks(self._ministack, tasks)
        self._openers.append(lambda: self._resume(tasks))
        # First the tasks: their threads would go on asking an engine that has ended.
        self._enders += [tasks.close, targets.end]
        # The engine's last events are for targets, too: written down now, carried out by the next run.
        self._closers.append(targets.close)

    def _guarded(self, api: ReadableApi) -> Unguarded | BatchGuard:
        if not self._options.enforce_iam or self._permissions is None:
            return Unguarded(api)
        self._iam.enforce()
        return BatchGuard(api, self._permissions, self._iam.denial)

    def _resume(self, tasks: BatchTasks) -> None:
        with self._scope():
            mounts.resume_executions(self._ministack, tasks)

    def _service(self, service: str, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        return self._wait_for(lambda: self._client.call(service, operation, **request))

    def _instance_roles(self, profile: str) -> list[str]:
        return self._wait_for(lambda: self._iam.instance_roles(profile))

    def _authorize_role(
        self, role_arn: str, service: str, source_arn: str, operation: str, request: dict[str, Any]
    ) -> None:
        if not self._options.enforce_iam or self._permissions is None:
            return
        needed = self._permissions.needed(operation, request)
        try:
            denial = self._wait_for(
                lambda: self._iam.role_denial(role_arn, needed, service=service, source_arn=source_arn)
            )
        except ClientError as error:
            raise TargetError(error.message, "FAILED_TO_ASSUME_ROLE") from error
        if denial is not None:
            raise TargetError(denial, "NO_PERMISSIONS")

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
            background.append(asyncio.create_task(self._snapshots.keep()))
            await asyncio.to_thread(on_start)
            for begin in self._openers:
                begin()
            background.append(asyncio.create_task(self._announce(on_ready, stop)))

        async def stopping() -> None:
            try:
                for end in self._enders:
                    await asyncio.to_thread(end)
                await asyncio.to_thread(on_stop)
            finally:
                for close in self._closers:
                    await asyncio.to_thread(close)
                # First: MiniStack ends a function's process, but not what that one has started.
                for reaper in reapers:
                    await asyncio.to_thread(reaper.close)
                await asyncio.to_thread(self._ministack.reset_functions)
                for task in background:
                    task.cancel()

        front = Front(
            app=self._ministack.app,
            health=self._health,
            credentials=self._credentials,
            own_routes=self._own_routes,
            changed=self._snapshots.changed,
            started=started,
            stopping=stopping,
        )
        await hypercorn_serve(front, hypercorn_config(self._socket), shutdown_trigger=stop.wait)

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
        self._wait_for(lambda: self._dispatch(event))

    def put(self, group: str, stream: str, lines: list[tuple[int, str]]) -> None:
        """Append lines to a log stream; makes the group and the stream where they are absent."""
        self._wait_for(lambda: self._client.put_log_lines(group, stream, lines))

    def assume_role(self, role_arn: str, session_name: str) -> Credentials:
        """Assume a role as ECS does for a task.

        Raises:
            ClientError: the role does not exist, or does not trust ``ecs-tasks.amazonaws.com``.
        """
        task = self._task_arn(session_name)
        return self._wait_for(
            lambda: self._iam.assume(role_arn, session_name, service=_TASKS, source_arn=task)
        )

    def resolve(self, value_from: str, execution_role: str | None) -> str:
        """Read the secret or the parameter that a container's ``valueFrom`` names.

        Raises:
            ClientError: there is no such secret, parameter or key, or the role may not read it.
        """
        return self._wait_for(lambda: self._secret(value_from, execution_role or ""))

    async def _secret(self, value_from: str, execution_role: str) -> str:
        value, permission = await self._client.secret_value(value_from)
        if self._options.enforce_iam:
            denial = await self._iam.role_denial(
                execution_role, [permission], service=_TASKS, source_arn=self._task_arn("execution")
            )
            if denial is not None:
                raise ClientError(f"AccessDeniedException: {denial}")
        return value

    def _task_arn(self, name: str) -> str:
        return f"arn:aws:ecs:{self._options.region}:{self._options.account}:task/{name}"

    def _health(self) -> Answer:
        return 200, {
            "status": "running",
            "pid": os.getpid(),
            "data_dir": str(self._options.data_dir),
            "version": version("batch-stack"),
        }

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

    def _wait_for(self, work: Callable[[], Coroutine[Any, Any, _T]]) -> _T:
        """Have the loop do some work, and wait for it; MiniStack's state belongs to the loop's thread."""
        if self._loop is None or self._loop.is_closed():
            raise RuntimeError("the local cloud is not running")
        if threading.get_ident() == self._loop_thread:
            raise RuntimeError("the event loop cannot wait for itself: call this from another thread")

        async def scoped() -> _T:
            with self._scope():
                return await work()

        result = asyncio.run_coroutine_threadsafe(scoped(), self._loop).result(_CALL_TIMEOUT_S)
        self._snapshots.changed()
        return result

    async def _dispatch(self, event: dict[str, Any]) -> None:
        self._ministack.publish(event)

    @contextmanager
    def _scope(self) -> Iterator[None]:
        with self._ministack.request_scope(self._options.account, self._options.region):
            yield

    def _send_dead_letter(self, queue_arn: str, body: str, attributes: dict[str, str]) -> None:
        account, name = queue_arn.split(":")[4:6]
        url = f"{self.endpoint_url}/{account}/{name}"
        self._wait_for(lambda: self._client.send_message(url, body, attributes))

    def _save(self) -> None:
        self._ministack.save()

    def _settle_interrupted_stacks(self) -> None:
        with self._scope():
            for name, stack in self._ministack.stacks.items():
                operation, _, progress = str(stack.get("StackStatus")).partition("_")
                if progress.endswith("IN_PROGRESS") and operation != "REVIEW":
                    stack["StackStatus"] = _INTERRUPTED.get(operation, "UPDATE_FAILED")
                    stack["StackStatusReason"] = "The local cloud was stopped during this operation"
                    _log.warning("stack %s: an operation was cut short, now %s", name, stack["StackStatus"])
