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
