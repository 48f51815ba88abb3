"""Checks the expressions of schedules that Amazon EventBridge Scheduler takes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_ALLOWED = (
    "rate(5 minutes), at(2030-12-31T23:00:00) or cron(minutes hours day-of-month month day-of-week year), "
    "one of the two days being ?, as in cron(0 3 * * ? *)"
)
# AWS names no limit; six digits of days are more than its calendar has.
_RATE = re.compile(r"rate\([1-9][0-9]{0,5} (minute|hour|day)s?\)")
# Newer versions of Python read 24 as the next midnight.
_AT = re.compile(r"at\((\d{4}-\d\d-\d\dT(?!24)\d\d:\d\d:\d\d)\)", re.ASCII)
_CRON = re.compile(r"cron\(([^()]+)\)")
_DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")


@dataclass(frozen=True, slots=True)
class _Field:
    """A field of a cron expression. Every field also takes `*`, and values with `,`, `-` and `/`."""

    low: int
    high: int
    names: tuple[str, ...] = ()
    """Names for its values."""
    special: str | None = None
    """A pattern of texts that only this field takes."""

    def takes(self, text: str) -> bool:
        """Returns whether the text is a valid value of this field."""
        if "," in text and re.search("[?#]", text):
            return False
        return all(self._takes_part(part) for part in text.split(","))

    def _takes_part(self, part: str) -> bool:
        if self.special is not None and re.fullmatch(self.special, part.upper()):
            return True
        values, slash, step = part.partition("/")
        if slash and not (re.fullmatch("[0-9]{1,4}", step) and 0 < int(step) <= self.high):
            return False
        if values == "*" or (slash and not values):
            return True
        ends = values.split("-")
        return len(ends) <= 2 and all(self._takes_value(end) for end in ends)

    def _takes_value(self, text: str) -> bool:
        if text.upper() in self.names:
            return True
        return re.fullmatch("[0-9]{1,4}", text) is not None and self.low <= int(text) <= self.high


_DAY = r"([1-9]|[12]\d|3[01])"
_WEEKDAY = rf"([1-7]|{'|'.join(_DAYS)})"
# https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html#cron-based
_FIELDS = (
    _Field(0, 59),
    _Field(0, 23),
    _Field(1, 31, special=rf"\?|L|LW|L-{_DAY}|{_DAY}W"),
    _Field(1, 12, _MONTHS),
    _Field(1, 7, _DAYS, special=rf"\?|L|{_WEEKDAY}L|{_WEEKDAY}#[1-5]"),
    _Field(1970, 2199),
)


def check_timing(expression: str, time_zone: str | None) -> None:
    """Checks the expression and the time zone of a schedule.

    Args:
        expression: a rate, a cron expression or a single time.
        time_zone: the time zone of a cron expression or a single time; None for UTC.

    Raises:
        ValueError: EventBridge Scheduler does not take the expression or the time zone.
    """
    if not is_expression(expression):
        raise ValueError(f"expression must be {_ALLOWED}, got {expression!r}")
    if time_zone is None:
        return
    if is_rate(expression):
        raise ValueError(f"time_zone must not be given with a rate, which has none, got {time_zone!r}")
    # A machine without a time zone database cannot check names: CloudFormation then refuses unknown ones.
    if not _is_time_zone(time_zone) and _is_time_zone("UTC"):
        raise ValueError(
            "time_zone must be a name of the IANA time zone database, such as UTC or Europe/Zurich, got "
            f"{time_zone!r}"
        )


def is_rate(expression: str) -> bool:
    """Returns whether an expression is a rate, which counts from the deployment of the schedule."""
    return _RATE.fullmatch(expression) is not None


def is_expression(expression: str) -> bool:
    """Returns whether EventBridge Scheduler takes an expression: a rate, a cron expression or a time."""
    at, cron = _AT.fullmatch(expression), _CRON.fullmatch(expression)
    if at is not None:
        return _is_time(at[1])
    return is_rate(expression) or (cron is not None and _is_cron(cron[1].split()))


def _is_time(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def _is_cron(fields: list[str]) -> bool:
    return (
        len(fields) == len(_FIELDS)
        and (fields[2] == "?") != (fields[4] == "?")
        and all(field.takes(text) for field, text in zip(_FIELDS, fields, strict=True))
    )


def _is_time_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True
