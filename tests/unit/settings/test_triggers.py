"""Parameters of triggers: as many as fit the environment of the function that submits."""

import json
from typing import Any

import pytest

from batch_stack.settings.base.errors import SettingsError
from batch_stack.settings.file import parse_settings
from batch_stack.settings.triggers import TriggerSettings

# What Lambda counts besides: four variables at their longest.
BESIDES = {
    "JOB_QUEUE": f"arn:aws-us-gov:batch:ap-southeast-99:123456789012:job-queue/{'q' * 128}",
    "JOB_DEFINITION": f"arn:aws-us-gov:batch:ap-southeast-99:123456789012:job-definition/{'d' * 128}",
    "OUTPUT_BUCKET": "b" * 63,
    "ARRAY_SIZE": "10000",
}


def _environment(trigger: TriggerSettings) -> dict[str, str]:
    return {
        **BESIDES,
        "OUTPUT_PREFIX": trigger.output_prefix,
        "SHARE_IDENTIFIER": str(trigger.share),
        "PARAMETERS": json.dumps(trigger.parameters),
    }


@pytest.mark.parametrize("letter", ["x", '"', "é"], ids=["plain", "a quote", "beyond ASCII"])
def test_parameters_may_take_what_lambda_leaves_them(letter: str) -> None:
    fits = None
    for length in range(4096):
        parameters = {"quality": letter * length}
        try:
            fits = TriggerSettings(
                job="j", share="s" * 255, parameters=parameters, output_prefix=f"{'é' * 100}/"
            )
        except ValueError as error:
            message = str(error)
            break
    assert fits is not None
    size = len(json.dumps(_environment(fits), ensure_ascii=False, separators=(",", ":")).encode())
    step = len(json.dumps(json.dumps(letter))) - len(json.dumps(json.dumps("")))
    assert 4096 - step < size <= 4096
    most, got = (int(message.partition(word)[2].split()[0].rstrip(",")) for word in ("at most ", "got "))
    assert most < got <= most + step
    assert "parameters must take at most " in message


def test_a_trigger_without_parameters_always_fits() -> None:
    TriggerSettings(job="j", share="s" * 255, output_prefix=f"{'a' * 511}/")


SPENT = {"usd_per_month": 9, "on_exceeded": "disable_queue"}


def _with_a_trigger(name: str, **more: Any) -> None:
    content = {
        "compute": {"c": {"type": "spot"}},
        "tiers": {"critical": {"priority": 1, "compute": ["c"]}},
        "jobs": {"j": {"image": "busybox:1"}},
        "triggers": {name: {"job": "j", "tier": "critical"}},
    }
    parse_settings({**content, **more}, source="f")


@pytest.mark.parametrize(
    ("name", "beside", "other"),
    [
        (
            "nightly-schedule",
            {"schedules": {"nightly": {"expression": "rate(1 day)", "job": "j", "tier": "critical"}}},
            "schedules.nightly",
        ),
        (
            "critical_budget",
            {"tiers": {"critical": {"priority": 1, "compute": ["c"], "budget": SPENT}}},
            "tiers.critical.budget",
        ),
        ("work-queue", {"messaging": {"work_queue": True}}, "messaging.work_queue"),
    ],
)
def test_the_alarms_of_dead_letter_queues_have_names_of_their_own(
    name: str, beside: dict[str, Any], other: str
) -> None:
    with pytest.raises(SettingsError) as raised:
        _with_a_trigger(name, **beside)
    assert str(raised.value).startswith(
        f"f: triggers.{name} must have another name beside {other}, got {name!r}: "
    )
    _with_a_trigger(name)
    _with_a_trigger("uploads", **beside)


def test_a_budget_that_only_tells_has_no_dead_letter_queue() -> None:
    budget = {"usd_per_month": 9}
    _with_a_trigger(
        "critical-budget", tiers={"critical": {"priority": 1, "compute": ["c"], "budget": budget}}
    )
