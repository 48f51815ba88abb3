"""Isolated networks without the endpoints that secrets, buses and queues take."""

from typing import Any

import pytest

from batch_stack.preflight import preflight
from batch_stack.settings import Settings

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
            {"results": {"database": {}}},
            "secretsmanager",
            "error",
            "must have 'secretsmanager' for results.database",
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
            {"messaging": {"event_bus": True}},
            "events",
            "warning",
            "should have 'events' for messaging.event_bus",
        ),
        ({"messaging": {"work_queue": True}}, "sqs", "warning", "should have 'sqs' for messaging.work_queue"),
    ],
)
def test_what_isolated_jobs_cannot_reach_is_said(
    sections: dict[str, Any], endpoint: str, level: str, user: str
) -> None:
    ((found, message),) = _found([], **sections)
    assert found == level
    assert message.startswith(f"network.endpoints {user}: ")
    assert _found([endpoint], **sections) == []
