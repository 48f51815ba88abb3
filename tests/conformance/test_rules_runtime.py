"""What only a real process can show, one test a rule."""

from typing import Any

import pytest

pytestmark = pytest.mark.cloud


@pytest.fixture
def queue(endpoint: Any) -> str:
    return str(endpoint.queue("standard", endpoint.environment()))


def test_a_reason_has_at_most_255_characters(endpoint: Any, queue: str) -> None:
    job = endpoint.wait(endpoint.submit(queue, endpoint.definition("absent", ["no-such-program-" * 30])))
    assert job["statusReason"] == "Task failed to start"
    assert 200 < len(job["container"]["reason"]) <= 255


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ({"command": ["echo", "a\0b"]}, "command[1] holds a null byte"),
        ({"environment": [{"name": "A", "value": "\0"}]}, "environment[0].value holds a null byte"),
        ({"environment": [{"name": "A=B", "value": "c"}]}, "environment variable 'A=B' needs a name without"),
        ({"environment": [{"name": "", "value": "c"}]}, "environment variable '' needs a name without"),
        (
            {
                "volumes": [
                    {
                        "name": "v",
                        "efsVolumeConfiguration": {"fileSystemId": "fs-1", "rootDirectory": "/\0"},
                    }
                ],
                "mountPoints": [{"sourceVolume": "v", "containerPath": "/mnt/v"}],
            },
            "volumes[0].efsVolumeConfiguration.rootDirectory holds a null byte",
        ),
    ],
)
def test_what_no_program_can_be_given_fails_one_attempt_only(
    endpoint: Any, queue: str, asked: dict[str, Any], reason: str
) -> None:
    other = endpoint.submit(queue, endpoint.definition("other", ["sleep", "60"]))
    endpoint.wait(other, "RUNNING")
    job = endpoint.wait(endpoint.submit(queue, endpoint.definition("bad", ["true"], container=asked)))
    assert (job["status"], job["statusReason"]) == ("FAILED", "Task failed to start")
    assert reason in job["container"]["reason"]
    assert endpoint.job(other)["status"] == "RUNNING"
