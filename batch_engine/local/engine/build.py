"""Builds an engine from its state file and the parts that carry out its decisions."""

import os
import sys
from pathlib import Path

import psutil

from batch_engine.core.capacity.usage import HostLimits
from batch_engine.core.model.ids import Arns
from batch_engine.core.scheduling.retention import KEEP_ENDED_MS
from batch_engine.core.state.registry import Registry
from batch_engine.local.base.assembly_images import AssemblyImages
from batch_engine.local.base.delay_queue import epoch_ms
from batch_engine.local.base.job_environment import HostFacts, jobs_path
from batch_engine.local.base.launch import SHARED_FOLDER, NoSecrets
from batch_engine.local.base.ports import CredentialSource, EventSink, LogSink, SecretSource
from batch_engine.local.base.private_files import make_private_folder
from batch_engine.local.engine.attempts import AttemptRunner
from batch_engine.local.engine.engine import Clock, Engine
from batch_engine.local.engine.event_outbox import Outbox
from batch_engine.local.engine.log_shipper import LogShipper
from batch_engine.local.engine.role_credentials import RoleCredentials
from batch_engine.local.engine.runtime_choice import PROCESSES, RuntimeChoice, build_runtime
from batch_engine.local.store.store import Store

STATE_FILE = "batch.sqlite"
SCRATCH_FOLDER = "batch-stack-scratch"
"""The server empties this folder at each start: a name that nothing else uses."""


def build_engine(
    *,
    data_dir: Path,
    account: str,
    region: str,
    host_vcpus: float | None,
    assembly: Path | None,
    events: EventSink | None,
    logs: LogSink,
    credentials: CredentialSource,
    endpoint_url: str,
    secrets: SecretSource | None = None,
    runtime: RuntimeChoice = PROCESSES,
    clock: Clock = epoch_ms,
    keep_jobs_s: float = KEEP_ENDED_MS / 1000,
) -> Engine:
    """Builds an engine.

    Args:
        data_dir: holds the state file and the jobs' scratch folders.
        account: the account id in ARNs.
        region: the Region in ARNs.
        host_vcpus: the number of vCPUs that jobs may use at once; None for every core of this machine.
        assembly: the cloud assembly whose images jobs run; None without one.
        events: EventBridge; None if events go nowhere.
        logs: CloudWatch Logs.
        credentials: STS.
        endpoint_url: the URL at which jobs reach the local cloud.
        secrets: Secrets Manager and Parameter Store; None without either.
        runtime: what jobs run as.
        clock: returns the time in epoch milliseconds.
        keep_jobs_s: how long ended jobs are kept, in seconds.

    Raises:
        RuntimeUnavailableError: containers of an earlier run cannot be removed.
        StoreError: the state file cannot be used.
    """
    make_private_folder(data_dir)
    store = Store(data_dir / STATE_FILE)
    registry = Registry()
    for entity in store.load():
        registry.add(entity)
    vcpus = host_vcpus or os.cpu_count() or 1
    shipper = LogShipper(logs)
    engine = Engine(
        registry=registry,
        arns=Arns(account, region),
        host=HostLimits(round(vcpus * 1000), psutil.virtual_memory().total // (1024 * 1024)),
        store=store,
        outbox=None if events is None else Outbox(store, events),
        logs=shipper,
        clock=clock,
        keep_ended_ms=round(keep_jobs_s * 1000),
    )
    roles = RoleCredentials(credentials, endpoint_url)
    path = jobs_path(sys.executable, os.environ.get("PATH", os.defpath))
    runner = AttemptRunner(
        scratch_root=data_dir.resolve() / SCRATCH_FOLDER,
        shared=data_dir.resolve() / SHARED_FOLDER,
        runtime=build_runtime(
            runtime,
            AssemblyImages(assembly),
            HostFacts(endpoint_url, region, path),
            data_dir=data_dir,
            host_vcpus=vcpus,
        ),
        credentials=roles,
        secrets=secrets or NoSecrets(),
        logs=shipper,
        tell=engine.tell_all,
    )
    engine.attach(runner, roles)
    return engine
