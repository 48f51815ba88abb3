"""WORKDIR and USER of an image, for jobs that are processes."""

import os
import pwd
from pathlib import Path

import pytest

from batch_engine.local.base import process_image
from batch_engine.local.base.dockerfile import ImageConfig

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root may change users")
NOBODY = pwd.getpwnam("nobody")


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A folder that each user may reach, and a Python likewise."""
    monkeypatch.setattr(process_image, "_closed_to", lambda ids, folder: None)
    return str(tmp_path / "job")


@pytest.mark.parametrize(
    ("user", "ids"),
    [
        ("12345", (12345, 0)),
        ("12345:7", (12345, 7)),
        ("nobody", (NOBODY.pw_uid, NOBODY.pw_gid)),
        ("nobody:7", (NOBODY.pw_uid, 7)),
        (str(NOBODY.pw_uid), (NOBODY.pw_uid, NOBODY.pw_gid)),
        ("no-such-user", None),
        ("0:no-such-group", None),
    ],
)
def test_ids_of_a_user(user: str, ids: tuple[int, int] | None) -> None:
    assert process_image.ids_of(user) == ids


@pytest.mark.parametrize(
    ("user", "ids"),
    [("", None), ("root", None), ("0", None), ("0:7", (0, 7)), ("12345", (12345, 0)), ("me?", None)],
)
def test_the_user_of_an_image(scratch: str, user: str, ids: tuple[int, int] | None) -> None:
    assert process_image.user_of(ImageConfig(user=user), scratch) == ids


@root_only
def test_a_user_who_cannot_reach_the_jobs_folder_is_not_taken(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    image = ImageConfig(user="12345")
    assert process_image.user_of(image, str(closed / "job")) is None
    assert list(process_image.unusable(image, {}, str(closed / "job"))) == [
        f"USER 12345 may not enter {first_closed(closed)}: jobs run as root"
    ]


def first_closed(folder: Path) -> Path:
    """The first folder that only root may enter: pytest's own may be one."""
    steps = [*reversed(folder.parents), folder]
    return next(step for step in steps if not step.stat().st_mode & 0o001)


@root_only
@pytest.mark.parametrize(
    ("image", "container", "told"),
    [
        (ImageConfig(), {}, []),
        (ImageConfig(workdir="/"), {}, []),
        (
            ImageConfig(workdir="/no/such"),
            {},
            ["WORKDIR /no/such is not a folder of this machine: jobs start in their own folder"],
        ),
        (ImageConfig(workdir="/no/such"), {"mountPoints": [{"containerPath": "/no"}]}, []),
        (ImageConfig(workdir="/no"), {"linuxParameters": {"tmpfs": [{"containerPath": "/no"}]}}, []),
        (ImageConfig(user="7"), {}, []),
        (
            ImageConfig(user="no-such-user"),
            {},
            [
                "USER no-such-user is not a user of this machine (a number is understood everywhere): "
                "jobs run as root"
            ],
        ),
        (ImageConfig(user="no-such-user"), {"user": "7"}, []),
    ],
)
def test_settings_that_a_process_cannot_have_are_reported(scratch, image, container, told) -> None:
    assert list(process_image.unusable(image, container, scratch)) == told


def test_a_server_of_an_ordinary_user_says_nothing_about_users(
    scratch: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert list(process_image.unusable(ImageConfig(user="no-such-user"), {}, scratch)) == []


@pytest.mark.parametrize(
    ("mode", "ids", "is_open"),
    [
        (0o701, (12345, 12345), True),
        (0o710, (12345, os.getegid()), True),
        (0o700, (12345, 12345), False),
        (0o701, (12345, os.getegid()), False),
    ],
)
def test_a_folder_is_open_to_its_group_and_others_by_its_mode(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: int, ids: tuple[int, int], is_open: bool
) -> None:
    monkeypatch.setattr(Path, "parents", [])
    tmp_path.chmod(mode)
    process_image._closed_to.cache_clear()
    assert process_image._closed_to(ids, str(tmp_path)) == (None if is_open else str(tmp_path))


@root_only
def test_a_folder_is_open_to_its_owner_by_its_mode(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "parents", [])
    os.chown(tmp_path, 12345, 12345)
    for mode, closed in ((0o100, None), (0o011, str(tmp_path))):
        tmp_path.chmod(mode)
        process_image._closed_to.cache_clear()
        assert process_image._closed_to((12345, 12345), str(tmp_path)) == closed
