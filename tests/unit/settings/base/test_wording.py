"""Settings errors that say what may have been meant, and those of settings made in Python."""

from collections.abc import Callable
from typing import Any

import pytest

from batch_stack.settings.base.errors import SettingsError
from batch_stack.settings.file import parse_settings
from batch_stack.settings.jobs import JobSettings
from batch_stack.settings.root import Settings
from batch_stack.settings.tiers import TierSettings

JOB: dict[str, Any] = {"folder": "media"}


def _problem(content: Any) -> str:
    with pytest.raises(SettingsError) as raised:
        parse_settings(content, source="batch.yaml")
    return str(raised.value).removeprefix("batch.yaml: ")


def test_all_names_that_are_not_there_are_in_one_message_with_those_that_are_close() -> None:
    content = {
        "jobs": {"a": {**JOB, "tiers": ["critcal", "bulk"], "consumable_resources": {"licens": 1}}},
        "consumable_resources": {"licence": {"total": 1}},
        "triggers": {"t": {"job": "a", "tier": "stndard"}, "u": {"job": "aa"}},
        "submitters": {"team": {"jobs": ["b"], "tiers": ["critcal"]}},
    }
    tiers = "critical, standard, bulk, fargate"
    assert _problem(content).splitlines() == [
        "6 settings are wrong",
        f"  jobs.a.tiers[0] must be one of {tiers}, got 'critcal' (did you mean critical?)",
        "  jobs.a.consumable_resources must name one of licence, or an ARN, got 'licens' "
        "(did you mean licence?)",
        f"  triggers.t.tier must be one of {tiers}, got 'stndard' (did you mean standard?)",
        "  triggers.u.job must be one of the jobs a, got 'aa' (did you mean a?)",
        "  submitters.team.jobs[0] must be one of a, got 'b'",
        f"  submitters.team.tiers[0] must be one of {tiers}, got 'critcal' (did you mean critical?)",
    ]


def test_what_does_not_fit_together_is_in_one_message() -> None:
    content = {
        "jobs": {"a": JOB, "b": {**JOB, "tiers": ["fargate"]}},
        "triggers": {"t": {"job": "a", "tier": "fargate"}},
    }
    assert [line.partition(" must")[0] for line in _problem(content).splitlines()] == [
        "2 settings are wrong",
        "  jobs.b.tiers[0]",
        "  triggers.t.tier",
    ]


@pytest.mark.parametrize(
    ("content", "messages"),
    [
        (
            {"tiers": {"a": None, "priority": 1, "compute": ["spot"]}},
            ["tiers.a must be a mapping with the fields", ": indent priority and compute under tiers.a"],
        ),
        (
            {"compute": {"a": None, "type": "spot", "max_vcpus": 3}},
            [
                "compute.a must be a mapping with the field type",
                ": indent type and max_vcpus under compute.a",
            ],
        ),
        (
            {"jobs": {"a": None, "image": "x", "environment": {"X": "1"}}},
            ["jobs.a must be a mapping with the fields", ": indent image and environment under jobs.a"],
        ),
    ],
)
def test_fields_at_the_level_of_what_they_belong_to_are_said_to_be_so(
    content: dict[str, Any], messages: list[str]
) -> None:
    (line,) = _problem(content).splitlines()
    assert line.startswith(messages[0])
    assert line.endswith(messages[1])


@pytest.mark.parametrize(
    ("secret", "hint"),
    [
        ("team/db", ": write {secret: team/db}"),
        ("arn:aws:ssm:eu-west-1:123456789012:parameter/db", ": write {parameter: arn:aws:ssm:"),
    ],
)
def test_a_secret_as_plain_text_is_told_how_to_be_one(secret: str, hint: str) -> None:
    message = _problem({"jobs": {"a": {**JOB, "secrets": {"S": secret}}}})
    assert message.startswith("jobs.a.secrets.S must be a mapping with the fields secret, field, parameter")
    assert hint in message


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: JobSettings(image="x", memory_mb=3),  # type: ignore[call-arg]
            "JobSettings: memory_mb is not a setting (did you mean memory_mib?); allowed here: ",
        ),
        (
            lambda: JobSettings(image="x", timeout_s=1),
            "JobSettings: timeout_s must be a whole number between 60 ",
        ),
        (
            lambda: TierSettings(priority=1, compute=[], state="off"),  # type: ignore[arg-type]
            "TierSettings: compute must have at least one entry, got []\n  state must be one of enabled",
        ),
        (lambda: Settings(name="2nd"), "Settings: name must be a stack name: "),
    ],
)
def test_what_is_wrong_in_python_is_said_in_the_same_words(make: Callable[[], object], message: str) -> None:
    with pytest.raises(SettingsError) as raised:
        make()
    assert str(raised.value).startswith(message)
    assert "pydantic" not in str(raised.value)
