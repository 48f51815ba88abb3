"""Creates the buckets of a platform, and the data services that its settings ask for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from aws_cdk import aws_s3 as s3
from constructs import Construct

from batch_stack.common.job_access import JobResources
from batch_stack.common.retention import DataPolicy
from batch_stack.data.buckets import Storage
from batch_stack.monitoring.notification import Notification
from batch_stack.network.network import Network
from batch_stack.settings.root import Settings
from batch_stack.settings.services import DataService
from batch_stack.settings.storage import DatabaseSettings, FileSystemSettings

if TYPE_CHECKING:
    from batch_stack.data.database import ResultsDatabase
    from batch_stack.data.event_bus import EventBus
    from batch_stack.data.file_system import SharedFiles
    from batch_stack.data.job_table import JobTable
    from batch_stack.data.work_queue import WorkQueue


class _Service(Protocol):
    def for_jobs(self) -> JobResources: ...


@dataclass(frozen=True)
class DataServices:
    """The data services of a platform; all but the buckets are None unless the settings ask for them.

    Attributes:
        storage: the buckets.
        file_system: the file system that jobs share.
        job_table: the DynamoDB table of jobs.
        database: the Aurora database.
        event_bus: the EventBridge bus.
        work_queue: the SQS queue of work.
    """

    storage: Storage
    file_system: SharedFiles | None = None
    job_table: JobTable | None = None
    database: ResultsDatabase | None = None
    event_bus: EventBus | None = None
    work_queue: WorkQueue | None = None

    def for_jobs(self) -> dict[DataService, JobResources]:
        """Returns the variables and grants for each service, by its name in `jobs.<name>.uses`.

        The file system is not included: volumes name its access points.
        """
        services: dict[DataService, _Service | None] = {
            "job_table": self.job_table,
            "database": self.database,
            "event_bus": self.event_bus,
            "work_queue": self.work_queue,
        }
        given = {name: service.for_jobs() for name, service in services.items() if service is not None}
        return {**self.storage.for_jobs(), **given}


def data_services(
    scope: Construct,
    *,
    settings: Settings,
    network: Network,
    notification: Notification,
    data_policy: DataPolicy,
    input_bucket: s3.IBucket | None = None,
    output_bucket: s3.IBucket | None = None,
) -> DataServices:
    """Creates the services that `storage`, `results` and `messaging` of the settings ask for.

    Args:
        scope: the parent construct.
        settings: the settings as a whole; they name none of the given buckets.
        network: the network of the jobs.
        notification: sends a message when the work queue sets a message aside.
        data_policy: how long the services' data is kept, and which key encrypts it.
        input_bucket: an existing bucket for input.
        output_bucket: an existing bucket for output.
    """
    storage, results, messaging = settings.storage, settings.results, settings.messaging
    return DataServices(
        storage=Storage(
            scope,
            "Storage",
            settings=storage,
            input_bucket=input_bucket,
            output_bucket=output_bucket,
            data_policy=data_policy,
        ),
        file_system=_file_system(scope, storage.file_system, network, data_policy),
        job_table=_job_table(scope, data_policy) if results.job_table else None,
        database=_database(scope, results.database, network, data_policy),
        event_bus=_event_bus(scope) if messaging.event_bus else None,
        work_queue=_work_queue(scope, notification, data_policy) if messaging.work_queue else None,
    )


# Modules are imported where they are used: each imports a part of aws_cdk that takes time to load.


def _file_system(
    scope: Construct, settings: FileSystemSettings | None, network: Network, data_policy: DataPolicy
) -> SharedFiles | None:
    if settings is None:
        return None
    from batch_stack.data.file_system import SharedFiles  # noqa: PLC0415

    return SharedFiles(scope, "Files", settings=settings, network=network, data_policy=data_policy)


def _job_table(scope: Construct, data_policy: DataPolicy) -> JobTable:
    from batch_stack.data.job_table import JobTable  # noqa: PLC0415

    return JobTable(scope, "JobTable", data_policy=data_policy)


def _database(
    scope: Construct, settings: DatabaseSettings | None, network: Network, data_policy: DataPolicy
) -> ResultsDatabase | None:
    if settings is None:
        return None
    from batch_stack.data.database import ResultsDatabase  # noqa: PLC0415

    return ResultsDatabase(scope, "Database", settings=settings, network=network, data_policy=data_policy)


def _event_bus(scope: Construct) -> EventBus:
    from batch_stack.data.event_bus import EventBus  # noqa: PLC0415

    return EventBus(scope, "Events")


def _work_queue(scope: Construct, notification: Notification, data_policy: DataPolicy) -> WorkQueue:
    from batch_stack.data.work_queue import WorkQueue  # noqa: PLC0415

    work = WorkQueue(scope, "Work", data_policy=data_policy)
    notification.notify_on_dead_letters("WorkQueue", work.dead_letter_queue)
    return work
