"""Isolated networks without the endpoints that secrets, buses and queues take."""

from typing import Any

import pytest

from batch_stack.preflight.preflight import preflight
from batch_stack.settings.root import Settings

IMAGE = "123456789012.dkr.ecr.us-east-1.amazonaws.com/x:1"


def _found(endpoints: list[str], **sections: Any) -> list[tuple[str, str]]:
    job = {"image": IMAGE, "tiers": ["t"], **sections.pop("job", {})}
    content = {
        "network": {"mode": "isolated", "endpoints": endpoints},
        "compute": {"c": {"type": "on_demand"}},
        "tiers": {"t": {"priority": 1, "compute": ["c"]}},
        "jobs": {"j": job},
        **sections,
    }
    return [(one.level, one.message) for one in preflight(Settings.model_validate(content))]


@pytest.mark.parametrize(
    ("sections", "endpoint", "level", "user"),
    [
        (
            {"results": {"database": {}}, "job": {"uses": ["database"]}},
            "secretsmanager",
            "error",
            "must have 'secretsmanager' for jobs.j.uses, which has database",
        ),
        (
            {"job": {"secrets": {"A": {"secret": "team/db"}}}},
            "secretsmanager",
            "error",
            "must have 'secretsmanager' for jobs.j.secrets",
        ),
        (
            {"job": {"secrets": {"A": {"parameter": "/team/token"}}}},
            "ssm",
            "error",
            "must have 'ssm' for jobs.j.secrets",
        ),
        (
            {"messaging": {"event_bus": True}, "job": {"uses": ["event_bus"]}},
            "events",
            "warning",
            "should have 'events' for jobs.j.uses, which has event_bus",
        ),
        (
            {"messaging": {"work_queue": True}, "job": {"uses": ["work_queue"]}},
            "sqs",
            "warning",
            "should have 'sqs' for jobs.j.uses, which has work_queue",
        ),
    ],
)
def test_what_isolated_jobs_cannot_reach_is_said(
    sections: dict[str, Any], endpoint: str, level: str, user: str
) -> None:
    ((found, message),) = _found([], **sections)
    assert found == level
    assert message.startswith(f"network.endpoints {user}: ")
    assert _found([endpoint], **sections) == []


def test_an_endpoint_of_what_no_job_uses_is_not_asked_for() -> None:
    found = _found([], results={"database": {}}, messaging={"event_bus": True, "work_queue": True})
    assert not [message for _, message in found if message.startswith("network.endpoints")]
