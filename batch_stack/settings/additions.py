"""Adds entries to settings in Python, with the same checks as for a file."""

from __future__ import annotations

from collections.abc import Mapping

from batch_stack.settings.base.errors import SettingsError
from batch_stack.settings.checks import check_all
from batch_stack.settings.jobs import JobSettings
from batch_stack.settings.root import Settings
from batch_stack.settings.schedules import ScheduleSettings
from batch_stack.settings.storage import ExistingBucketSettings, StorageSettings
from batch_stack.settings.triggers import TriggerSettings


def with_job(settings: Settings, name: str, job: JobSettings) -> Settings:
    """Returns the settings with another job.

    Args:
        settings: the settings, which are not changed.
        name: the job's name.
        job: the job.

    Raises:
        SettingsError: there is a job of that name, or this job does not fit the other settings.
    """
    return _with(settings, "jobs", settings.jobs, name, job)


def with_trigger(settings: Settings, name: str, trigger: TriggerSettings) -> Settings:
    """Returns the settings with another trigger.

    Args:
        settings: the settings, which are not changed.
        name: the trigger's name.
        trigger: the trigger.

    Raises:
        SettingsError: there is a trigger of that name, or this trigger does not fit the other settings.
    """
    return _with(settings, "triggers", settings.triggers, name, trigger)


def with_schedule(settings: Settings, name: str, schedule: ScheduleSettings) -> Settings:
    """Returns the settings with another schedule.

    Args:
        settings: the settings, which are not changed.
        name: the schedule's name.
        schedule: the schedule.

    Raises:
        SettingsError: there is a schedule of that name, or this schedule does not fit the other settings.
    """
    return _with(settings, "schedules", settings.schedules, name, schedule)


def with_buckets(settings: StorageSettings, **buckets: str) -> StorageSettings:
    """Returns the settings of storage with existing buckets in place of new ones.

    Args:
        settings: the settings of storage, which are not changed.
        buckets: the names of existing buckets, by their settings, such as `input_bucket`.

    Raises:
        SettingsError: the settings name such a bucket themselves, or would change an existing one.
    """
    if not buckets:
        return settings
    given = {name: getattr(settings, name) for name in settings.model_fields_set}
    for setting, name in buckets.items():
        named = given.get(setting)
        if named is not None:
            raise SettingsError(
                f"storage.{setting} must not be given with {setting}, an existing bucket, got {named.name!r}"
            )
        given[setting] = ExistingBucketSettings(name=name)
    return StorageSettings(**given)


def _with(
    settings: Settings, section: str, entries: Mapping[str, object], name: str, entry: object
) -> Settings:
    if name in entries:
        raise SettingsError(f"{section} must not have {name!r} twice")
    whole = settings.model_copy(update={section: {**entries, name: entry}})
    try:
        check_all(whole)
    except ValueError as error:
        raise SettingsError(str(error)) from None
    return whole
