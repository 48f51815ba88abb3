"""Settings of schedules: times at which jobs are submitted."""

from __future__ import annotations

from pydantic import model_validator

from batch_stack.settings.base.model import SettingsModel
from batch_stack.settings.base.values import Share, State
from batch_stack.settings.schedule_expressions import check_timing


class ScheduleSettings(SettingsModel):
    """A job that Amazon EventBridge Scheduler submits at certain times.

    https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html
    """

    expression: str
    """The times: `cron(0 3 * * ? *)` is every night at three, `rate(6 hours)` every six hours from the
    deployment on, `at(2030-12-31T23:00:00)` once."""
    time_zone: str = "UTC"
    """The time zone of a cron or at expression, such as `Europe/Zurich`, with its daylight saving time."""
    job: str
    """The job that is submitted."""
    tier: str = "standard"
    """The tier that the job is submitted to, of the job's platform."""
    share: Share | None = None
    """The share identifier of the jobs, for a tier with a fair-share policy."""
    parameters: dict[str, str] = {}
    """Values of the command's `Ref::` placeholders. EventBridge Scheduler replaces
    `<aws.scheduler.scheduled-time>` in a value by the scheduled time in UTC: `2030-12-31T03:00:00Z`.
    https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-schedule-context-attributes.html"""
    state: State = "enabled"
    """A disabled schedule submits nothing. It does not submit the missed jobs later."""

    @property
    def given_time_zone(self) -> str | None:
        """The time zone if there is one in the settings; None if it is the default."""
        return self.time_zone if "time_zone" in self.model_fields_set else None

    @model_validator(mode="after")
    def _is_a_time(self) -> ScheduleSettings:
        check_timing(self.expression, self.given_time_zone)
        return self
