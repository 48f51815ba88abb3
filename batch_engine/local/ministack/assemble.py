"""Builds the local cloud: MiniStack, the engine in place of its AWS Batch, and their connections."""

import asyncio
from collections.abc import Callable
from functools import partial
from pathlib import Path

from batch_engine import translation as cfn
from batch_engine.core.model.ids import Arns
from batch_engine.local.api.asgi import AsgiApp
from batch_engine.local.api.endpoint import BatchEndpoint
from batch_engine.local.api.front import Front
from batch_engine.local.cloudformation.batch_resources import BatchResources
from batch_engine.local.cloudformation.budgets import BUDGET, BudgetResources
from batch_engine.local.cloudformation.composite_alarms import COMPOSITE_ALARM, CompositeAlarmResources
from batch_engine.local.cloudformation.databases import ClusterSecrets
from batch_engine.local.cloudformation.kept_revisions import KeptRevisions
from batch_engine.local.cloudformation.network import NETWORK_TYPES, NetworkResources
from batch_engine.local.delivery.deliveries import Deliveries
from batch_engine.local.delivery.executions import Waits
from batch_engine.local.delivery.requests import Authorize
from batch_engine.local.delivery.step_functions import BatchTasks
from batch_engine.local.delivery.targets import BatchTargets
from batch_engine.local.engine.build import build_engine
from batch_engine.local.engine.engine import Engine
from batch_engine.local.engine.runtime_choice import RuntimeChoice
from batch_engine.local.ministack import mounts, resource_types
from batch_engine.local.ministack.batch import BatchModule, unguarded
from batch_engine.local.ministack.cloud import Cloud, CloudOptions
from batch_engine.local.ministack.guard import BatchGuard, Permissions, RoleGuard, allow


class CloudLife:
    """Starts the parts of the local cloud before the first request and stops them after the last one.

    It implements ``Lifespan``.

    Args:
        cloud: MiniStack.
        engine: AWS Batch.
        targets: deliver events and schedules to the engine.
        tasks: carry out tasks of state machines with the engine.
    """

    def __init__(self, cloud: Cloud, engine: Engine, targets: BatchTargets, tasks: BatchTasks) -> None:
        self._cloud = cloud
        self._engine = engine
        self._targets = targets
        self._tasks = tasks

    async def started(self) -> None:
        """Starts the engine, then its callers: targets and executions."""
        self._cloud.open()
        self._engine.start(asyncio.get_running_loop())
        self._targets.start()
        with self._cloud.scope():
            mounts.resume_executions(self._cloud.ministack, self._tasks)

    async def stopping(self) -> None:
        """Stops the engine's callers, then the engine. Its last events and logs are still delivered."""
        try:
            # The tasks end first: their threads ask the engine about jobs.
            steps: tuple[Callable[[], None], ...] = (self._tasks.close, self._targets.end, self._engine.stop)
            for step in steps:
                await asyncio.to_thread(step)
        finally:
            # The targets close last: they write the engine's last events to their file for the next run.
            await asyncio.to_thread(self._targets.close)
            await self._cloud.close()


def assemble(
    options: CloudOptions,
    *,
    host_vcpus: float | None,
    keep_jobs_s: float,
    assembly: Path | None,
    runtime: RuntimeChoice,
) -> AsgiApp:
    """Builds the application that serves the local cloud; see ``build_engine`` for the parameters.

    Raises:
        MiniStackMovedError: the installed MiniStack is not the pinned one.
        RuntimeUnavailableError: the requested runtime cannot run jobs on this machine.
        StoreError: the state file cannot be used.
    """
    cloud = Cloud(options)
    engine = build_engine(
        data_dir=options.data_dir,
        account=options.account,
        region=options.region,
        host_vcpus=host_vcpus,
        keep_jobs_s=keep_jobs_s,
        assembly=assembly,
        events=cloud,
        logs=cloud,
        credentials=cloud,
        secrets=cloud,
        runtime=runtime,
        endpoint_url=cloud.endpoint_url,
    )
    endpoint = BatchEndpoint(engine.api, engine.saved)
    permissions = Permissions(engine.api, Arns(options.account, options.region), cloud.instance_roles)
    handle, authorize = unguarded(endpoint), allow
    if options.enforce_iam:
        cloud.iam.enforce()
        handle = BatchGuard(endpoint, permissions, cloud.iam.denial).handle
        authorize = RoleGuard(permissions, cloud.role_denial)
    # MiniStack must not touch the user's containers.
    cloud.ministack.docker_socket_present = lambda: False
    cloud.ministack.loaded_modules["batch"] = BatchModule(handle)
    targets, tasks = _connect(cloud, engine, authorize)

    return Front(
        # If IAM is enforced, MiniStack checks the signature first.
        batch=None if options.enforce_iam else endpoint,
        rest=cloud.app,
        data_dir=options.data_dir,
        credentials=engine.credentials_response,
        own_routes=engine.own_routes,
        saved=engine.saved,
        changed=cloud.changed,
        lifespan=CloudLife(cloud, engine, targets, tasks),
    )


def _connect(cloud: Cloud, engine: Engine, authorize: Authorize) -> tuple[BatchTargets, BatchTasks]:
    """Connects stacks, rules, schedules and state machines to the engine."""
    data_dir = cloud.options.data_dir
    kept_revisions = KeptRevisions(data_dir / "kept_revisions.json")
    batch_resources = BatchResources(engine.api, kept_revisions=kept_revisions)
    network = NetworkResources(partial(cloud.call, "ec2"))
    budgets = BudgetResources(partial(cloud.call, "budgets"), cloud.options.account)
    composite_alarms = CompositeAlarmResources(partial(cloud.call, "cloudwatch"))
    secrets = ClusterSecrets(partial(cloud.call, "secretsmanager"))
    resource_types.mount_resource_types(cloud.ministack, cfn.CREATE_OPERATIONS, batch_resources)
    resource_types.mount_resource_types(cloud.ministack, NETWORK_TYPES, network)
    resource_types.mount_resource_types(cloud.ministack, [BUDGET], budgets)
    resource_types.mount_resource_types(cloud.ministack, [COMPOSITE_ALARM], composite_alarms)
    resource_types.mount_cluster_secrets(cloud.ministack, secrets)
    resource_types.mount_comparison(cloud.ministack)
    deliveries = Deliveries(data_dir / "deliveries.sqlite")
    targets = BatchTargets(engine.api, deliveries, cloud.send_dead_letter, authorize)
    mounts.mount_targets(cloud.ministack, targets)
    mounts.refuse_pipes(cloud.ministack)
    tasks = BatchTasks(engine.api, authorize, Waits(data_dir / "executions.sqlite"))
    mounts.mount_tasks(cloud.ministack, tasks)
    return targets, tasks
