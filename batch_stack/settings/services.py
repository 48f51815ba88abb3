"""The services of a platform that jobs are given by name: each is for those jobs only that name it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from batch_stack.settings.root import Settings

DataService = Literal[
    "input_bucket", "output_bucket", "scratch_bucket", "job_table", "database", "event_bus", "work_queue"
]
"""What a platform keeps data in, or hands it on by."""

SETTING_OF: dict[DataService, str] = {
    "scratch_bucket": "storage.scratch_expiry_days",
    "job_table": "results.job_table",
    "database": "results.database",
    "event_bus": "messaging.event_bus",
    "work_queue": "messaging.work_queue",
}
"""The settings that add services; the buckets for input and output are always there."""


def services_of(settings: Settings) -> list[DataService]:
    """The services that a platform has.

    Args:
        settings: the settings as a whole.
    """
    storage, results, messaging = settings.storage, settings.results, settings.messaging
    optional: dict[DataService, bool] = {
        "scratch_bucket": storage.has_scratch_bucket,
        "job_table": results.job_table,
        "database": results.database is not None,
        "event_bus": messaging.event_bus,
        "work_queue": messaging.work_queue,
    }
    return ["input_bucket", "output_bucket", *(name for name, there in optional.items() if there)]


def users_of(settings: Settings, service: DataService) -> list[str]:
    """The jobs that use a service, by their names.

    Args:
        settings: the settings as a whole.
        service: the service.
    """
    return [name for name, job in settings.jobs.items() if service in job.uses]
