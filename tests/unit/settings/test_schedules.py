"""Jobs by the clock, as the settings say them."""

import re
from typing import Any

import pytest

from batch_stack.settings.additions import with_schedule
from batch_stack.settings.base.errors import SettingsError
from batch_stack.settings.file import parse_settings
from batch_stack.settings.schedules import ScheduleSettings

IMAGE = "public.ecr.aws/docker/library/busybox:1"


def settings(schedule: dict[str, Any], **more: Any) -> Any:
    jobs = {"report": {"image": IMAGE}, "small": {"image": IMAGE, "platform": "fargate"}}
    given = {"expression": "rate(1 hour)", "job": "report", **schedule}
    return parse_settings({"jobs": jobs, "schedules": {"nightly": given}, **more}, source="batch.yaml")


@pytest.mark.parametrize(
    "expression",
    [
        "cron(0 3 * * ? *)",
        "cron(0/15 8-17 ? * MON-FRI *)",
        "cron(0 9 ? * 6L 2030-2031)",
        "cron(30 4 LW * ? *)",
        "cron(0 9 ? * 3#2 *)",
        "cron(0 9 ? * fri#1 *)",
        "cron(0,20,40 */2 1-7,15W,L JAN-mar,12 ? 1970/2)",
        "cron(/15 0-23/6 ? 1/3 SUN,2-4 2199)",
        "cron(59 23 31 12 ? *)",
        "rate(999999 days)",
        "at(2032-02-29T00:00:00)",
        "rate(1 hour)",
        "rate(5 minutes)",
        "at(2030-12-31T23:00:00)",
    ],
)
def test_expressions_of_eventbridge_scheduler_are_taken(expression):
    assert settings({"expression": expression}).schedules["nightly"].expression == expression


@pytest.mark.parametrize(
    "expression",
    [
        "0 3 * * *",
        "cron(0 3 * * *)",
        "cron(0 3 * * * *)",
        "cron(0 3 ? * ? *)",
        "cron(0 3 * * ? *",
        "cron(0 3; * * ? *)",
        "rate(0 minutes)",
        "rate(5 seconds)",
        "every night",
        "at(tomorrow)",
        "at(2030-99-99T99:99:99)",
        "at(2031-02-29T00:00:00)",
        "at(2030-12-31T24:00:00)",
        "rate(1000000 days)",
        "cron(99 99 ? * 9 1)",
        "cron(a b ? * c d)",
        "cron(60 3 * * ? *)",
        "cron(0 24 * * ? *)",
        "cron(0 3 0 * ? *)",
        "cron(0 3 32W * ? *)",
        "cron(0 3 * 13 ? *)",
        "cron(0 3 * JNA ? *)",
        "cron(0 3 ? * 0 *)",
        "cron(0 3 ? * 8L *)",
        "cron(0 3 ? * 3#6 *)",
        "cron(0 3 ? * 3#1,6#3 *)",
        "cron(0 3 ? * MON-FRI-SUN *)",
        "cron(0 3 * * ? 1969)",
        "cron(0 3 * * ? 2200)",
        "cron(0 L * * ? *)",
        "cron(0/0 3 * * ? *)",
        "cron(0/60 3 * * ? *)",
        "cron(0, 3 * * ? *)",
        "cron(1- 3 * * ? *)",
    ],
)
def test_others_are_refused_with_an_example(expression):
    what = re.escape("schedules.nightly.expression must be rate(5 minutes), at(2030-12-31T23:00:00) or cron(")
    with pytest.raises(SettingsError, match=rf"{what}.*got {re.escape(repr(expression))}"):
        settings({"expression": expression})


@pytest.mark.parametrize("time_zone", ["Europe/Zurich", "UTC", "America/Argentina/Ushuaia"])
def test_time_zones_go_by_their_names(time_zone):
    given = {"expression": "cron(0 3 * * ? *)", "time_zone": time_zone}
    assert settings(given).schedules["nightly"].time_zone == time_zone


@pytest.mark.parametrize("time_zone", ["Zurich", "+01:00", "", "../UTC"])
def test_an_unknown_time_zone_is_refused(time_zone):
    with pytest.raises(SettingsError, match=r"schedules\.nightly\.time_zone must be a name of the IANA"):
        settings({"expression": "at(2030-12-31T23:00:00)", "time_zone": time_zone})


@pytest.mark.parametrize("time_zone", ["Europe/Zurich", "UTC"])
def test_a_rate_has_no_time_zone(time_zone):
    message = r"schedules\.nightly\.time_zone must not be given with a rate, which has none, got "
    with pytest.raises(SettingsError, match=message + repr(time_zone)):
        settings({"expression": "rate(6 hours)", "time_zone": time_zone})


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"job": "reprot"}, r"schedules\.nightly\.job must be one of .*got 'reprot'"),
        ({"tier": "bulkk"}, r"schedules\.nightly\.tier must be one of .*got 'bulkk'"),
        ({"tier": "fargate"}, r"schedules\.nightly\.tier must be one of .*got 'fargate'"),
        ({"share": "team"}, r"schedules\.nightly\.share must not be given"),
        ({"job": "small"}, r"schedules\.nightly\.tier must be one of fargate.*got 'standard'"),
    ],
)
def test_it_must_fit_the_rest(given, message):
    with pytest.raises(SettingsError, match=message):
        settings(given)


def test_one_that_is_added_is_checked_alike():
    whole = settings({})
    more = ScheduleSettings(expression="rate(1 day)", job="report", tier="bulk")
    assert with_schedule(whole, "daily", more).schedules["daily"] is more
    with pytest.raises(SettingsError, match="schedules must not have 'nightly' twice"):
        with_schedule(whole, "nightly", more)
    with pytest.raises(SettingsError, match=r"schedules\.daily\.share must not be given"):
        with_schedule(whole, "daily", more.model_copy(update={"share": "team"}))
