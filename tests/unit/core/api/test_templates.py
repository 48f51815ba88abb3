"""Requests that are alike share what follows from their definition and their overrides."""

import pytest

from batch_engine.core.api import submission, templates
from batch_engine.core.model.errors import ClientError
from batch_engine.core.model.events import Woken

BIG = {"resourceRequirements": [{"type": "MEMORY", "value": "256"}]}


@pytest.fixture
def queue(world):
    world.definition()
    return world.queue("q", world.environment("ce", 100))


@pytest.fixture
def rendered(monkeypatch):
    """The containers that are rendered from now on."""
    found = []

    def render(*given):
        found.append(given)
        return original(*given)

    original = submission.render_container
    monkeypatch.setattr(submission, "render_container", render)
    return found


def test_a_request_like_an_earlier_one_is_not_rendered_again(world, queue, rendered):
    first, second = world.submit(queue), world.submit(queue)
    assert len(rendered) == 1
    assert first.container is second.container
    larger = [world.submit(queue, containerOverrides=BIG) for _ in range(3)]
    assert len(rendered) == 2
    assert [job.memory_mib for job in (first, *larger)] == [128, 256, 256, 256]


@pytest.mark.parametrize(
    "overrides", [{"parameters": {"x": "1"}}, {"timeout": {"attemptDurationSeconds": 90}}]
)
def test_other_overrides_make_another_job(world, queue, overrides):
    plain, other = world.submit(queue), world.submit(queue, **overrides)
    assert (plain.parameters, plain.timeout_s) == ({}, None)
    assert (other.parameters, other.timeout_s) == (
        overrides.get("parameters", {}),
        overrides.get("timeout", {}).get("attemptDurationSeconds"),
    )


def test_a_refusal_is_not_remembered_as_a_job(world, queue, rendered):
    wrong = {"environment": [{"name": "AWS_BATCH_X", "value": "1"}]}
    for _ in range(2):
        with pytest.raises(ClientError, match="cannot start with AWS_BATCH"):
            world.submit(queue, containerOverrides=wrong)
    assert len(rendered) == 2


def test_a_revision_that_is_registered_again_has_its_own_template(world, queue):
    old = world.submit(queue)
    world.call("TerminateJob", jobId=old.id, reason="r")
    world.call("DeregisterJobDefinition", jobDefinition="d:1")
    world.now_ms += 181 * 24 * 3600 * 1000
    world.tell(Woken())
    assert world.definition(memory_mib=512).endswith("job-definition/d:1")
    assert (old.memory_mib, world.submit(queue).memory_mib) == (128, 512)


def test_not_more_templates_are_remembered_than_are_of_use(world, queue, monkeypatch):
    monkeypatch.setattr(templates, "MAX_TEMPLATES", 10)
    for number in range(25):
        assert world.submit(queue, parameters={"x": str(number)}).parameters == {"x": str(number)}
    assert len(world.plane._templates._known) <= 10
