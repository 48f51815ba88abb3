"""Users who could write nowhere, and memory that takes the place of /scratch."""

from typing import Any

import pytest

from batch_stack.preflight.preflight import preflight
from batch_stack.settings.base.errors import SettingsError
from batch_stack.settings.file import parse_settings
from batch_stack.settings.root import Settings

TMPFS = {"type": "tmpfs", "path": "/scratch/", "size_mib": 64}


def _checks(**job: Any) -> list[str]:
    content = {"jobs": {"j": {"image": "busybox:1.37", **job}}}
    return [one.message for one in preflight(Settings.model_validate(content))]


@pytest.mark.parametrize(
    "job",
    [
        {},
        {"user": "root"},
        {"user": "0:0"},
        {"user": "1000", "read_only_root": False},
        {"user": "1000", "image": None, "folder": "media"},
        {"user": "1000", "volumes": {"scratch": TMPFS}},
    ],
)
def test_whoever_can_write_somewhere_is_not_warned_of(job: dict[str, Any]) -> None:
    assert _checks(**job) == []


def test_another_user_of_an_image_of_others_may_have_nowhere_to_write() -> None:
    (message,) = _checks(user="1000:1000")
    assert message == (
        "jobs.j.user can write to /scratch, the only writable folder, only if the image has it as a VOLUME "
        "that this user may write to, got '1000:1000': check the image (docs/workers.md), or mount a volume "
        "of type tmpfs at /scratch"
    )
    (message,) = _checks(user="app", platform="fargate")
    assert message.endswith("check the image (docs/workers.md)")


@pytest.mark.parametrize(
    ("job", "message"),
    [
        (
            {"platform": "fargate", "volumes": {"scratch": TMPFS}},
            "volumes.scratch.type must be efs or s3_files on fargate, got 'tmpfs'",
        ),
        (
            {"memory_mib": 64, "volumes": {"scratch": TMPFS}},
            "volumes.scratch.size_mib must be less than memory_mib, which is 64 and which it is part of, "
            "got 64",
        ),
    ],
)
def test_memory_that_a_job_cannot_have_is_refused(job: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError) as raised:
        parse_settings({"jobs": {"j": {"image": "busybox:1.37", **job}}}, source="f")
    assert str(raised.value) == f"f: jobs.j.{message}"
