"""Jobs by the clock, as the settings say them."""

import re
from typing import Any

import pytest

from batch_stack.settings import ScheduleSettings, SettingsError, parse_settings, with_schedule

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
    ],
)
def test_others_are_refused_with_an_example(expression):
    what = re.escape("schedules.nightly.expression must be rate(5 minutes), at(2030-12-31T23:00:00) or cron(")
    with pytest.raises(SettingsError, match=rf"{what}.*got {re.escape(repr(expression))}"):
        settings({"expression": expression})


@pytest.mark.parametrize("time_zone", ["Europe/Zurich", "UTC", "America/Argentina/Ushuaia"])
def test_time_zones_go_by_their_names(time_zone):
    assert settings({"time_zone": time_zone}).schedules["nightly"].time_zone == time_zone


@pytest.mark.parametrize("time_zone", ["Zurich", "+01:00", "", "../UTC"])
def test_an_unknown_time_zone_is_refused(time_zone):
    with pytest.raises(SettingsError, match=r"schedules\.nightly\.time_zone must be a name of the IANA"):
        settings({"time_zone": time_zone})


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
