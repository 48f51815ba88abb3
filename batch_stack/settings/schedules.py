"""Settings of jobs that are submitted by the clock."""

from __future__ import annotations

from pydantic import model_validator

from batch_stack.settings.base.model import SettingsModel
from batch_stack.settings.base.values import Share, State
from batch_stack.settings.schedule_expressions import check_timing


class ScheduleSettings(SettingsModel):
    """A job that is submitted by the clock, by Amazon EventBridge Scheduler.

    https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html
    """

    expression: str
    """When: `cron(0 3 * * ? *)` is every night at three, `rate(6 hours)` every six hours beginning with the
    deployment, `at(2030-12-31T23:00:00)` once."""
    time_zone: str = "UTC"
    """The time zone of a cron or at expression, such as `Europe/Zurich`; its daylight saving time counts."""
    job: str
    """The job that is submitted."""
    tier: str = "standard"
    """The tier that it is submitted to, of the job's platform."""
    share: Share | None = None
    """For a tier with a fair-share policy: whose jobs they are."""
    parameters: dict[str, str] = {}
    """Values of the command's `Ref::` placeholders. `<aws.scheduler.scheduled-time>` in a value stands for
    the time that the schedule means, in UTC: `2030-12-31T03:00:00Z`.
    https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-schedule-context-attributes.html"""
    state: State = "enabled"
    """A disabled schedule submits nothing; what it missed is not made up for."""

    @property
    def given_time_zone(self) -> str | None:
        """The time zone if there is one in the settings; None if it is the default."""
        return self.time_zone if "time_zone" in self.model_fields_set else None

    @model_validator(mode="after")
    def _is_a_time(self) -> ScheduleSettings:
        check_timing(self.expression, self.given_time_zone)
        return self
