"""What a platform keeps data in besides buckets: as much of it as the settings ask for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from aws_cdk import aws_kms as kms
from constructs import Construct

from batch_stack.common.job_access import JobResources
from batch_stack.data.buckets import removal_policy
from batch_stack.monitoring.notification import Notification
from batch_stack.network.network import Network
from batch_stack.settings.root import Settings
from batch_stack.settings.services import DataService

if TYPE_CHECKING:
    from batch_stack.data.database import ResultsDatabase
    from batch_stack.data.file_system import SharedFiles
    from batch_stack.data.job_table import JobTable
    from batch_stack.data.messaging import EventBus, WorkQueue


class _Service(Protocol):
    def for_jobs(self) -> JobResources: ...


@dataclass(frozen=True)
class DataServices:
    """Each is None unless the settings ask for it.

    Attributes:
        file_system: the file system that jobs share.
        job_table: the DynamoDB table of jobs.
        database: the Aurora database.
        event_bus: the EventBridge bus.
        work_queue: the SQS queue of work.
    """

    file_system: SharedFiles | None = None
    job_table: JobTable | None = None
    database: ResultsDatabase | None = None
    event_bus: EventBus | None = None
    work_queue: WorkQueue | None = None

    def for_jobs(self) -> dict[DataService, JobResources]:
        """What a job gets of each that is there, by its name in `jobs.<name>.uses`.

        The file system is not among them: volumes name its access points.
        """
        services: dict[DataService, _Service | None] = {
            "job_table": self.job_table,
            "database": self.database,
            "event_bus": self.event_bus,
            "work_queue": self.work_queue,
        }
        return {name: service.for_jobs() for name, service in services.items() if service is not None}


def data_services(
    scope: Construct,
    *,
    settings: Settings,
    network: Network,
    notification: Notification,
    key: kms.IKey | None,
) -> DataServices:
    """Create what the settings ask for of `storage.file_system`, `results` and `messaging`.

    Args:
        scope: the parent construct.
        settings: the settings as a whole.
        network: where jobs run.
        notification: hears of messages that nobody could work on.
        key: encrypts all of it; by default each service's own key does.
    """
    return DataServices(
        file_system=_file_system(scope, settings, network, key),
        job_table=_job_table(scope, settings, key),
        database=_database(scope, settings, network, key),
        event_bus=_event_bus(scope, settings),
        work_queue=_work_queue(scope, settings, notification, key),
    )


# Modules are imported where they are used: each brings one of aws_cdk, and those take time to load.


def _file_system(
    scope: Construct, settings: Settings, network: Network, key: kms.IKey | None
) -> SharedFiles | None:
    if settings.storage.file_system is None:
        return None
    from batch_stack.data.file_system import SharedFiles  # noqa: PLC0415

    return SharedFiles(
        scope,
        "Files",
        settings=settings.storage.file_system,
        network=network,
        removal_policy=removal_policy(settings.storage),
        key=key,
    )


def _job_table(scope: Construct, settings: Settings, key: kms.IKey | None) -> JobTable | None:
    if not settings.results.job_table:
        return None
    from batch_stack.data.job_table import JobTable  # noqa: PLC0415

    return JobTable(scope, "JobTable", removal_policy=removal_policy(settings.storage), key=key)


def _database(
    scope: Construct, settings: Settings, network: Network, key: kms.IKey | None
) -> ResultsDatabase | None:
    if settings.results.database is None:
        return None
    from batch_stack.data.database import ResultsDatabase  # noqa: PLC0415

    return ResultsDatabase(
        scope,
        "Database",
        settings=settings.results.database,
        network=network,
        log_retention_days=settings.log_retention_days,
        removal_policy=removal_policy(settings.storage),
        key=key,
    )


def _event_bus(scope: Construct, settings: Settings) -> EventBus | None:
    if not settings.messaging.event_bus:
        return None
    from batch_stack.data.messaging import EventBus  # noqa: PLC0415

    return EventBus(scope, "Events")


def _work_queue(
    scope: Construct, settings: Settings, notification: Notification, key: kms.IKey | None
) -> WorkQueue | None:
    if not settings.messaging.work_queue:
        return None
    from batch_stack.data.messaging import WorkQueue  # noqa: PLC0415

    work = WorkQueue(scope, "Work", removal_policy=removal_policy(settings.storage), key=key)
    notification.watch_dead_letters("WorkQueue", work.dead_letter_queue)
    return work
