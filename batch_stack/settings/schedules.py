"""Settings of jobs that are submitted by the clock."""

from __future__ import annotations

from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import model_validator

from batch_stack.settings.base.model import SettingsModel
from batch_stack.settings.base.values import Share, State
from batch_stack.settings.schedule_expressions import is_expression, is_rate

_ALLOWED = (
    "rate(5 minutes), at(2030-12-31T23:00:00) or cron(minutes hours day-of-month month day-of-week year), "
    "one of the two days being ?, as in cron(0 3 * * ? *)"
)


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

    @model_validator(mode="after")
    def _is_an_expression(self) -> ScheduleSettings:
        if is_expression(self.expression):
            return self
        raise ValueError(f"expression must be {_ALLOWED}, got {self.expression!r}")

    @model_validator(mode="after")
    def _is_a_time_zone(self) -> ScheduleSettings:
        if "time_zone" in self.model_fields_set and is_rate(self.expression):
            raise ValueError(
                f"time_zone must not be given with a rate, which has none, got {self.time_zone!r}"
            )
        if not _is_known(self.time_zone) and _is_known("UTC"):
            # A machine without a time zone database knows none: there AWS will tell.
            raise ValueError(
                "time_zone must be a name of the IANA time zone database, such as UTC or Europe/Zurich, got "
                f"{self.time_zone!r}"
            )
        return self


def _is_known(time_zone: str) -> bool:
    try:
        ZoneInfo(time_zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True
